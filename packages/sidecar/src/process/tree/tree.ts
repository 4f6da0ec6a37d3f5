import { type ProcessInfo } from '../../core/sweep.js';
import { cgroupMarker } from './cgroup.js';
import { descentMarker, lineageMarker } from './lineage.js';
import { type Mark, type Marker, type MarkerName } from './marker.js';
import { readProcess } from './proc.js';
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
  readonly #marks: readonly Mark[];
  readonly #isComplete: boolean;
  /** What goes before the command so that its process starts marked. */
  readonly prefix: readonly string[];
  #leader: ProcessInfo | null = null;
  /** The pid of the first process while that could not be looked at. */
  #unseen: number | null = null;

  constructor(markers: readonly Marker[], executionId: string) {
    this.#marks = makeMarks(markers, executionId);
    this.#isComplete = markers.some((marker) => marker.isComplete);
    this.prefix = this.#marks.flatMap((mark) => mark.prefix);
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
    this.#leader = leader;
    this.#marks.forEach((mark) => mark.onLaunched(leader));
  }

  /** @throws Error when some of the processes cannot be looked at. */
  members(): ProcessInfo[] {
    if (this.#unseen !== null) this.#meetLeader(this.#unseen);
    const marked = this.#marks.flatMap((mark) => mark.members());
    const leader = this.#leader === null ? null : readProcess(this.#leader.pid);
    // It can take its mark off, but not stop being the process that was started.
    if (leader !== null && leader.startTime === this.#leader?.startTime) marked.push(leader);
    return [...new Map(marked.map((member) => [member.pid, member])).values()];
  }

  /**
   * Whether nobody lives who may be of the execution besides its members.
   *
   * @throws Error like {@link members}.
   */
  isCertain(members: readonly ProcessInfo[]): boolean {
    const pids = new Set(members.map((member) => member.pid));
    const isMember = ({ pid }: ProcessInfo) => pids.has(pid);
    return (
      this.#leader !== null && this.#isComplete && this.#marks.every((mark) => mark.possibleEscapees().every(isMember))
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
    this.#marks.forEach((mark) => mark.killAll());
  }

  /** Gives up what the marks occupy. */
  release(): void {
    this.#marks.forEach((mark) => mark.release());
  }
}

/** All of them or none. */
function makeMarks(markers: readonly Marker[], executionId: string): Mark[] {
  const marks: Mark[] = [];
  try {
    for (const marker of markers) marks.push(marker.mark(executionId));
    return marks;
  } catch (error) {
    marks.forEach((mark) => mark.release());
    throw error;
  }
}

function isStill(target: ProcessInfo): boolean {
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
