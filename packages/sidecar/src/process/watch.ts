import { type FSWatcher, watch } from 'node:fs';

/** How often a folder is looked at anyway, should the kernel's notices fail to come. */
const POLL_INTERVAL_MS = 1000;
/** The same where the kernel gives no notices at all, e.g. because the user's inotify watches are used up. */
const POLL_ONLY_INTERVAL_MS = 50;

export interface FolderWatch {
  close(): void;
}

/**
 * Calls `onChange` whenever a file in `folder` may have grown: on the kernel's notice, and now and then without one.
 *
 * @param onDegraded Called once when there are no notices and polling is all there is.
 */
export function watchFolder(folder: string, onChange: () => void, onDegraded: (error: Error) => void): FolderWatch {
  let timer = setInterval(onChange, POLL_INTERVAL_MS);
  let watcher: FSWatcher | null = null;

  const degrade = (error: Error) => {
    watcher?.close();
    watcher = null;
    clearInterval(timer);
    timer = setInterval(onChange, POLL_ONLY_INTERVAL_MS);
    onDegraded(error);
  };

  try {
    watcher = watch(folder, onChange).on('error', degrade);
  } catch (error) {
    degrade(error as Error);
  }
  return {
    close: () => {
      clearInterval(timer);
      watcher?.close();
    },
  };
}
