import { oldest, type ProcessInfo, type ProcessName } from '../../core/sweep.js';
import { cgroupMarker } from './cgroup.js';
import { descentMarker, lineageMarker } from './lineage.js';
import { type Marker, type MarkerName } from './marker.js';
import { makeMarks, type MarkStates, type Marks, restoreMarks } from './marks.js';
import { ProcessTable, readProcess } from './proc.js';
import { rlimitMarker } from './rlimit.js';

const PROBES: Readonly<Record<MarkerName, readonly (() => Marker | null)[]>> = {
  cgroup: [cgroupMarker],
  // Who lowers its limit is still somebody's child, or was when last looked at.
  rlimit: [rlimitMarker, descentMarker],
  lineage: [lineageMarker],
};

/**
 * The markers to use here.
 *
 * @param wanted `auto`: a cgroup and the limit where the machine offers both, or else the best it does. A name: that way
 *   alone.
 * @returns An empty list when the machine does not offer what is wanted.
 */
export function probeMarkers(wanted: MarkerName | 'auto'): Marker[] {
  if (wanted !== 'auto') {
    const markers = PROBES[wanted].map((probe) => probe());
    return markers[0] === null ? [] : markers.filter((marker) => marker !== null);
  }
  const cgroup = cgroupMarker();
  if (cgroup !== null) return [cgroup, rlimitMarker()].filter((marker) => marker !== null);
  return (['rlimit', 'lineage'] as const).map(probeMarkers).find((markers) => markers.length > 0) ?? [];
}

/** All processes of one execution, whatever they did to get away. */
export class ProcessTree {
  readonly #marks: Marks;
  #leader: ProcessName | null = null;
  /** The pid of the first process while that could not be looked at. */
  #unseen: number | null = null;

  private constructor(marks: Marks) {
    this.#marks = marks;
  }

  /** A tree whose first process is yet to be started. */
  static mark(markers: readonly Marker[], executionId: string): ProcessTree {
    return new ProcessTree(makeMarks(markers, executionId));
  }

  /**
   * A tree that another sidecar has started, or was about to.
   *
   * @param states What that one noted.
   * @param leader Its first process, dead or alive; null: it is not known whether there was one.
   */
  static restore(markers: readonly Marker[], states: MarkStates, leader: ProcessName | null): ProcessTree {
    const tree = new ProcessTree(restoreMarks(markers, states));
    if (leader !== null) tree.#setLeader(leader);
    return tree;
  }

  /** What goes before the command so that its process starts marked. */
  get prefix(): readonly string[] {
    return this.#marks.all.flatMap((mark) => mark.prefix);
  }

  /** What must be noted for the tree to be restored. */
  get states(): MarkStates {
    return this.#marks.states;
  }

  /** Whether whoever bears a mark of the tree is found by it: none was noted that could not be restored. */
  get hasAllMarks(): boolean {
    return this.#marks.hasAll;
  }

  /** The first process; null while it is not known. */
  get leader(): ProcessName | null {
    return this.#leader;
  }

  onLaunched(pid: number): void {
    this.#unseen = pid;
    try {
      this.#meetLeader(pid);
    } catch {
      // The process runs; the next look at its tree sees it, or says in turn that it cannot.
    }
  }

  #meetLeader(pid: number): void {
    const leader = readProcess(pid);
    this.#unseen = null;
    // It has ended, and the pid can be another's by now.
    if (leader?.parent !== process.pid) return;
    this.#setLeader(leader);
  }

  /**
   * Takes the oldest of the processes that bear the marks for the first one. Null: there is none.
   *
   * @throws Error like {@link members}.
   */
  findLeader(): ProcessName | null {
    const found = oldest(this.members());
    if (found !== null) this.#setLeader(found);
    return this.#leader;
  }

  #setLeader({ pid, startTime }: ProcessName): void {
    const leader = { pid, startTime };
    this.#leader = leader;
    this.#marks.all.forEach((mark) => mark.onLaunched(leader));
  }

  /** @throws Error when some of the processes cannot be looked at. */
  members(table = new ProcessTable()): ProcessInfo[] {
    if (this.#unseen !== null) this.#meetLeader(this.#unseen);
    const marked = this.#marks.all.flatMap((mark) => mark.members(table));
    const leader = this.#leader === null ? null : table.find(this.#leader.pid);
    // It can take its mark off, but not stop being the process that was started.
    if (leader !== null && leader.startTime === this.#leader?.startTime) marked.push(leader);
    return [...new Map(marked.map((member) => [member.pid, member])).values()];
  }

  /**
   * Whether nobody lives who may be of the execution besides its members, which were found by the same look.
   *
   * @throws Error like {@link members}.
   */
  isCertain(members: readonly ProcessInfo[], table: ProcessTable): boolean {
    const pids = new Set(members.map((member) => member.pid));
    const isMember = ({ pid }: ProcessInfo) => pids.has(pid);
    return (
      this.#leader !== null &&
      this.#marks.isComplete &&
      this.#marks.all.every((mark) => mark.possibleEscapees(table).every(isMember))
    );
  }

  /** Sends a signal to the process group of the first process, if that lives. */
  ask(signal: NodeJS.Signals): void {
    if (this.#leader !== null && isStill(this.#leader)) send(-this.#leader.pid, signal);
  }

  /** Stops a process, unless its pid is another's by now. */
  stop(target: ProcessInfo): void {
    if (!isStill(target)) return;
    send(target.pid, 'SIGSTOP');
    // Between look and signal the pid can have changed hands; who got the signal by mistake goes on.
    if (!isStill(target)) send(target.pid, 'SIGCONT');
  }

  /** Kills a process that was stopped before: it cannot have ended by itself, so the pid is still its own. */
  kill(target: ProcessInfo): void {
    if (isStill(target)) send(target.pid, 'SIGKILL');
  }

  /** Kills every process at once where the kernel can. */
  killAll(): void {
    this.#marks.all.forEach((mark) => mark.killAll());
  }

  /** Gives up what the marks occupy. */
  release(): void {
    this.#marks.all.forEach((mark) => mark.release());
  }
}

/** Whether a process lives, and not another one under its pid. @throws Error when it cannot be looked at. */
export function isStill(target: ProcessName): boolean {
  const now = readProcess(target.pid);
  return now !== null && now.startTime === target.startTime && !now.isDead;
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // Of another user (sudo): not ours to signal, found again by the next look, and counted as a survivor.
    if (!['ESRCH', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}
