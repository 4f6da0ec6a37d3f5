import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicMs } from '../clock.js';
import { NEW_SWEEP, nextStep, type ProcessInfo, type Sweep } from '../core/sweep.js';
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
 * @returns The processes found alive afterwards; null where that cannot be known for sure.
 */
export async function killTree(tree: ProcessTree, options: KillOptions): Promise<number | null> {
  if (options.ask !== null) {
    ask(tree, options.ask);
    // The grace is the first process's; what outlives that one was left behind and has none.
    await waitAtMost(options.graceMs, options.exited);
  }
  const survivors = await sweep(tree);
  if (survivors?.length === 0) tree.release();
  return tree.isComplete ? (survivors?.length ?? null) : null;
}

/** Nothing hangs on it: what cannot be asked is killed after its grace. */
function ask(tree: ProcessTree, signal: NodeJS.Signals): void {
  try {
    // Who loses its parent by what follows is still known by it now.
    tree.members();
    tree.ask(signal);
  } catch {
    return;
  }
}

/** @returns Who is left; null when the last look failed. */
async function sweep(tree: ProcessTree): Promise<ProcessInfo[] | null> {
  const until = monotonicMs() + KILL_MS_MAX;
  for (let state: Sweep | null = NEW_SWEEP; monotonicMs() < until;) {
    const hadStopped: number = state.stopped.size;
    state = takeStep(tree, state);
    if (state === null) return [];
    // Whoever was forked by what has just been stopped is to be found before it forks in turn.
    if (state.stopped.size === hadStopped) await sleep(SWEEP_LOOK_MS);
  }
  try {
    return tree.members().filter((member) => !member.isDead);
  } catch {
    return null;
  }
}

/** @returns null: nobody is left. */
function takeStep(tree: ProcessTree, state: Sweep): Sweep | null {
  try {
    const step = nextStep(state, tree.members());
    switch (step.do) {
      case 'finish':
        return null;
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
    return step.sweep;
  } catch {
    // A look that failed, for want of open files say, is no look that found nobody.
    return { ...state, cleanLooks: 0 };
  }
}
