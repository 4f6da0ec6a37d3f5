import { type Cursor, CURSOR_START, type ExecutionSummary, type Outcome } from '@outrigger/protocol';
import { type Inbox } from '../core/inbox.js';
import { type JournalledExecution } from '../core/journal-state.js';
import { type StateFolder } from '../state/folder.js';
import { type KnownRun } from './known-run.js';
import { type AttemptView, PastAttempt } from './past-attempt.js';

const NO_LOGS = { stdout: 0, stderr: 0 };

interface Parts {
  readonly digest: string;
  readonly summary: ExecutionSummary;
  readonly outcome: Outcome;
  readonly messages: Inbox['messages'];
  readonly attempts: readonly Pick<AttemptView, 'number' | 'stdout' | 'stderr'>[];
}

/** An execution that has ended: what is told of it, and its logs. There can be thousands, so it has nothing else. */
export class EndedRun implements KnownRun {
  readonly digest: string;
  readonly outcome: Outcome;
  readonly hasBegun = true;
  readonly attempts: readonly AttemptView[];
  readonly #summary: ExecutionSummary;
  readonly #messages: Inbox['messages'];

  private constructor({ digest, summary, outcome, messages, attempts }: Parts) {
    this.digest = digest;
    this.#messages = messages;
    this.outcome = outcome;
    this.attempts = attempts.map((attempt) => new PastAttempt(attempt));
    this.#summary = summary;
  }

  /** What is kept of one that has ended just now. */
  static of(run: KnownRun, outcome: Outcome): EndedRun {
    const { digest, attempts } = run;
    const { messages } = run.inbox(Infinity);
    return new EndedRun({ digest, summary: run.summary(), outcome, messages, attempts });
  }

  /** One that had ended when the sidecar was started. @throws Error for what makes no sense */
  static restore(execution: JournalledExecution, outcome: Outcome, state: StateFolder): EndedRun {
    const { accepted, attempts: noted, ends } = execution;
    const { id, digest } = accepted;
    const hasLogs = noted.length > 0 && state.hasLogs(id);
    const attempts = noted.map(({ number }, index) => {
      const files = state.logsOf({ executionId: id, number });
      return PastAttempt.restore({ number, files, ends: ends?.[index] ?? NO_LOGS, hasLogs });
    });
    const summary = summaryOfEnded(execution, outcome, endOf(attempts));
    return new EndedRun({ digest, summary, outcome, messages: messagesOf(execution), attempts });
  }

  get id(): string {
    return this.outcome.executionId;
  }

  get end(): Cursor {
    return endOf(this.attempts);
  }

  summary(): ExecutionSummary {
    return this.#summary;
  }

  cancel(): void {
    // It has ended of something else.
  }

  inbox(): Inbox {
    return { messages: this.#messages, canHear: false, pendingCount: 0, pendingBytes: 0 };
  }

  hear(): void {
    // Nothing is said to it any more.
  }

  endInput(): void {
    // It has ended.
  }

  onGrowth(): () => void {
    return () => undefined;
  }

  /** Keeps nothing of the logs but where they end. */
  dropLogs(): void {
    this.attempts.flatMap(({ stdout, stderr }) => [stdout, stderr]).forEach((log) => log.drop());
  }

  /** Bytes of all logs that are kept. */
  get logBytes(): number {
    const logs = this.attempts.flatMap(({ stdout, stderr }) => [stdout, stderr]);
    return logs.reduce((sum, log) => sum + (log.isDropped ? 0 : (log.end ?? 0)), 0);
  }
}

/** By which they are known again. */
export function messagesOf({ input }: JournalledExecution): Map<string, string> | null {
  return input && new Map(input.messages.map(({ messageId, digest }) => [messageId, digest]));
}

function endOf(attempts: readonly AttemptView[]): Cursor {
  return attempts.findLast((attempt) => attempt.end !== null)?.end ?? CURSOR_START;
}

/** All of it is in the outcome, but for what it was dispatched with. */
function summaryOfEnded({ accepted, attempts }: JournalledExecution, outcome: Outcome, end: Cursor): ExecutionSummary {
  const { executionId, status, reason, message, acceptedAt, startedAt, endedAt, closedAt } = outcome;
  const { labels } = accepted.request;
  return {
    executionId,
    state: 'ended',
    since: closedAt,
    attempt: Math.max(1, attempts.length),
    acceptedAt,
    ...(startedAt === undefined ? {} : { startedAt }),
    ...(labels === undefined ? {} : { labels }),
    verdict: { status, reason, at: endedAt, message },
    end,
    outcome,
  };
}
