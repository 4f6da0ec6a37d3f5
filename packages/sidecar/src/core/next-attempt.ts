import { type Observation, type Verdict } from '@outrigger/protocol';
import { isBeyondPrompt, reopen } from './conversation.js';
import { type Curable, isCurable } from './curable.js';
import { beginHold, withoutHold } from './hold.js';
import { type Lifecycle, type Refusal, type SessionUse, type Step } from './lifecycle-state.js';

/** Whether an attempt that failed is followed by another one, which goes on with its session. */

/** What an attempt failed of that another one may mend. */
type Failure = NonNullable<Lifecycle['failure']>;

export interface NextAttempt {
  /** What it does with the session. */
  readonly session: SessionUse;
  readonly failure: Failure;
}

/** Null: the verdict stands. */
export function findNextAttempt(state: Lifecycle, verdict: Verdict | null): NextAttempt | null {
  if (verdict === null) return null;
  const { reason, at } = verdict;
  // Killed before the first answer, older CLIs have not noted the session: there is nothing to go on with.
  if (reason === 'resume_not_found') {
    const isLost = state.conversation !== null && isBeyondPrompt(state.conversation);
    return state.session === 'resume' && !isLost ? { session: 'start', failure: { kind: 'failed', reason, at } } : null;
  }
  const { limits, resumesLeft } = state;
  const canBeMended = isCurable(reason) || reason === 'gateway_lost';
  return limits.onCredentialFailure === 'resume' && canBeMended && resumesLeft > 0
    ? { session: 'resume', failure: { kind: 'failed', reason, at } }
    : null;
}

/** The execution without what came of its latest attempt, but for causes that end all of it. */
export function withoutAttempt(state: Lifecycle): Lifecycle {
  // A conversation between two turns has its result, and the next attempt nothing to do for another.
  const isBetweenTurns = state.conversation?.asked === null && !state.isTurnOpen;
  return {
    ...state,
    observations: state.observations.filter((observation) => !isOfAttempt(observation)),
    result: isBetweenTurns ? state.result : null,
    isTurnOpen: false,
    openTasks: 0,
    taskEndedAt: null,
    settledAt: null,
    exit: null,
  };
}

/** The end of a hold is one: the next attempt has what is left of the budget, if anything is. */
function isOfAttempt(observation: Observation): boolean {
  if (observation.kind === 'hard_timeout') return observation.reason === 'hold';
  return observation.kind === 'failed' && (isCurable(observation.reason) || observation.reason === 'gateway_lost');
}

/** Ends the process, for another attempt to go on once its tree is dead. */
export function suspend(state: Lifecycle, { session, failure }: NextAttempt, graceMs: number): Step {
  const { reason, at } = failure;
  // The budget is one for all holds: what was waited before is waited.
  const free = state.hold === null ? state : withoutHold(state, at);
  const conversation = free.conversation && reopen(free.conversation, session);
  const suspending: Lifecycle = { ...free, phase: 'suspending', session, failure, conversation };
  const kill = { do: 'kill', graceMs } as const;
  if (!isCurable(reason)) return { state: suspending, effects: [kill] };
  const { state: held, effects } = beginHold(suspending, at, refusalOf(state, reason));
  return { state: held, effects: [...effects, kill] };
}

export function nextAttempt(state: Lifecycle, at: number): Step {
  return {
    state: {
      ...withoutHold(state, at),
      phase: 'preparing',
      attempt: state.attempt + 1,
      isAttemptDue: true,
      failure: null,
      resumesLeft: state.resumesLeft - (state.session === 'resume' ? 1 : 0),
      refusal: null,
    },
    effects: [{ do: 'set_hold', at: null }, { do: 'announce_state' }, { do: 'prepare' }],
  };
}

/** Without the gateway the reason is all that is known here. */
function refusalOf({ refusal }: Lifecycle, reason: Curable): Refusal {
  return refusal?.reason === reason ? refusal : { reason, message: '', generation: null };
}
