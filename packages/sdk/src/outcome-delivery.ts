import { type Cursor, type Outcome } from '@outrigger/protocol';
import { type Backoff, fullJitterMs } from './core/backoff.js';
import { type FleetEvents } from './events.js';
import { type Logger } from './logger.js';
import { type Store } from './store/store.js';

/** Between tries of a failing `onOutcome` or store. Milliseconds. */
const HANDLER_BACKOFF: Backoff = { baseMs: 200, capMs: 30_000 };

export interface OutcomeDeliveryOptions {
  readonly store: Store;
  readonly onOutcome: ((outcome: Outcome) => void | Promise<void>) | undefined;
  readonly onFailed: (failure: FleetEvents['outcomeHandlerFailed'][0]) => void;
  readonly logger: Logger;
}

export interface Delivery {
  readonly agentId: string;
  readonly outcome: Outcome;
  readonly end: Cursor;
  /** The outcome that holds is stored. */
  readonly onStored: (outcome: Outcome, end: Cursor) => void;
}

/**
 * Takes an outcome as far as it may be acknowledged: stored, then handled, each as often as it takes.
 *
 * An outcome comes again with every connection until it is acknowledged; the store knows whether it was handled, so
 * `onOutcome` runs at least once, and again only if the process died in between.
 */
export class OutcomeDelivery {
  readonly #options: OutcomeDeliveryOptions;
  /** Deliveries under way, by agent and execution. */
  readonly #underWay = new Set<string>();
  readonly #wakeups = new Map<NodeJS.Timeout, () => void>();
  #isClosed = false;

  constructor(options: OutcomeDeliveryOptions) {
    this.#options = options;
  }

  /** @returns whether the outcome may be acknowledged now; false also while another delivery of it is under way */
  async deliver(delivery: Delivery): Promise<boolean> {
    const { agentId, outcome } = delivery;
    const key = `${agentId} ${outcome.executionId}`;
    if (this.#underWay.has(key)) return false;
    this.#underWay.add(key);
    try {
      for (let failures = 1; !this.#isClosed; failures++) {
        const error = await this.#try(delivery);
        if (error === null) return true;
        this.#report({ agentId, executionId: outcome.executionId, error: error.cause, failures });
        await this.#sleep(fullJitterMs(HANDLER_BACKOFF, failures, Math.random()));
      }
      return false;
    } finally {
      this.#underWay.delete(key);
    }
  }

  /** Stops trying. What was not handled stays unacknowledged, and comes again. */
  close(): void {
    this.#isClosed = true;
    for (const [timer, wake] of this.#wakeups) {
      clearTimeout(timer);
      wake();
    }
    this.#wakeups.clear();
  }

  async #try({ agentId, outcome, end, onStored }: Delivery): Promise<{ cause: unknown } | null> {
    const { store, onOutcome, logger } = this.#options;
    const { executionId } = outcome;
    try {
      if ((await store.getExecution(executionId)) === undefined) {
        // Dispatched by another host, or by this one before it lost its store.
        await store.putExecution({ executionId, agentId, createdAt: Date.now() });
      }
      const recorded = await store.recordOutcome(outcome, end);
      onStored(recorded.outcome, recorded.end);
      if (recorded.isHandled) {
        logger.debug({ agentId, executionId }, 'outcome was handled before');
        return null;
      }
      await onOutcome?.(recorded.outcome);
      await store.markHandled(executionId);
      return null;
    } catch (cause) {
      return { cause };
    }
  }

  #report(failure: FleetEvents['outcomeHandlerFailed'][0]): void {
    const { error, ...context } = failure;
    this.#options.logger.error({ ...context, err: error }, 'outcome was not handled; it stays unacknowledged');
    this.#options.onFailed(failure);
  }

  async #sleep(ms: number): Promise<void> {
    if (this.#isClosed) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        this.#wakeups.delete(timer);
        resolve();
      }, ms);
      this.#wakeups.set(timer, resolve);
    });
  }
}
