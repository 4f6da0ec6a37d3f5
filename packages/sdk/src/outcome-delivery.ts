import { type Outcome, OutriggerError } from '@outrigger/protocol';
import { type Backoff, fullJitterMs } from './core/backoff.js';
import { type FleetEvents } from './events.js';
import { type Logger } from './logger.js';
import { type Claimant, type Evidence, type ExecutionKey, type Recorded, type Store } from './store/store.js';

/** Between tries of a failing `onOutcome` or store. Milliseconds. */
const HANDLER_BACKOFF: Backoff = { baseMs: 200, capMs: 30_000 };

/** How long a host may be silent that handles an outcome, before another one takes its place. */
const CLAIM_MS = 30_000;
const PROLONG_MS = CLAIM_MS / 3;

export interface OutcomeDeliveryOptions {
  readonly store: Store;
  /** Names this host. */
  readonly holder: string;
  readonly onOutcome: ((outcome: Outcome) => void | Promise<void>) | undefined;
  readonly onFailed: (failure: FleetEvents['outcomeHandlerFailed'][0]) => void;
  /** An outcome was handled, by this host. */
  readonly onHandled: (handled: FleetEvents['outcomeHandled'][0]) => void;
  /** A presumed outcome has given way, and the one that holds was handled. */
  readonly onCorrected: (correction: FleetEvents['outcomeCorrected'][0]) => void;
  readonly logger: Logger;
}

export interface Delivery extends Evidence {
  /** The outcome that holds is stored. */
  readonly onStored: (recorded: Recorded) => void;
}

/** What came of a try. */
type Try = { is: 'handled' } | { is: 'claimed'; forMs: number } | { is: 'failed'; cause: unknown; isRecorded: boolean };

/**
 * Takes an outcome as far as it may be acknowledged: stored, then handled, each as often as it takes.
 *
 * An outcome comes again with every connection until it is acknowledged; the store knows whether it was handled, and which
 * host is at it. So `onOutcome` runs at least once, and again only if a host died in between, or was silent for too long.
 */
export class OutcomeDelivery {
  readonly #options: OutcomeDeliveryOptions;
  readonly #claimant: Claimant;
  /** Deliveries under way, by agent and execution. */
  readonly #underWay = new Set<string>();
  readonly #wakeups = new Map<NodeJS.Timeout, () => void>();
  #isClosed = false;

  constructor(options: OutcomeDeliveryOptions) {
    this.#options = options;
    this.#claimant = { holder: options.holder, ttlMs: CLAIM_MS };
  }

  /**
   * @returns whether the outcome may be acknowledged now; false also while another delivery of it is under way
   * @throws `stale_fence` for a presumed outcome that was overtaken
   */
  async deliver(delivery: Delivery): Promise<boolean> {
    const { agentId, outcome } = delivery;
    const key = `${agentId} ${outcome.executionId}`;
    if (this.#underWay.has(key)) return false;
    this.#underWay.add(key);
    try {
      let evidence: Delivery = delivery;
      for (let failures = 0; !this.#isClosed;) {
        const tried = await this.#try(evidence);
        // Once it is recorded it needs no lease any more.
        if (tried.is !== 'failed' || tried.isRecorded) evidence = withoutFence(delivery);
        switch (tried.is) {
          case 'handled':
            return true;
          case 'claimed':
            await this.#sleep(tried.forMs);
            break;
          case 'failed':
            if (!tried.isRecorded && isStale(tried.cause)) throw tried.cause;
            failures += 1;
            this.#report({ agentId, executionId: outcome.executionId, error: tried.cause, failures });
            await this.#sleep(fullJitterMs(HANDLER_BACKOFF, failures, Math.random()));
        }
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

  async #try({ onStored, ...evidence }: Delivery): Promise<Try> {
    const key = { agentId: evidence.agentId, executionId: evidence.outcome.executionId };
    let recorded: Recorded;
    try {
      recorded = await this.#options.store.recordOutcome(evidence, this.#claimant);
    } catch (cause) {
      return { is: 'failed', cause, isRecorded: false };
    }
    onStored(recorded);
    if (recorded.isHandled) return { is: 'handled' };
    const { claim } = recorded;
    if (claim === null) return { is: 'claimed', forMs: recorded.claimedForMs };
    return this.#handle(key, withoutFence(evidence), { ...recorded, claim });
  }

  async #handle(key: ExecutionKey, evidence: Evidence, { outcome, claim }: Recorded & { claim: number }): Promise<Try> {
    const { store, onOutcome, onHandled, onCorrected, logger } = this.#options;
    const prolong = () =>
      store.recordOutcome(evidence, this.#claimant).catch((error: unknown) => {
        logger.warn({ ...key, err: error }, 'the claim on an outcome was not prolonged');
      });
    const timer = setInterval(() => void prolong(), PROLONG_MS);
    try {
      await onOutcome?.(outcome);
      // Another host has taken over, and will have handled it as well.
      if (!(await store.markHandled(key, claim))) return { is: 'claimed', forMs: 0 };
      onHandled({ agentId: key.agentId, outcome });
      if (outcome.corrected === true) onCorrected({ agentId: key.agentId, outcome });
      return { is: 'handled' };
    } catch (cause) {
      await store.releaseClaim(key, claim).catch(() => undefined);
      return { is: 'failed', cause, isRecorded: true };
    } finally {
      clearInterval(timer);
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

function withoutFence<T extends Evidence>({ fence: _fence, ...evidence }: T): Omit<T, 'fence'> {
  return evidence;
}

function isStale(error: unknown): boolean {
  return error instanceof OutriggerError && error.code === 'stale_fence';
}
