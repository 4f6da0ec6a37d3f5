import { setTimeout as sleep } from 'node:timers/promises';
import { ProcessTable } from './proc.js';

/** Time for a fork that was under way at the last look to show. */
const LOOK_INTERVAL_MS = 3;

let next: Promise<ProcessTable> | null = null;

/**
 * The next look at the machine's processes, one for all trees that wait for it: many often end at once. It is taken after each
 * of them has asked, and {@link LOOK_INTERVAL_MS} after the last one at the earliest.
 */
export function nextLook(): Promise<ProcessTable> {
  next ??= sleep(LOOK_INTERVAL_MS).then(() => {
    next = null;
    return new ProcessTable();
  });
  return next;
}
