import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicMs } from '../clock.js';
import { NEW_SWEEP, nextStep, type ProcessInfo } from '../core/sweep.js';
import { waitAtMost } from '../timeout.js';
import { type ProcessTree } from './tree/tree.js';

/** Asking may take the whole grace; killing what does not listen, no longer than this. */
const KILL_MS_MAX = 5000;
/** Between two looks of a sweep: time for a fork that was under way to show. */
const SWEEP_LOOK_MS = 3;

export interface KillOptions {
  /** What to ask with; null: do not ask. */
  readonly ask: NodeJS.Signals | null;
  readonly graceMs: number;
  /** Resolves when the first process has exited. */
  readonly exited: Promise<void>;
}

/**
 * Ends every process of a tree: asks the first one, waits at most `graceMs` for it, then kills all that is left and
 * looks until nobody is.
 *
 * @returns The processes found alive afterwards; null where the tree cannot be known for sure.
 */
export async function killTree(tree: ProcessTree, options: KillOptions): Promise<number | null> {
  if (options.ask !== null) {
    // Who loses its parent by what follows is still known by it now.
    tree.members();
    tree.ask(options.ask);
    // The grace is the first process's; what outlives that one was left behind and has none.
    await waitAtMost(options.graceMs, options.exited);
  }
  const survivors = await sweep(tree);
  if (survivors.length === 0) tree.release();
  return tree.isComplete ? survivors.length : null;
}

async function sweep(tree: ProcessTree): Promise<ProcessInfo[]> {
  const until = monotonicMs() + KILL_MS_MAX;
  let state = NEW_SWEEP;
  while (monotonicMs() < until) {
    const step = nextStep(state, tree.members());
    switch (step.do) {
      case 'finish':
        return [];
      case 'stop':
        tree.killAll();
        step.processes.forEach((process) => tree.stop(process));
        break;
      case 'kill':
        step.processes.forEach((process) => tree.kill(process));
        break;
      case 'look_again':
        break;
    }
    if (step.do !== 'stop') await sleep(SWEEP_LOOK_MS);
    state = step.sweep;
  }
  return tree.members().filter((member) => !member.isDead);
}
