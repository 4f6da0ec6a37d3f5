import { type ExecutionSummary, WireError } from '@outrigger/protocol';
import { type Logger } from 'pino';
import { type StateFolder } from '../state/folder.js';
import { Retention } from './retention.js';
import { type Run } from './run.js';

export interface KnownRunsOptions {
  /** Where the logs are. */
  readonly state: StateFolder;
  readonly logger: Logger;
}

/** Every execution that is known, in the order of acceptance, until it is forgotten and its logs with it. */
export class KnownRuns {
  readonly #options: KnownRunsOptions;
  readonly #runs = new Map<string, Run>();
  readonly #retention = new Retention({ onForgotten: (id, wasAcknowledged) => this.#forget(id, wasAcknowledged) });

  constructor(options: KnownRunsOptions) {
    this.#options = options;
  }

  /** How many have an outcome that no host has acknowledged. */
  get unacknowledgedCount(): number {
    return this.#retention.unacknowledgedCount;
  }

  find(id: string): Run | undefined {
    return this.#runs.get(id);
  }

  /** @throws WireError `unknown_execution` */
  get(id: string): Run {
    const run = this.#runs.get(id);
    if (run === undefined) throw new WireError('unknown_execution', `execution ${id} is not known to this agent`);
    return run;
  }

  add(run: Run): void {
    this.#runs.set(run.id, run);
  }

  /** The execution has its outcome: from now on it may be forgotten. */
  keep(run: Run): void {
    this.#retention.keep(run.id, Buffer.byteLength(JSON.stringify(run.summary())));
  }

  /** @throws WireError `unknown_execution`, or `invalid` while it has no outcome. */
  acknowledge(id: string): void {
    if (this.get(id).outcome === null) throw new WireError('invalid', `ack: execution ${id} has no outcome yet`);
    this.#retention.acknowledge(id);
  }

  /** Every execution whose outcome no host has acknowledged. */
  unacknowledged(): ExecutionSummary[] {
    return [...this.#runs.values()]
      .filter((run) => !this.#retention.isAcknowledged(run.id))
      .map((run) => run.summary());
  }

  #forget(executionId: string, wasAcknowledged: boolean): void {
    const { logger, state } = this.#options;
    this.#runs.delete(executionId);
    if (!wasAcknowledged)
      logger.error(
        { executionId },
        'outcome dropped: no host acknowledged it, and there are too many or too large ones',
      );
    state
      .removeExecution(executionId)
      .catch((error: unknown) => logger.warn({ err: error, executionId }, 'cannot remove logs'));
  }
}
