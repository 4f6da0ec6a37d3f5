import { dirname } from 'node:path';
import { type Logger } from 'pino';
import { endLeftovers } from './process/leftovers.js';
import { type Marker } from './process/tree/marker.js';
import { type StateFolder } from './state/folder.js';
import { type Supervisor } from './supervision/supervisor.js';

export interface Sweeping {
  readonly state: StateFolder;
  readonly markers: readonly Marker[];
  readonly supervisor: Supervisor;
  readonly logger: Logger;
}

/** Ends and removes what is left of executions that nobody knows of, such as those of a journal that was lost. */
export async function sweep({ state, markers, supervisor, logger }: Sweeping): Promise<void> {
  const ended = await endLeftovers(state.executionsPath, (id) => supervisor.isLookedAfter(id));
  ended.forEach((executionId) => logger.warn({ executionId }, 'processes were left of an execution, and were ended'));
  markers.forEach((marker) => marker.removeLeftovers());
  await removeStray(state, supervisor, logger);
  const unknown = state.executionIds().filter((id) => !supervisor.isWrittenDown(id));
  for (const executionId of unknown) {
    await state.removeExecution(executionId).catch((error: unknown) => {
      logger.warn({ err: error, executionId }, 'cannot remove logs');
    });
  }
}

async function removeStray(state: StateFolder, supervisor: Supervisor, logger: Logger): Promise<void> {
  try {
    await state.removeStrayHanded(new Set(supervisor.settingsInUse().map((path) => dirname(path))));
  } catch (error) {
    logger.warn({ err: error }, 'cannot remove what was handed to runs');
  }
}
