/**
 * Clearing a tree of processes that may fork faster than one can kill: stop whatever is new until nothing new turns up,
 * then kill it all at once, and believe in the end only after several looks that found nobody.
 */

/** Names a process for as long as the machine runs; a pid alone does not, since pids are used again. */
export interface ProcessName {
  readonly pid: number;
  /** As proc(5) has it: hundredths of a second since the machine was started. */
  readonly startTime: string;
}

/** A process as `/proc/PID/stat` shows it. */
export interface ProcessInfo extends ProcessName {
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  /** A zombie: dead, but not yet collected by its parent. */
  readonly isDead: boolean;
}

export interface Sweep {
  /** Start times of what was stopped, by pid. */
  readonly stopped: ReadonlyMap<number, string>;
  readonly cleanLooks: number;
}

export type SweepStep =
  | { do: 'stop'; processes: readonly ProcessInfo[]; sweep: Sweep }
  | { do: 'kill'; processes: readonly ProcessInfo[]; sweep: Sweep }
  | { do: 'look_again'; sweep: Sweep }
  | { do: 'finish' };

/** A process between fork and the moment its parent is looked at can be missed by one look, not by three in a row. */
const CLEAN_LOOKS_NEEDED = 3;

export const NEW_SWEEP: Sweep = { stopped: new Map(), cleanLooks: 0 };

/** What to do after a look that found `members` of the tree. */
export function nextStep(sweep: Sweep, members: readonly ProcessInfo[]): SweepStep {
  const alive = members.filter((member) => !member.isDead);
  if (alive.length === 0) {
    const cleanLooks = sweep.cleanLooks + 1;
    return cleanLooks >= CLEAN_LOOKS_NEEDED ? { do: 'finish' } : { do: 'look_again', sweep: { ...sweep, cleanLooks } };
  }
  const fresh = alive.filter((member) => sweep.stopped.get(member.pid) !== member.startTime);
  const stopped = new Map([...sweep.stopped, ...fresh.map((member) => [member.pid, member.startTime] as const)]);
  return fresh.length > 0
    ? { do: 'stop', processes: fresh, sweep: { stopped, cleanLooks: 0 } }
    : { do: 'kill', processes: alive, sweep: { stopped, cleanLooks: 0 } };
}

/**
 * Everything in `processes` that belongs to the tree of `known`: by descent, process group or session.
 *
 * @param known Processes of the tree seen at any time, dead ones included: their group can outlive them. A group is not
 *   theirs any more once its number is the pid of a newcomer.
 */
export function relatives(processes: readonly ProcessInfo[], known: readonly ProcessName[]): ProcessInfo[] {
  const startTimes = new Map(known.map((process) => [process.pid, process.startTime]));
  const isNewcomer = (process: ProcessInfo) =>
    startTimes.has(process.pid) && startTimes.get(process.pid) !== process.startTime;
  const reused = new Set(processes.filter(isNewcomer).map((process) => process.pid));

  const found = new Map<number, ProcessInfo>();
  const belongs = (process: ProcessInfo) =>
    startTimes.get(process.pid) === process.startTime ||
    found.has(process.parent) ||
    [process.group, process.session].some((id) => found.has(id) || (startTimes.has(id) && !reused.has(id)));

  for (let foundBefore = -1; foundBefore < found.size;) {
    foundBefore = found.size;
    for (const process of processes) {
      if (!isNewcomer(process) && belongs(process)) found.set(process.pid, process);
    }
  }
  return [...found.values()];
}

/** Who of these was there first; null when all are dead. Of those as old as each other it is the one the others come from. */
export function oldest(processes: readonly ProcessInfo[]): ProcessInfo | null {
  const alive = processes.filter((process) => !process.isDead);
  const firstTime = Math.min(...alive.map(({ startTime }) => Number(startTime)));
  const first = alive.filter(({ startTime }) => Number(startTime) === firstTime);
  const pids = new Set(first.map(({ pid }) => pid));
  return first.find(({ parent }) => !pids.has(parent)) ?? first[0] ?? null;
}
