import { type Cursor, CURSOR_START, type ExecutionSummary, type Outcome, type Verdict } from '@outrigger/protocol';
import { type Lifecycle, stateOf } from '../core/lifecycle-state.js';
import { buildOutcome, describe, EMPTY_REPORT, redactMessage, redactOutcome, type RunReport } from '../core/outcome.js';
import { type CurrentRedactor } from '../redaction.js';
import { type Accepted } from './accepted.js';
import { type RunAttempt } from './run-attempt.js';

/** What is known of an execution, as far as others are told of it. */
export interface RunFacts extends Accepted {
  readonly lifecycle: Lifecycle;
  /** The latest; null before there is one, and for an execution that never had any. */
  readonly attempt: RunAttempt | null;
  readonly outcome: Outcome | null;
}

/** What answers, snapshots and notices say of an execution. */
export function summaryOf(facts: RunFacts, redactor: CurrentRedactor): ExecutionSummary {
  const { lifecycle, labels, outcome } = facts;
  const { verdict, startedAt } = lifecycle;
  return {
    executionId: facts.executionId,
    state: stateOf(lifecycle),
    attempt: facts.attempt?.number ?? CURSOR_START.attempt,
    acceptedAt: Math.round(facts.acceptedAtEpochMs),
    ...(startedAt === null ? {} : { startedAt: toEpoch(facts, startedAt) }),
    ...(labels === undefined ? {} : { labels }),
    ...(verdict === null
      ? {}
      : { verdict: publicVerdict(facts, verdict, redactor), end: endOf(facts) ?? CURSOR_START }),
    ...(outcome === null ? {} : { outcome }),
  };
}

/** Where the logs end; null while they can still grow. */
export function endOf({ lifecycle, attempt }: RunFacts): Cursor | null {
  return lifecycle.verdict === null ? null : (attempt?.end ?? CURSOR_START);
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

function publicVerdict(facts: RunFacts, verdict: Verdict, redactor: CurrentRedactor): ExecutionSummary['verdict'] {
  if (facts.outcome !== null) {
    const { status, reason, endedAt, message } = facts.outcome;
    return { status, reason, at: endedAt, message };
  }
  const { status, reason, at } = verdict;
  const message = redactMessage(describe(verdict, facts.lifecycle, reportOf(facts)), redactor());
  return { status, reason, at: toEpoch(facts, at), message };
}

function reportOf({ attempt, sessionId }: RunFacts): RunReport {
  const report = attempt?.report ?? EMPTY_REPORT;
  return { ...report, sessionId: report.sessionId ?? sessionId };
}

function toEpoch({ acceptedAtEpochMs, acceptedAtMs }: RunFacts, ms: number): number {
  return Math.round(acceptedAtEpochMs + (ms - acceptedAtMs));
}
