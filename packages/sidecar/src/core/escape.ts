import { type ProcessInfo, type ProcessName } from './sweep.js';

/** A process with its hard limit on message queues, in bytes; `Infinity` for unlimited. */
export interface LimitedProcess extends ProcessInfo {
  readonly limit: number;
}

export interface LimitedTree {
  readonly leader: ProcessName;
  /** The hard limit its processes start with. Unprivileged, they can lower it, but not raise it again. */
  readonly mark: number;
  /** Whether a limit is the mark of any tree. */
  readonly isMark: (limit: number) => boolean;
  /** Who a process can be given to whose parent has ended: init, and whoever the first process descends from. */
  readonly adopters: ReadonlySet<number>;
}

/**
 * Whom of `processes` the tree may have lost by a lowered limit. Such a process has a limit below the mark, is no older
 * than the first one, and its parent is another such, one that still bears the mark, or an adopter. Nobody else can be
 * of the tree, but not everybody who is found need be: who serves somebody else can have a low limit, too.
 */
export function possibleEscapees(processes: readonly LimitedProcess[], tree: LimitedTree): LimitedProcess[] {
  const byPid = new Map(processes.map((process) => [process.pid, process]));
  const isInside = ({ limit, startTime }: LimitedProcess) =>
    (limit === tree.mark || (limit < tree.mark && !tree.isMark(limit))) &&
    Number(startTime) >= Number(tree.leader.startTime);

  const canDescend = (process: LimitedProcess) => {
    let at: LimitedProcess | undefined = process;
    // What is read one by one can contradict itself; a chain longer than there are processes does.
    for (let hops = 0; hops <= processes.length; hops++) {
      if (!isInside(at)) return false;
      if (tree.adopters.has(at.parent)) return true;
      const parent: LimitedProcess | undefined = byPid.get(at.parent);
      // No parent at all (0): it came from outside the container. A parent that is not listed has ended meanwhile.
      if (parent === undefined) return at.parent !== 0;
      at = parent;
    }
    return true;
  };
  return processes.filter((process) => !process.isDead && process.limit !== tree.mark && canDescend(process));
}
