import { type ExecutionSummary, LIMITS, type Outcome, WireError } from '@outrigger/protocol';
import { type Logger } from 'pino';
import { monotonicMs } from '../clock.js';
import { type ExecutionJournal, TOMBSTONE_MS } from '../journal/execution-journal.js';
import { type StateFolder } from '../state/folder.js';
import { Retention, RETENTION_LIMITS, type RetentionLimits } from './retention.js';
import { EndedRun } from './ended-run.js';
import { type KnownRun } from './known-run.js';

/** How often what is too old is looked for while nothing ends. */
const PRUNE_MS = 60 * 60 * 1000;

export interface KnownRunsOptions {
  /** Where the logs are. */
  readonly state: StateFolder;
  readonly journal: ExecutionJournal;
  /** @default those of a sidecar */
  readonly retention?: Partial<RetentionLimits>;
  readonly logger: Logger;
}

/** Every execution that is known, in the order of acceptance, until it is forgotten and its logs with it. */
export class KnownRuns {
  readonly #options: KnownRunsOptions;
  readonly #runs = new Map<string, KnownRun>();
  readonly #retention: Retention;

  constructor(options: KnownRunsOptions) {
    this.#options = options;
    this.#retention = new Retention({
      limits: { ...RETENTION_LIMITS, ...options.retention },
      onForgotten: (id, wasAcknowledged) => this.#forget(id, wasAcknowledged),
      onLogsDropped: (id, wasAcknowledged) => this.#dropLogs(id, wasAcknowledged),
    });
    setInterval(() => this.#retention.prune(monotonicMs()), PRUNE_MS).unref();
  }

  /** How many have an outcome that no host has acknowledged. */
  get unacknowledgedCount(): number {
    return this.#retention.unacknowledgedCount;
  }

  find(id: string): KnownRun | undefined {
    return this.#runs.get(id);
  }

  /** The dispatch of an execution of which nothing else is known any more. */
  findForgotten(id: string): { readonly digest: string } | undefined {
    const tombstone = this.#options.journal.state.tombstones.get(id);
    return tombstone === undefined || tombstone.at < monotonicMs() - TOMBSTONE_MS ? undefined : tombstone;
  }

  /** Whether somebody has cancelled an execution that is not known yet. */
  wasCancelled(id: string): boolean {
    const at = this.#options.journal.state.rememberedCancels.get(id);
    return at !== undefined && monotonicMs() - at <= LIMITS.cancelMemoryMs;
  }

  /** @throws WireError `unknown_execution` */
  get(id: string): KnownRun {
    const run = this.#runs.get(id);
    if (run === undefined) throw new WireError('unknown_execution', `execution ${id} is not known to this agent`);
    return run;
  }

  add(run: KnownRun): void {
    this.#runs.set(run.id, run);
  }

  /** It was never accepted after all. */
  remove(run: KnownRun): void {
    this.#runs.delete(run.id);
  }

  /** The execution has its outcome: from now on no more is kept of it than is told, and it may be forgotten. */
  keep(run: KnownRun, outcome: Outcome): void {
    this.#keep(EndedRun.of(run, outcome), monotonicMs());
    this.#retention.prune(monotonicMs());
  }

  /** The same for one that had its outcome before this sidecar was started. */
  keepRestored(run: EndedRun, { isAcknowledged }: { readonly isAcknowledged: boolean }): void {
    this.#keep(run, monotonicMs() - Math.max(0, Date.now() - run.outcome.closedAt));
    if (isAcknowledged) this.#retention.acknowledge(run.id);
  }

  #keep(run: EndedRun, endedAt: number): void {
    this.#runs.set(run.id, run);
    const { messages } = run.inbox();
    const bytes = Buffer.byteLength(JSON.stringify([run.summary(), ...(messages ?? [])]));
    this.#retention.keep(run.id, { bytes, logBytes: run.logBytes, endedAt });
  }

  /** @throws WireError `unknown_execution`, or `invalid` while it has no outcome. */
  acknowledge(id: string): void {
    // Another host was first, and it was forgotten since.
    if (this.findForgotten(id) !== undefined) return;
    if (this.get(id).outcome === null) throw new WireError('invalid', `ack: execution ${id} has no outcome yet`);
    if (this.#retention.acknowledge(id)) this.#options.journal.note({ is: 'acknowledged', id });
    this.#retention.prune(monotonicMs());
  }

  /** Every execution whose outcome no host has acknowledged. */
  unacknowledged(): ExecutionSummary[] {
    return [...this.#runs.values()]
      .filter((run) => !this.#retention.isAcknowledged(run.id))
      .map((run) => run.summary());
  }

  #forget(id: string, wasAcknowledged: boolean): void {
    const { logger, journal } = this.#options;
    const digest = this.#runs.get(id)?.digest ?? '';
    this.#runs.delete(id);
    journal.note({ is: 'forgotten', id, digest, at: monotonicMs() });
    if (!wasAcknowledged)
      logger.error(
        { executionId: id },
        'outcome dropped: no host acknowledged it, and there are too many or too large ones',
      );
    this.#removeLogs(id);
  }

  #dropLogs(id: string, wasAcknowledged: boolean): void {
    const { logger } = this.#options;
    const run = this.#runs.get(id);
    if (run instanceof EndedRun) run.dropLogs();
    if (!wasAcknowledged) logger.warn({ executionId: id }, 'logs dropped, although no host acknowledged the outcome');
    this.#removeLogs(id);
  }

  #removeLogs(executionId: string): void {
    const { logger, state } = this.#options;
    state
      .removeExecution(executionId)
      .catch((error: unknown) => logger.warn({ err: error, executionId }, 'cannot remove logs'));
  }
}
