import {
  type Cursor,
  CURSOR_START,
  type ExecutionSummary,
  type Outcome,
  OUTCOME_REASONS,
  type Verdict,
} from '@outrigger/protocol';
import { type Hold, type Lifecycle, type Refusal, stateOf } from '../core/lifecycle-state.js';
import {
  buildOutcome,
  describe,
  EMPTY_REPORT,
  type OutcomeFacts,
  redactMessage,
  redactOutcome,
  type RunReport,
} from '../core/outcome.js';
import { type CurrentRedactor } from '../redaction.js';
import { type Accepted } from './accepted.js';
import { type AttemptView } from './past-attempt.js';

/** What is known of an execution, as far as others are told of it. */
export interface RunFacts extends Accepted {
  readonly lifecycle: Lifecycle;
  /** In their order; none before the first is prepared, and for an execution that never got that far. */
  readonly attempts: readonly AttemptView[];
  readonly outcome: Outcome | null;
  readonly retryAt: number | null;
  /** The last one that was used. */
  readonly credential: OutcomeFacts['credential'];
}

/** What answers, snapshots and notices say of an execution. */
export function summaryOf(facts: RunFacts, redactor: CurrentRedactor): ExecutionSummary {
  const { lifecycle, labels, outcome } = facts;
  const { verdict, startedAt } = lifecycle;
  return {
    executionId: facts.executionId,
    state: stateOf(lifecycle),
    since: toEpoch(facts, lifecycle.since ?? facts.acceptedAtMs),
    attempt: lifecycle.attempt,
    acceptedAt: Math.round(facts.acceptedAtEpochMs),
    ...(startedAt === null ? {} : { startedAt: toEpoch(facts, startedAt) }),
    ...(labels === undefined ? {} : { labels }),
    ...(lifecycle.hold === null || verdict !== null ? {} : { hold: publicHold(facts, lifecycle.hold, redactor) }),
    ...(verdict === null
      ? {}
      : { verdict: publicVerdict(facts, verdict, redactor), end: endOf(facts) ?? CURSOR_START }),
    ...(outcome === null ? {} : { outcome }),
  };
}

/** Where the logs end, in the last attempt that printed anything; null while they can still grow. */
export function endOf({ lifecycle, attempts }: RunFacts): Cursor | null {
  if (lifecycle.verdict === null) return null;
  return attempts.findLast((attempt) => attempt.end !== null)?.end ?? CURSOR_START;
}

/** A refusal as others are told of it: what was only read from the stream of a run names no generation and no words. */
export function completeRefusal(refusal: Refusal, facts: RunFacts, redactor: CurrentRedactor): Refusal {
  const { reason, message } = refusal;
  if (reason === 'credential_missing' || message !== '') return refusal;
  const { errorText, retryAt } = reportOf(facts);
  return {
    ...refusal,
    generation: facts.credential?.generation ?? null,
    message: redactMessage(errorText ?? OUTCOME_REASONS[reason].meaning, redactor()),
    ...(reason === 'rate_limited' && retryAt !== null ? { retryAt } : {}),
  };
}

/** The outcome of an execution that has ended. @throws Error when what it printed cannot be told safely. */
export function outcomeOf(facts: RunFacts, verdict: Verdict, redactor: CurrentRedactor): Outcome {
  return redactOutcome(buildOutcome({ ...facts, report: reportOf(facts) }, verdict), redactor());
}

/** The same without anything that had to be redacted. */
export function bareOutcomeOf(facts: RunFacts, verdict: Verdict): Outcome {
  const lifecycle = { ...facts.lifecycle, launchError: null };
  return buildOutcome({ ...facts, lifecycle, report: { ...EMPTY_REPORT, sessionId: facts.sessionId } }, verdict);
}

function publicHold(facts: RunFacts, hold: Hold, redactor: CurrentRedactor): ExecutionSummary['hold'] {
  const { until } = hold;
  const { reason, generation, message, retryAt } = completeRefusal(hold.refusal, facts, redactor);
  return { reason, generation, message, until: toEpoch(facts, until), ...(retryAt === undefined ? {} : { retryAt }) };
}

function publicVerdict(facts: RunFacts, verdict: Verdict, redactor: CurrentRedactor): ExecutionSummary['verdict'] {
  if (facts.outcome !== null) {
    const { status, reason, endedAt, message } = facts.outcome;
    return { status, reason, at: endedAt, message };
  }
  const { status, reason, at } = verdict;
  const message = redactMessage(describe(verdict, facts.lifecycle, reportOf(facts)), redactor());
  return { status, reason, at: toEpoch(facts, at), message };
}

function reportOf({ attempts, sessionId }: RunFacts): RunReport {
  const report = attempts.at(-1)?.report ?? EMPTY_REPORT;
  return { ...report, sessionId: report.sessionId ?? sessionId };
}

function toEpoch({ acceptedAtEpochMs, acceptedAtMs }: RunFacts, ms: number): number {
  return Math.round(acceptedAtEpochMs + (ms - acceptedAtMs));
}
