import { basename } from 'node:path';
import { type ProcessInfo } from '../../core/sweep.js';
import { type Mark, type Marker } from './marker.js';
import { readCgroups } from './proc.js';

/** What must be noted of each mark for it to be restored, by the name of its marker. */
export type MarkStates = Readonly<Record<string, string>>;

/** The marks on the processes of one execution. */
export interface Marks {
  readonly all: readonly Mark[];
  readonly states: MarkStates;
  /** Whether no process can escape all of them unnoticed. */
  readonly isComplete: boolean;
  /** Whether no mark is missing that was made. */
  readonly hasAll: boolean;
}

/** All of them or none. */
export function makeMarks(markers: readonly Marker[], executionId: string): Marks {
  const made: (readonly [Marker, Mark])[] = [];
  try {
    for (const marker of markers) made.push([marker, marker.mark(executionId)]);
  } catch (error) {
    made.forEach(([, mark]) => mark.release());
    throw error;
  }
  return toMarks(made, true);
}

/** Those that are still to be had. */
export function restoreMarks(markers: readonly Marker[], states: MarkStates): Marks {
  const restored = markers.flatMap((marker) => {
    const state = states[marker.name];
    const mark = state === undefined ? null : marker.restore(state);
    return mark === null ? [] : [[marker, mark] as const];
  });
  const own = states['cgroup'];
  const safe = own === undefined ? restored : restored.map(([marker, mark]) => [marker, sparing(mark, own)] as const);
  return toMarks(safe, restored.length === Object.keys(states).length);
}

/**
 * While nobody looked after a run whose processes are dead, the limit that marked it may have been given to a run of another
 * sidecar. Who is in the group of another run is of that run.
 */
function sparing(mark: Mark, ownGroup: string): Mark {
  const own = basename(ownGroup);
  const isForeign = ({ pid }: ProcessInfo) => {
    const group = /\/(outrigger-\d+-\d+-\d+-[^/\n]+)/.exec(readCgroups(pid))?.[1];
    return group !== undefined && group !== own;
  };
  return { ...mark, members: (table) => mark.members(table).filter((process) => !isForeign(process)) };
}

function toMarks(marked: readonly (readonly [Marker, Mark])[], hasAll: boolean): Marks {
  return {
    all: marked.map(([, mark]) => mark),
    states: Object.fromEntries(marked.map(([marker, mark]) => [marker.name, mark.state])),
    isComplete: marked.some(([marker]) => marker.isComplete),
    hasAll,
  };
}
