import { type AttemptFiles, type AttemptInput, type AttemptName, type StateFolder } from '../state/folder.js';

/** A disk that hangs must not keep an execution, and its slot, from an end. */
const PREPARE_MS_MAX = 30_000;

/** Makes the files of an attempt. @throws Error when they cannot be made, or not in time. */
export async function prepareFiles(
  state: StateFolder,
  attempt: AttemptName,
  input: AttemptInput,
): Promise<AttemptFiles> {
  const creating = state.createAttempt(attempt, input);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const error = new Error(`its files could not be made within ${PREPARE_MS_MAX} ms`);
    timer = setTimeout(() => reject(error), PREPARE_MS_MAX);
  });
  try {
    return await Promise.race([creating, late]);
  } catch (error) {
    // Files that come too late are nobody's.
    creating.then((files) => state.removeHanded(files)).catch(() => undefined);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
