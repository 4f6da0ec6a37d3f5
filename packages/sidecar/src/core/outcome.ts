import { type Outcome, OUTCOME_REASONS, type OutcomeReason, type Verdict } from '@outrigger/protocol';
import { heldUntil } from './hold.js';
import { type Exit, type Lifecycle } from './lifecycle-state.js';
import { type Redactor } from './redact.js';

/** What the run told about itself; see `claude/interpret.ts`. */
export interface RunReport {
  readonly resultText: string | null;
  readonly isResultTruncated: boolean;
  readonly errorText: string | null;
  readonly sessionId: string | null;
  readonly model: string | null;
  readonly turns: number | null;
  readonly costUsd: number | null;
  readonly usage: NonNullable<Outcome['usage']> | null;
  /** Epoch ms at which the provider says its limit ends. */
  readonly retryAt: number | null;
  /** The last line of stderr, for a run that crashed. */
  readonly lastWords?: string | null;
  /** Why its last request to the provider failed; null: it did not, or that cannot be seen. */
  readonly requestFailure?: string | null;
}

export const EMPTY_REPORT: RunReport = {
  resultText: null,
  isResultTruncated: false,
  errorText: null,
  sessionId: null,
  model: null,
  turns: null,
  costUsd: null,
  usage: null,
  retryAt: null,
};

export interface OutcomeFacts {
  readonly executionId: string;
  readonly lifecycle: Lifecycle;
  readonly report: RunReport;
  /** When the agent may admit again what it has not; null: it does not say. */
  readonly retryAt?: number | null;
  /** The last one that was used. */
  readonly credential: { readonly id: string; readonly generation: number } | null;
  /** Epoch ms at acceptance, and the monotonic ms of the same moment: every other time is derived from the two. */
  readonly acceptedAtEpochMs: number;
  readonly acceptedAtMs: number;
}

/** The outcome of an execution that has ended. */
export function buildOutcome(facts: OutcomeFacts, verdict: Verdict): Outcome {
  const { lifecycle, report } = facts;
  const toEpoch = (ms: number) => Math.round(facts.acceptedAtEpochMs + (ms - facts.acceptedAtMs));
  const hasStarted = lifecycle.startedAt !== null;
  return {
    executionId: facts.executionId,
    status: verdict.status,
    reason: verdict.reason,
    message: describe(verdict, lifecycle, report),
    retryable: OUTCOME_REASONS[verdict.reason].retryable,
    ...optional('retryAt', verdict.reason === 'rate_limited' ? retryAtOf(lifecycle, report) : (facts.retryAt ?? null)),
    ...optional('result', verdict.status === 'succeeded' ? report.resultText : null),
    ...(verdict.status === 'succeeded' && report.isResultTruncated ? { resultTruncated: true as const } : {}),
    ...optional('sessionId', report.sessionId),
    ...optional('model', report.model),
    ...optional('turns', report.turns),
    ...optional('costUsd', report.costUsd),
    ...optional('usage', report.usage),
    exit: { code: lifecycle.exit?.code ?? null, signal: lifecycle.exit?.signal ?? null },
    survivors: lifecycle.survivors,
    attempts: hasStarted ? lifecycle.attempt - (lifecycle.isAttemptDue ? 1 : 0) : 0,
    acceptedAt: Math.round(facts.acceptedAtEpochMs),
    ...optional('startedAt', lifecycle.startedAt === null ? null : toEpoch(lifecycle.startedAt)),
    endedAt: toEpoch(verdict.at),
    closedAt: toEpoch(lifecycle.endedAt ?? verdict.at),
    heldMs: Math.round(heldUntil(lifecycle, verdict.at)),
    ...optional('credential', hasStarted ? facts.credential : null),
  };
}

/** An outcome without any secret that the run has printed. */
export function redactOutcome(outcome: Outcome, redactor: Redactor): Outcome {
  const { message, result, resultTruncated, sessionId, model } = outcome;
  const redact = (text: string | undefined, isCut = false) =>
    text === undefined ? null : redactor.redact(text, { isCut });
  return {
    ...outcome,
    message: redactMessage(message, redactor),
    ...optional('result', redact(result, resultTruncated)),
    ...optional('sessionId', redact(sessionId)),
    ...optional('model', redact(model)),
  };
}

/** What a run says of its end is cut to a length, maybe within a secret. */
export function redactMessage(message: string, redactor: Redactor): string {
  return redactor.redact(message, { isCut: true });
}

/** Failures that were seen from outside: what the run said last may be about something else. */
const NOT_TOLD_BY_RUN: readonly OutcomeReason[] = ['crashed', 'no_result', 'out_of_memory', 'output_limit'];

/** One sentence for people: what happened, and what the process said of it. */
export function describe(verdict: Verdict, lifecycle: Lifecycle, report: RunReport): string {
  const { meaning } = OUTCOME_REASONS[verdict.reason];
  const { launchError } = lifecycle;
  if (launchError !== null && ['spawn_failed', 'crashed'].includes(verdict.reason)) return launchError;
  const said = lifecycle.refusal?.reason === verdict.reason ? lifecycle.refusal.message : '';
  if (said !== '' && said !== meaning) return `${meaning} The provider said: ${said}`;
  if (verdict.reason === 'crashed' && lifecycle.exit !== null) return describeCrash(lifecycle.exit, report);
  const isToldByRun = verdict.status === 'failed' && !NOT_TOLD_BY_RUN.includes(verdict.reason);
  const told = isToldByRun ? (report.errorText ?? meaning) : meaning;
  // The CLI sees a dropped connection, whatever the gateway dropped it for.
  const isExplained = verdict.reason === 'network' && report.requestFailure != null;
  return isExplained ? `${told} The last request to the provider failed: ${report.requestFailure}` : told;
}

function retryAtOf({ refusal }: Lifecycle, report: RunReport): number | null {
  return (refusal?.reason === 'rate_limited' ? refusal.retryAt : undefined) ?? report.retryAt;
}

/** Stderr may say what the process did not: a flag it does not know, for one. */
function describeCrash(exit: Exit, report: RunReport): string {
  const { meaning } = OUTCOME_REASONS.crashed;
  const lastWords = report.lastWords == null ? '' : ` The last line on stderr: ${report.lastWords}`;
  return `${meaning} ${describeExit(exit)}${lastWords}`;
}

function describeExit(exit: { code: number | null; signal: string | null }): string {
  return exit.signal === null ? `Exit code ${exit.code ?? 'unknown'}.` : `Signal ${exit.signal}.`;
}

function optional<K extends string, V>(key: K, value: V | null): Partial<Record<K, V>> {
  return value === null ? {} : ({ [key]: value } as Partial<Record<K, V>>);
}
