import { notesOfInput, reopenedOf } from './journal-input.js';
import { type JournalRecord, type LogEnds } from './journal-state.js';
import { type Lifecycle } from './lifecycle-state.js';

/** What a step of an execution's life is in its journal. */
export type LifeNote = Extract<
  JournalRecord,
  { is: 'cancelled' | 'told' | 'input_ended' | 'held' | 'suspended' | 'decided' }
>;

export interface LifeStep {
  readonly id: string;
  readonly before: Lifecycle;
  readonly after: Lifecycle;
  /** Of every attempt so far. */
  readonly ends: () => LogEnds;
}

/**
 * What has to be written down of a step before others hear of it, so that another sidecar can go on from there. All else is
 * told by the clock, the logs and the process. An outcome is written down when it is there.
 */
export function notesOf({ id, before, after, ends }: LifeStep): LifeNote[] {
  const notes: LifeNote[] = [...notesOfInput(id, before, after)];
  const cancelled = firstCancel(after);
  if (cancelled !== undefined && firstCancel(before) === undefined) {
    notes.push({ is: 'cancelled', id, at: cancelled.at, reason: cancelled.reason });
  }
  const { hold, heldMs } = after;
  if (before.phase !== 'suspending' && after.phase === 'suspending') {
    const { session: next, failure, resumesLeft } = after;
    const reopened = reopenedOf(after);
    const suspended = { is: 'suspended', id, next, failure, resumesLeft, hold, heldMs, ends: ends() } as const;
    notes.push(reopened === undefined ? suspended : { ...suspended, reopened });
  } else if (after.phase !== 'ended' && (before.hold !== hold || before.heldMs !== heldMs)) {
    notes.push({ is: 'held', id, heldMs, hold });
  }
  if (before.verdict === null && after.verdict !== null && after.phase === 'killing') {
    notes.push({ is: 'decided', id, verdict: after.verdict, refusal: after.refusal, ends: ends() });
  }
  return notes;
}

function firstCancel({ observations }: Lifecycle) {
  return observations.find((observation) => observation.kind === 'cancelled');
}
