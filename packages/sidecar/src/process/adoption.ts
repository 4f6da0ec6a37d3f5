import { setTimeout as sleep } from 'node:timers/promises';
import { type ProcessName } from '../core/sweep.js';
import { isStill, type ProcessTree } from './tree/tree.js';

/** How often a process is looked at that is not our child, of whose end the kernel sends no notice. */
const LOOK_MS = 100;
/** A process between fork and the moment it bears its mark can be missed by one look, not by three in a row. */
const EMPTY_LOOKS_NEEDED = 3;

/**
 * Looks for the first process of a tree that another sidecar was about to start.
 *
 * @returns null when there is none, or the looks were cut short.
 */
export async function findLeader(tree: ProcessTree, signal: AbortSignal): Promise<ProcessName | null> {
  for (let emptyLooks = 0; emptyLooks < EMPTY_LOOKS_NEEDED && !signal.aborted;) {
    try {
      const leader = tree.findLeader();
      if (leader !== null) return leader;
      emptyLooks++;
    } catch {
      // A look that failed, for want of open files say, is no look that found nobody.
    }
    await pause(signal);
  }
  return null;
}

/** Resolves when a process has ended that is not our child, at the latest one look later, or the looks were cut short. */
export async function waitForEnd(process: ProcessName, signal: AbortSignal): Promise<void> {
  while (isAlive(process) && !signal.aborted) await pause(signal);
}

/** Whom one cannot look at, for want of open files say, one has not seen dead. */
export function isAlive(process: ProcessName): boolean {
  try {
    return isStill(process);
  } catch {
    return true;
  }
}

function pause(signal: AbortSignal): Promise<void> {
  return sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
}
