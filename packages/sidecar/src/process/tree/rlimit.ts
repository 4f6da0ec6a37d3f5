import { randomInt } from 'node:crypto';
import { type LimitedProcess, possibleEscapees } from '../../core/escape.js';
import { type ProcessName } from '../../core/sweep.js';
import { findExecutable } from '../executable.js';
import { type Mark, type Marker } from './marker.js';
import { canRaiseLimits, listPids, type ProcessTable, readProcess, readQueueLimit } from './proc.js';

/** Where the own limit is unlimited, or larger than any program needs. */
const BASE_MAX = 819_200;
/** Of so many neighbouring limits one is a mark: a limit that somebody chose for another reason is hardly ever one. */
const MARK_SPACING = 64;
/** Below this there are fewer marks than there may be runs. */
const BASE_MIN = 128 * 1024;
const INIT = 1;

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
  if (prlimit === null || own === null || readProcess(process.pid) === null) return null;
  const marks = new Marks(Math.min(own, BASE_MAX));
  if (marks.base < BASE_MIN) return null;
  return {
    name: 'rlimit',
    isComplete: !canRaiseLimits(),
    mark: () => markWith(prlimit, marks.take(), marks),
    restore: (state) => {
      const limit = Number(state);
      if (!Number.isSafeInteger(limit) || limit <= 0) return null;
      marks.reserve(limit);
      return markWith(prlimit, limit, marks);
    },
    removeLeftovers: () => undefined,
  };
}

/**
 * The limits that are marks below a limit. They have one remainder: by it sidecars side by side know each other's marks,
 * while those of a sidecar that runs inside a run, under its mark, have another and are never taken for a neighbour's.
 */
class Marks {
  readonly base: number;
  readonly #remainder: number;
  /** Given away, though perhaps to a process that does not have it yet. */
  readonly #taken = new Set<number>();

  constructor(base: number) {
    this.base = base;
    this.#remainder = (base + 37) % MARK_SPACING;
  }

  has(limit: number): boolean {
    return limit >= this.base / 2 && limit < this.base && limit % MARK_SPACING === this.#remainder;
  }

  /** One that nobody has; processes of an earlier sidecar or of one beside this can have others. */
  take(): number {
    const taken = new Set([...this.#taken, ...listPids().map((pid) => readQueueLimit(pid))]);
    const first = Math.floor(this.base / 2 / MARK_SPACING);
    const count = first + 1;
    const start = randomInt(count);
    for (let i = 0; i < count; i++) {
      const mark = (first + ((start + i) % count)) * MARK_SPACING + this.#remainder;
      if (!this.has(mark) || taken.has(mark)) continue;
      this.reserve(mark);
      return mark;
    }
    throw new Error('every limit on message queues that can mark a run is in use');
  }

  reserve(mark: number): void {
    this.#taken.add(mark);
  }

  giveBack(mark: number): void {
    this.#taken.delete(mark);
  }
}

function markWith(prlimit: string, mark: number, marks: Marks): Mark {
  let leader: ProcessName | null = null;
  return {
    prefix: [prlimit, `--msgqueue=${mark}:${mark}`, '--'],
    state: String(mark),
    onLaunched: (process) => (leader = process),
    members: (table) =>
      table.all().filter((process) => isNoOlder(process, leader) && table.queueLimit(process.pid) === mark),
    possibleEscapees: (table) => {
      if (leader === null) return [];
      const adopters = new Set([INIT, ...table.ancestors(process.pid)]);
      const isMark = (limit: number) => marks.has(limit);
      return possibleEscapees(listLimited(table, leader), { leader, mark, isMark, adopters });
    },
    killAll: () => undefined,
    release: () => marks.giveBack(mark),
  };
}

/** All processes with their limits; of those that are older than `leader`, and so do not come from it, none is read. */
function listLimited(table: ProcessTable, leader: ProcessName): LimitedProcess[] {
  return table.all().flatMap((process) => {
    const limit = isNoOlder(process, leader) ? table.queueLimit(process.pid) : Infinity;
    return limit === null ? [] : [{ ...process, limit }];
  });
}

function isNoOlder(process: ProcessName, leader: ProcessName | null): boolean {
  return leader === null || Number(process.startTime) >= Number(leader.startTime);
}
