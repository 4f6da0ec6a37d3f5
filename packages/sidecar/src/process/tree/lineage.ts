import { type ProcessInfo, relatives } from '../../core/sweep.js';
import { type Mark, type Marker } from './marker.js';
import { hasEnvironmentEntry, listPids, readProcess } from './proc.js';

/**
 * Finds the processes of an execution by the variable in their environment, and by descent, process group and session
 * of those seen before. What empties its environment, leaves its session and loses its parent between two looks is
 * missed: a count of survivors is not to be had this way.
 */
export function lineageMarker(): Marker | null {
  if (readProcess(process.pid) === null) return null;
  return {
    name: 'lineage',
    isComplete: false,
    mark: (executionId) => markWith(`OUTRIGGER_EXECUTION_ID=${executionId}`),
  };
}

function markWith(entry: string): Mark {
  let known: ProcessInfo[] = [];
  return {
    prefix: [],
    onLaunched: (leader) => known.push(leader),
    members: () => {
      const processes = listPids().flatMap((pid) => readProcess(pid) ?? []);
      const named = processes.filter((process) => hasEnvironmentEntry(process.pid, entry));
      const members = relatives(processes, [...known, ...named]);
      known = remember(known, members, processes);
      return members;
    },
    killAll: () => undefined,
    release: () => (known = []),
  };
}

/** The dead are kept for as long as somebody is in a group or session that bears their number. */
function remember(known: ProcessInfo[], members: ProcessInfo[], processes: ProcessInfo[]): ProcessInfo[] {
  const pids = new Set(members.map((member) => member.pid));
  const inUse = new Set(processes.flatMap((process) => [process.group, process.session]));
  return [...members, ...known.filter((process) => !pids.has(process.pid) && inUse.has(process.pid))];
}
