import { readdirSync, readFileSync } from 'node:fs';
import { type ProcessInfo } from '../../core/sweep.js';

/**
 * Reads what proc(5) says about processes. A process that is gone, or not ours to read, is `null`; everything else that
 * goes wrong, such as too many open files, is thrown: who cannot look has not seen that nobody is there.
 */
const NOBODY_TO_SEE = ['ENOENT', 'ESRCH', 'EACCES', 'EPERM'];

export function listPids(): number[] {
  return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []));
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

/** The soft limit on bytes in POSIX message queues: `null` for unlimited, too. Readable whoever owns the process. */
export function readQueueLimit(pid: number | 'self'): number | null {
  const limits = readProc(pid, 'limits');
  const match = limits === null ? null : /^Max msgqueue size\s+(\d+)/m.exec(limits);
  return match === null ? null : Number(match[1]);
}

/** Whether the environment a process was started with has this entry. */
export function hasEnvironmentEntry(pid: number, entry: string): boolean {
  const environment = readProc(pid, 'environ');
  return environment !== null && environment.split('\0').includes(entry);
}

function readProc(pid: number | 'self', file: string): string | null {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch (error) {
    if (NOBODY_TO_SEE.includes((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}
