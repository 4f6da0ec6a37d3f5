import { HOLD_REASONS, type Outcome, type OutcomeReason } from '@outrigger/protocol';

/**
 * The circuit breaker of an agent: keeps it from starting one run after the other that dies at once. A value without a clock;
 * times are milliseconds of whichever clock the caller has.
 *
 * ```
 *   closed ──`failures` young deaths in a row──► open ──cooldown──► half open ──let in──► one on trial
 *     ▲                                          │ ▲                    ▲                  │   │   │
 *     │                                          │ └───twice the time───┼───died young─────┘   │   │
 *     │                                          │                      └───nothing learnt─────┘   │
 *     └──────────── whichever succeeds ──────────┴─────────────────────────────────────────────────┘
 * ```
 */
export interface Breaker {
  /** Young deaths in a row. */
  readonly deaths: number;
  /** Null: it is closed. */
  readonly opening: Opening | null;
  /** The execution that was let in while it was half open, and has not ended. */
  readonly trial: string | null;
}

export interface Opening {
  readonly openedAt: number;
  /** The end of the cooldown. */
  readonly retryAt: number;
  /** How often it has opened since it was closed. */
  readonly openings: number;
  /** Whose death opened it, and what it died of. */
  readonly executionId: string;
  readonly reason: OutcomeReason;
}

export interface BreakerLimits {
  /** Young deaths in a row that open it; 0: nothing does. */
  readonly failures: number;
  /** What ends earlier has died young. */
  readonly youngMs: number;
  /** Doubled with each opening, up to the maximum. */
  readonly cooldownMs: number;
  readonly cooldownMaxMs: number;
}

export const CLOSED: Breaker = { deaths: 0, opening: null, trial: null };

/** Whether an execution may start: yes; one may, to try; or none. */
export type Passage = 'closed' | 'half_open' | 'open';

export function passageOf({ opening, trial }: Breaker, nowMs: number): Passage {
  if (opening === null) return 'closed';
  return nowMs >= opening.retryAt && trial === null ? 'half_open' : 'open';
}

/** When an execution may start, as far as can be told: one on trial would have died young by then. Null: now. */
export function retryAtOf(breaker: Breaker, nowMs: number, { youngMs }: BreakerLimits): number | null {
  const { opening } = breaker;
  if (opening === null || passageOf(breaker, nowMs) !== 'open') return null;
  return nowMs < opening.retryAt ? opening.retryAt : nowMs + youngMs;
}

/** Lets an execution in, on trial where the circuit is half open. Null: it must not start. */
export function letIn(breaker: Breaker, executionId: string, nowMs: number): Breaker | null {
  // Another attempt of what is on trial goes on with it.
  if (breaker.trial === executionId) return breaker;
  const passage = passageOf(breaker, nowMs);
  if (passage === 'open') return null;
  return passage === 'closed' ? breaker : { ...breaker, trial: executionId };
}

export interface BreakerStep {
  readonly breaker: Breaker;
  readonly news: 'opened' | 'closed' | null;
}

/** What the end of an execution changes. */
export function afterOutcome(
  breaker: Breaker,
  outcome: Outcome,
  { nowMs, limits }: { readonly nowMs: number; readonly limits: BreakerLimits },
): BreakerStep {
  const { executionId, reason } = outcome;
  const lesson = lessonOf(outcome, limits);
  if (lesson === 'succeeded') return { breaker: CLOSED, news: breaker.opening === null ? null : 'closed' };
  const isTrial = breaker.trial === executionId;
  const { opening, trial } = breaker;
  if (opening !== null && !(isTrial && lesson === 'died_young')) {
    // What was started before the circuit opened says nothing new by dying as well.
    return { breaker: { ...breaker, trial: isTrial ? null : trial }, news: null };
  }
  if (lesson === 'nothing') return { breaker, news: null };
  if (lesson === 'lived') return { breaker: CLOSED, news: null };
  const deaths = breaker.deaths + 1;
  if (opening === null && (limits.failures === 0 || deaths < limits.failures)) {
    return { breaker: { ...breaker, deaths }, news: null };
  }
  const openings = (opening?.openings ?? 0) + 1;
  const opened = { openedAt: nowMs, retryAt: nowMs + cooldownMs(openings, limits), openings, executionId, reason };
  return { breaker: { deaths, opening: opened, trial: null }, news: 'opened' };
}

/**
 * A breaker that was kept over a restart. A clock that was moved meanwhile must not keep the circuit open for longer than it
 * ever is.
 */
export function restoreBreaker(kept: Breaker, nowMs: number, limits: BreakerLimits): Breaker {
  if (limits.failures === 0) return CLOSED;
  const { deaths, opening, trial } = kept;
  if (opening === null) return { deaths, opening, trial: null };
  const retryAt = Math.min(opening.retryAt, nowMs + cooldownMs(opening.openings, limits));
  return { deaths, opening: { ...opening, retryAt }, trial };
}

/** What was on trial does not go on, and says nothing. */
export function withoutTrial(breaker: Breaker): Breaker {
  return { ...breaker, trial: null };
}

const DEATHS: readonly OutcomeReason[] = ['spawn_failed', 'crashed', 'no_result'];
/** They count against the credential. */
const OF_CREDENTIAL: readonly string[] = [...HOLD_REASONS, 'hold'];

/** What an outcome says about the agent. */
function lessonOf(outcome: Outcome, { youngMs }: BreakerLimits): 'succeeded' | 'died_young' | 'lived' | 'nothing' {
  const { status, reason, startedAt, endedAt, exit } = outcome;
  if (status === 'succeeded') return 'succeeded';
  if (OF_CREDENTIAL.includes(reason)) return 'nothing';
  // Nobody saw it exit, as the sidecar was not there: what ended it may have been the end of the container.
  if (reason === 'crashed' && exit.code === null && exit.signal === null) return 'nothing';
  const livedMs = startedAt === undefined ? 0 : endedAt - startedAt;
  if (livedMs >= youngMs) return 'lived';
  return DEATHS.includes(reason) ? 'died_young' : 'nothing';
}

function cooldownMs(openings: number, limits: BreakerLimits): number {
  return Math.min(limits.cooldownMaxMs, limits.cooldownMs * 2 ** (openings - 1));
}
