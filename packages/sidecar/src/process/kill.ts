import { monotonicMs } from '../clock.js';
import { NEW_SWEEP, nextStep, type Sweep, type SweepStep } from '../core/sweep.js';
import { waitAtMost } from '../timeout.js';
import { nextLook } from './tree/looks.js';
import { ProcessTable } from './tree/proc.js';
import { type ProcessTree } from './tree/tree.js';

/** Asking may take the whole grace; killing what does not listen, no longer than this. */
const KILL_MS_MAX = 5000;

export interface KillOptions {
  /** What to ask with; null: do not ask. */
  readonly ask: NodeJS.Signals | null;
  readonly graceMs: number;
  /** Resolves when the first process has exited. */
  readonly exited: Promise<void>;
  /** Resolves when nobody wants to wait for the rest of the grace. */
  readonly hurried?: Promise<void>;
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
    await waitAtMost(options.graceMs, Promise.race([options.exited, options.hurried ?? options.exited]));
  }
  const survivors = await sweep(tree);
  tree.release();
  return survivors;
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

async function sweep(tree: ProcessTree): Promise<number | null> {
  const until = monotonicMs() + KILL_MS_MAX;
  let state = NEW_SWEEP;
  let isCertain = true;
  let table = await nextLook();
  while (monotonicMs() < until) {
    const { step, isClear } = takeStep(tree, state, table);
    if (step.do === 'finish') return isCertain && isClear ? 0 : null;
    // As with the members: what one look at a process table in motion misses, three do not.
    isCertain = step.sweep.cleanLooks > 0 ? isCertain && isClear : true;
    state = step.sweep;
    // Whoever was forked by what has just been stopped is to be found before it forks in turn.
    table = step.do === 'stop' ? new ProcessTable() : await nextLook();
  }
  return count(tree);
}

/** Looks, and does what is to be done then. `isClear`: the members are all who can be of the tree. */
function takeStep(tree: ProcessTree, state: Sweep, table: ProcessTable): { step: SweepStep; isClear: boolean } {
  try {
    const members = tree.members(table);
    const step = nextStep(state, members);
    switch (step.do) {
      case 'stop':
        tree.killAll();
        step.processes.forEach((process) => tree.stop(process));
        break;
      case 'kill':
        step.processes.forEach((process) => tree.kill(process));
        break;
      case 'look_again':
      case 'finish':
        return { step, isClear: tree.isCertain(members, table) };
    }
    return { step, isClear: true };
  } catch {
    // A look that failed, for want of open files say, is no look that found nobody.
    return { step: { do: 'look_again', sweep: { ...state, cleanLooks: 0 } }, isClear: true };
  }
}

function count(tree: ProcessTree): number | null {
  try {
    const table = new ProcessTable();
    const members = tree.members(table);
    return tree.isCertain(members, table) ? members.filter((member) => !member.isDead).length : null;
  } catch {
    return null;
  }
}
