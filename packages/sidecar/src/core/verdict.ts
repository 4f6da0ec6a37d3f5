import { mergeObservations, type Observation, type ReasonOf, type Verdict } from '@outrigger/protocol';
import { endsProcess } from './conversation.js';
import { type Exit, type Hold, type Lifecycle } from './lifecycle-state.js';

/** What a state of an execution amounts to: when it is done, and how it ended. */

/**
 * When a process that has printed its result is not waited for any longer; null: it is not done yet. One that is talked to
 * does not exit by itself: it has a grace only for the turn that a task's end leads to.
 */
export function graceEnd(state: Lifecycle): number | null {
  const at = doneAt(state);
  if (at === null || state.openTasks > 0) return at;
  return isStopped(state) && state.taskEndedAt === null ? at : at + state.limits.graceMs;
}

/** How much of its grace a process has left whose end was decided before; whoever has ended by itself had all of it. */
export function graceLeft(state: Lifecycle, nowMs: number): number {
  const { verdict, limits } = state;
  const wasStopped = isStopped(state) || verdict?.status === 'cancelled' || verdict?.status === 'timed_out';
  return verdict !== null && wasStopped ? Math.max(0, verdict.at + limits.graceMs - nowMs) : 0;
}

/** Whether the process has to be ended even when it has done all it was to do. */
function isStopped({ conversation }: Lifecycle): boolean {
  return conversation !== null;
}

/** When the result stands, unless something happens before; null: there is none, or something else is to come. */
export function doneAt(state: Lifecycle): number | null {
  const { result, isTurnOpen, openTasks, limits, conversation } = state;
  if (result === null || isTurnOpen) return null;
  const workEndsAt =
    openTasks > 0 ? result.at + limits.backgroundTimeoutMs : Math.max(result.at, state.taskEndedAt ?? result.at);
  if (conversation === null) return workEndsAt;
  if (endsProcess(result)) return result.at;
  const { asked, pending, endAskedAt } = conversation;
  if (asked !== null || pending.length > 0) return null;
  if (endAskedAt !== null) return Math.max(workEndsAt, endAskedAt);
  const waitsUntil = Math.max(result.at, state.taskEndedAt ?? result.at) + (limits.interactiveIdleMs ?? 0);
  return Math.max(workEndsAt, waitsUntil);
}

/** Whether an interactive run can be told anything more: its end is not decided, nor due, nor asked for. */
export function canHear(state: Lifecycle, at: number): boolean {
  const { conversation, verdict, phase, settledAt, observations } = state;
  if (conversation === null || verdict !== null || phase === 'ended' || settledAt !== null) return false;
  const isOver = at >= (graceEnd(state) ?? Infinity);
  return observations.length === 0 && conversation.endAskedAt === null && !isOver;
}

/**
 * What the run itself says about its end. A result counts as of the exit at the latest, since a process prints nothing
 * after it; an exit speaks only where there is no final result.
 */
function ownObservations(state: Lifecycle, stderrFailure: ReasonOf<'failed'> | null): Observation[] {
  const { exit } = state;
  const said = resultObservation(state);
  if (said !== null) return [{ ...said, at: Math.min(said.at, exit?.at ?? Infinity) }];
  return exit === null ? [] : [{ kind: 'failed', reason: exitReason(exit, stderrFailure), at: exit.at }];
}

/**
 * While tasks are open, the moment up to which they are waited for is still to come, and decides only what has no earlier
 * cause. Who crashes before that, or before the turn that a task's end leads to, has not finished.
 */
function resultObservation(state: Lifecycle): Observation | null {
  const { result, exit, settledAt } = state;
  const at = doneAt(state) ?? settledAt;
  if (result === null || at === null) return null;
  const finalAt = settledAt === null ? at : Math.min(at, Math.max(result.at, settledAt));
  // That of a conversation can go on after a turn that has failed.
  const failedAt = state.conversation === null ? result.at : finalAt;
  if (result.failure !== null) return { kind: 'failed', reason: result.failure, at: failedAt };
  if (settledAt !== null) return { kind: 'completed', at: finalAt };
  const isAnotherDue = state.openTasks > 0 || state.taskEndedAt !== null || isBeforeEnd(state);
  const hasCrashed = exit !== null && isBad(exit) && exit.at < (graceEnd(state) ?? Infinity);
  return isAnotherDue && hasCrashed ? null : { kind: 'completed', at };
}

/** Whether somebody may still say something, so that the process had no reason to exit. */
function isBeforeEnd({ conversation }: Lifecycle): boolean {
  return conversation !== null && conversation.endAskedAt === null;
}

/** How one exited whom nobody saw end is not known, and nothing against it. */
function isBad({ code, signal }: Exit): boolean {
  return signal !== null || (code !== null && code !== 0);
}

/** Whoever was killed did not end for what stderr tells of. */
function exitReason(exit: Exit, stderrFailure: ReasonOf<'failed'> | null): ReasonOf<'failed'> {
  if (exit.code === 0) return 'no_result';
  if (exit.isOutOfMemory === true) return 'out_of_memory';
  return exit.signal !== null ? 'crashed' : (stderrFailure ?? 'crashed');
}

/**
 * The deadline, whether or not its timer was heard of: a timer that is late must not change the verdict. A deadline
 * still to come is later than whatever ended the run, and decides nothing.
 */
function deadlineObservation(state: Lifecycle): Observation[] {
  if (state.startedAt === null) return [];
  return [{ kind: 'hard_timeout', reason: 'deadline', at: state.startedAt + state.limits.timeoutMs }];
}

/** The end of the hold, on the same terms. A hold for want of any credential is nobody's refusal. */
function holdObservation({ hold }: Lifecycle): Observation[] {
  return hold === null ? [] : [holdTimeout(hold)];
}

export function holdTimeout({ until, refusal: { reason } }: Hold): Observation {
  return reason === 'credential_missing'
    ? { kind: 'hard_timeout', reason: 'hold', at: until }
    : { kind: 'failed', reason, at: until };
}

/** The verdict on everything that is known; null while nothing that decides is. */
export function verdictOn(state: Lifecycle, stderrFailure: ReasonOf<'failed'> | null = null): Verdict | null {
  const own = ownObservations(state, stderrFailure);
  return mergeObservations([...state.observations, ...own, ...deadlineObservation(state), ...holdObservation(state)]);
}
