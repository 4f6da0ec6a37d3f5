import { type AttemptStart, type JournalledAttempt } from '../core/journal-state.js';
import { type ProcessName } from '../core/sweep.js';
import { type Attempt } from '../process/attempt.js';
import { killTree } from '../process/kill.js';
import { type Marker } from '../process/tree/marker.js';
import { ProcessTree } from '../process/tree/tree.js';
import { type NotedAttempt } from './run-attempt.js';

/** `never_started`: there is no process, and there never was. `unknown`: it cannot be told. */
export type Adopted = 'adopted' | 'never_started' | 'unknown';

/**
 * Takes over the process of an attempt that another sidecar has written down, dead or alive. Where nobody is found whose
 * start was never noted, the logs tell whether there was anybody: a CLI prints before it does anything.
 */
export async function adoptAttempt(
  process: Attempt,
  { attempt, since, canLive, ends }: NotedAttempt,
  markers: readonly Marker[],
): Promise<Adopted> {
  const { launched, start } = attempt;
  if (ends !== null) process.fixEndsAt(ends);
  if (!canLive) {
    process.adoptDead(launched?.at ?? since, { isTreeDead: true });
    return 'adopted';
  }
  const leader = leaderOf(attempt);
  const found = await process.adopt(markers, { marks: start.marks, leader, since: launched?.at ?? since });
  if (found === 'adopted') return 'adopted';
  if (process.stdout.size() + process.stderr.size() > 0) {
    process.adoptDead(since, { isTreeDead: found === 'nothing_runs' });
    return 'adopted';
  }
  return found === 'nothing_runs' ? 'never_started' : 'unknown';
}

/** Ends attempts that cannot be taken over, at once. @returns survivors; null where that cannot be known for sure */
export async function killNoted(
  attempts: readonly JournalledAttempt[],
  { canLive, markers }: { readonly canLive: boolean; readonly markers: readonly Marker[] },
): Promise<number | null> {
  if (!canLive) return 0;
  const counts = await Promise.all(attempts.map((attempt) => killOne(attempt, markers)));
  return counts.reduce<number | null>((sum, count) => (sum === null || count === null ? null : sum + count), 0);
}

async function killOne(attempt: JournalledAttempt, markers: readonly Marker[]): Promise<number | null> {
  // What is written down may make no sense, which is why it cannot be taken over.
  const { marks = {} } = (attempt.start as AttemptStart | null) ?? {};
  const tree = ProcessTree.restore(markers, marks, leaderOf(attempt));
  return killTree(tree, { ask: null, graceMs: 0, exited: Promise.resolve() });
}

function leaderOf({ launched }: JournalledAttempt): ProcessName | null {
  return launched === null ? null : { pid: launched.pid, startTime: launched.startTime };
}
