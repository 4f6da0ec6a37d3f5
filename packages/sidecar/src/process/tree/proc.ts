import { readdirSync, readFileSync } from 'node:fs';
import { type ProcessInfo, type ProcessName } from '../../core/sweep.js';

/**
 * Reads what proc(5) says about processes. A process that is gone, or not ours to read, is `null`; everything else that
 * goes wrong, such as too many open files, is thrown: who cannot look has not seen that nobody is there.
 */
const NOBODY_TO_SEE = ['ENOENT', 'ESRCH', 'EACCES', 'EPERM'];

export function listPids(): number[] {
  return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []));
}

/** One look at the machine's processes: of each, everything is read at most once, when it is first asked for. */
export class ProcessTable {
  #pids: readonly number[] | null = null;
  readonly #processes = new Map<number, ProcessInfo | null>();
  readonly #queueLimits = new Map<number, number | null>();

  all(): ProcessInfo[] {
    this.#pids ??= listPids();
    return this.#pids.flatMap((pid) => this.find(pid) ?? []);
  }

  find(pid: number): ProcessInfo | null {
    return remembered(this.#processes, pid, readProcess);
  }

  /** A process and all it descends from, as far as they can be seen. */
  ancestors(pid: number): number[] {
    const info = this.find(pid);
    return info === null ? [] : [pid, ...this.ancestors(info.parent)];
  }

  queueLimit(pid: number): number | null {
    return remembered(this.#queueLimits, pid, readQueueLimit);
  }
}

function remembered<T>(known: Map<number, T>, pid: number, read: (pid: number) => T): T {
  const before = known.get(pid);
  if (before !== undefined) return before;
  const value = read(pid);
  known.set(pid, value);
  return value;
}

/** The fields of `/proc/PID/stat` that name a process; they are counted after the last ")", since a name can hold any. */
export function readProcess(pid: number): ProcessInfo | null {
  const stat = readProc(pid, 'stat');
  if (stat === null) return null;
  const [state, parent, group, session, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return {
    pid,
    startTime: rest[15] ?? '',
    parent: Number(parent),
    group: Number(group),
    session: Number(session),
    isDead: state === 'Z' || state === 'X',
  };
}

/** Of the fields of proc(5) that count time. */
const TICKS_PER_SECOND = 100;

/** When a process was started, on the clock that says `nowMs` now; `nowMs` where that cannot be told. */
export function startedAt({ startTime }: ProcessName, nowMs: number): number {
  const upMs = Number.parseFloat(readProc(null, 'uptime') ?? '') * 1000;
  const ageMs = upMs - (Number(startTime) / TICKS_PER_SECOND) * 1000;
  return ageMs > 0 ? nowMs - ageMs : nowMs;
}

/** The hard limit on bytes in POSIX message queues, `Infinity` for none. Readable whoever owns the process. */
export function readQueueLimit(pid: number | 'self'): number | null {
  const limit = /^Max msgqueue size\s+\S+\s+(\S+)/m.exec(readProc(pid, 'limits') ?? '')?.[1];
  if (limit === undefined) return null;
  return limit === 'unlimited' ? Infinity : Number(limit);
}

/** The cgroups a process is in, as proc(5) has them; empty for one that cannot be seen. */
export function readCgroups(pid: number): string {
  return readProc(pid, 'cgroup') ?? '';
}

/** Whether this process, and so what it starts, may raise limits (CAP_SYS_RESOURCE of capabilities(7)). */
export function canRaiseLimits(): boolean {
  const effective = /^CapEff:\s+([0-9a-f]+)/m.exec(readProc('self', 'status') ?? '')?.[1] ?? '0';
  return ((BigInt(`0x${effective}`) >> 24n) & 1n) === 1n;
}

/** The pid of the process that a thread is of. */
export function readThreadGroup(thread: number): number | null {
  const group = /^Tgid:\s+(\d+)/m.exec(readProc(thread, 'status') ?? '')?.[1];
  return group === undefined ? null : Number(group);
}

/** Whether the environment a process was started with has this entry. */
export function hasEnvironmentEntry(pid: number, entry: string): boolean {
  const environment = readProc(pid, 'environ');
  return environment !== null && environment.split('\0').includes(entry);
}

function readProc(pid: number | 'self' | null, file: string): string | null {
  try {
    return readFileSync(pid === null ? `/proc/${file}` : `/proc/${pid}/${file}`, 'utf8');
  } catch (error) {
    if (NOBODY_TO_SEE.includes((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}
