import { randomInt } from 'node:crypto';
import { type Mark, type Marker } from './marker.js';
import { listPids, readProcess, readQueueLimit } from './proc.js';
import { findExecutable } from '../executable.js';

/** Where the own limit is unlimited, or larger than any program needs. */
const BASE_MAX = 819_200;

/**
 * Marks an execution by a limit on POSIX message queues that no other process has. It is inherited through fork, exec,
 * `setsid` and an emptied environment, and cannot be raised again without privileges; hardly any program uses such
 * queues, and half of the usual limit is left to it.
 *
 * @returns null where there is no `prlimit` or no proc(5).
 */
export function rlimitMarker(): Marker | null {
  const prlimit = findExecutable('prlimit', process.env['PATH']);
  const own = readQueueLimit('self');
  if (prlimit === null || readProcess(process.pid) === null) return null;
  const base = Math.min(own ?? BASE_MAX, BASE_MAX);
  return base < 2 ? null : { name: 'rlimit', isComplete: true, mark: () => markWith(prlimit, freeLimit(base)) };
}

/** A limit nobody has: processes of an earlier sidecar or of one further in may have others of the same range. */
function freeLimit(base: number): number {
  const taken = new Set(listPids().map((pid) => readQueueLimit(pid)));
  for (;;) {
    const limit = randomInt(Math.floor(base / 2), base);
    if (!taken.has(limit)) return limit;
  }
}

function markWith(prlimit: string, limit: number): Mark {
  return {
    prefix: [prlimit, `--msgqueue=${limit}:${limit}`, '--'],
    onLaunched: () => undefined,
    members: () => listPids().flatMap((pid) => (readQueueLimit(pid) === limit ? (readProcess(pid) ?? []) : [])),
    killAll: () => undefined,
    release: () => undefined,
  };
}
