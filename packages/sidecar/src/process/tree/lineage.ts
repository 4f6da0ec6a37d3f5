import { randomUUID } from 'node:crypto';
import { type ProcessInfo, type ProcessName, relatives } from '../../core/sweep.js';
import { type Mark, type Marker } from './marker.js';
import { hasEnvironmentEntry, ProcessTable, readProcess } from './proc.js';

/** How often trees are looked at: who loses its parent is known only if somebody looked before. */
const NOTE_INTERVAL_MS = 250;

/**
 * Finds the processes of an execution by descent, process group and session of those seen before, and by the variable in
 * their environment. What empties its environment, leaves its session and loses its parent between two looks is missed:
 * a count of survivors is not to be had this way.
 */
export function lineageMarker(): Marker | null {
  // An execution's id would not do: a neighbour's run can have the same.
  return markerBy(() => `OUTRIGGER_MARK=${randomUUID()}`);
}

/** The same without the environment, which a neighbour's run of the same id has, too: for use beside a better mark. */
export function descentMarker(): Marker | null {
  return markerBy(() => NO_ENTRY);
}

const NO_ENTRY = '';

function markerBy(entryOf: () => string): Marker | null {
  if (readProcess(process.pid) === null) return null;
  const notes = new Notes();
  return {
    name: 'lineage',
    isComplete: false,
    mark: () => markWith(entryOf(), notes),
    restore: (entry) => markWith(entry, notes),
    removeLeftovers: () => undefined,
  };
}

/** One look at all processes of the machine for all trees that go on. */
class Notes {
  readonly #takers = new Set<(table: ProcessTable) => void>();
  #timer: NodeJS.Timeout | undefined;

  add(taker: (table: ProcessTable) => void): void {
    this.#takers.add(taker);
    this.#timer ??= setInterval(() => this.#take(), NOTE_INTERVAL_MS);
  }

  remove(taker: (table: ProcessTable) => void): void {
    this.#takers.delete(taker);
    if (this.#takers.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #take(): void {
    try {
      const table = new ProcessTable();
      this.#takers.forEach((taker) => taker(table));
    } catch {
      // What cannot be seen now, for want of open files say, is looked at again in a moment.
    }
  }
}

function markWith(entry: string, notes: Notes): Mark {
  let known: readonly ProcessName[] = [];
  const look = (table: ProcessTable) => {
    const processes = table.all();
    const named = entry === NO_ENTRY ? [] : processes.filter(({ pid }) => hasEnvironmentEntry(pid, entry));
    const members = relatives(processes, [...known, ...named]);
    known = remember(known, members, processes);
    return members;
  };
  return {
    prefix: entry === NO_ENTRY ? [] : ['/usr/bin/env', entry],
    state: entry,
    onLaunched: (leader) => {
      known = [...known, leader];
      notes.add(look);
    },
    members: look,
    possibleEscapees: () => [],
    killAll: () => undefined,
    release: () => notes.remove(look),
  };
}

/** The dead are kept for as long as somebody is in a group or session that bears their number. */
function remember(
  known: readonly ProcessName[],
  members: readonly ProcessInfo[],
  processes: readonly ProcessInfo[],
): ProcessName[] {
  const pids = new Set(members.map((member) => member.pid));
  const inUse = new Set(processes.flatMap((process) => [process.group, process.session]));
  return [...members, ...known.filter((process) => !pids.has(process.pid) && inUse.has(process.pid))];
}
