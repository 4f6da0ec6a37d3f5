import { type OutcomeStatus, type ReasonOf, OUTCOME_REASONS, type OutcomeReason } from '../outcome-reasons.js';

/**
 * Something that was observed about an execution. `at` is when it happened, in any one clock's milliseconds, and not
 * when it was heard of.
 */
export type Observation =
  /** The final result was there. */
  | { kind: 'completed'; at: number }
  /** A limit of time passed; `at` is the deadline itself, not when its timer fired. */
  | { kind: 'hard_timeout'; reason: ReasonOf<'timed_out'>; at: number }
  /** Another execution takes this one's place. */
  | { kind: 'superseded'; at: number }
  | { kind: 'cancelled'; reason: Exclude<ReasonOf<'cancelled'>, 'superseded'>; at: number }
  | { kind: 'failed'; reason: ReasonOf<'failed'>; at: number }
  /** Admission said no. */
  | { kind: 'refused'; reason: ReasonOf<'skipped'>; at: number }
  /** Presumed, because nothing could be observed. Gives way to everything above. */
  | { kind: 'lost'; reason: ReasonOf<'lost'>; at: number }
  /** Worth keeping, never decides: survivors of a kill, a cleanup that failed, a waiter that gave up. */
  | { kind: 'detail'; what: 'survivors' | 'cleanup_failed' | 'waiter_gave_up' | 'late_exit'; at: number };

/** What a set of observations amounts to. */
export interface Verdict {
  status: OutcomeStatus;
  reason: OutcomeReason;
  /** When the deciding thing happened; the clock is that of the observations. */
  at: number;
  /** Set when a presumed `lost` had to give way. */
  corrected?: true;
}

type Deciding = Exclude<Observation, { kind: 'detail' }>;

/** At equal times the kind with the lower number wins. */
const PRECEDENCE: Readonly<Record<Deciding['kind'], number>> = {
  completed: 0,
  hard_timeout: 1,
  superseded: 2,
  cancelled: 3,
  failed: 4,
  refused: 5,
  lost: 6,
};

const REASON_ORDER = Object.keys(OUTCOME_REASONS);

/**
 * The verdict on a set of observations: the earliest one that is not a presumption wins.
 *
 * A pure function of the set: neither order nor repetition matters. The sidecar, the SDK, every store and the
 * operator's tools call this one function, so they cannot disagree.
 *
 * @returns `null` while nothing that decides is known.
 */
export function mergeObservations(observations: Iterable<Observation>): Verdict | null {
  const deciding = [...observations].filter((observation) => observation.kind !== 'detail');
  const evidence = deciding.filter((observation) => observation.kind !== 'lost');
  const first = earliest(evidence) ?? earliest(deciding);
  if (first === undefined) return null;

  const reason = reasonOf(first);
  const isCorrected = evidence.length > 0 && evidence.length < deciding.length;
  const verdict: Verdict = { status: OUTCOME_REASONS[reason].status, reason, at: first.at };
  return isCorrected ? { ...verdict, corrected: true } : verdict;
}

function earliest(observations: Deciding[]): Deciding | undefined {
  return observations.toSorted(
    (a, b) =>
      a.at - b.at ||
      PRECEDENCE[a.kind] - PRECEDENCE[b.kind] ||
      REASON_ORDER.indexOf(reasonOf(a)) - REASON_ORDER.indexOf(reasonOf(b)),
  )[0];
}

function reasonOf(observation: Deciding): OutcomeReason {
  if ('reason' in observation) return observation.reason;
  return observation.kind;
}
