import { type OutriggerError } from '@outrigger/protocol';
import { sdkError } from './errors.js';
import { type Ledger } from './ledger.js';
import { type Limits } from './limits.js';
import { type Logger } from './logger.js';
import { type AgentReport, type Reconciler } from './reconciler.js';
import { type Store } from './store/store.js';

/** What `fleet.reconcile()` has found and done. */
export interface ReconcileReport {
  agents: AgentReport[];
  /** Permits of limits that nobody needed any more. */
  permitsReturned: number;
}

export interface UpkeepOptions {
  readonly store: Store;
  readonly reconciler: Reconciler;
  readonly limits: Limits;
  /** Ledgers of this host, by agent. */
  readonly ledgers: ReadonlyMap<string, Ledger>;
  /** The ledger of an agent that another host has been connected to. */
  readonly ledgerOf: (agentId: string) => Ledger;
  /** What else is done with each round. */
  readonly onRound: () => Promise<void>;
  /** An agent is gone for good. */
  readonly onDropped: (agentId: string) => void;
  readonly intervalMs: number;
  readonly lostAfterMs: number;
  readonly logger: Logger;
}

/** Agents that are looked after at the same time. */
const AT_ONCE = 8;

/** Permits are swept with every so many rounds. */
const SWEEP_EVERY = 10;

/** How often, and how long apart, it is asked whether another host has found out what became of an execution. */
const ASK_AGAIN = { times: 30, afterMs: 1000 };

/** What a host does unasked: says which agents it sees, reconciles them, and looks for what others have left behind. */
export class Upkeep {
  readonly #options: UpkeepOptions;
  #timer: NodeJS.Timeout | undefined;
  #rounds = 0;
  #isClosed = false;

  constructor(options: UpkeepOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#timer === undefined && !this.#isClosed) this.#schedule();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  /** A connection has begun. */
  async onReady(ledger: Ledger): Promise<void> {
    await this.#lookAfter(ledger);
  }

  /** Finds out what became of an execution whose agent does not know it; readers are told if it is not lost. */
  async findOut(ledger: Ledger, executionId: string, error: OutriggerError): Promise<void> {
    for (let n = 0; n < ASK_AGAIN.times && !this.#isClosed; n++) {
      const { isLeftToAnother } = await this.#options.reconciler.run(ledger);
      const tracker = ledger.executions.find(executionId);
      if (tracker === undefined || tracker.outcome?.status === 'lost') return;
      if (isLeftToAnother && tracker.outcome === undefined) await this.#pause(ASK_AGAIN.afterMs);
      else break;
    }
    ledger.executions.find(executionId)?.forget(error);
  }

  /** Everything that is done from time to time, now. */
  async round({ isSweeping }: { isSweeping: boolean }): Promise<ReconcileReport> {
    const { store, ledgers, ledgerOf, limits, logger, onRound } = this.#options;
    const report: ReconcileReport = { agents: [], permitsReturned: 0 };
    const known = new Set(ledgers.keys());
    try {
      for (const agentId of await store.agents()) if (!known.has(agentId)) ledgerOf(agentId);
    } catch (error) {
      logger.warn({ err: error }, 'the store cannot be asked for its agents');
    }
    await onRound();
    const waiting = [...ledgers.values()];
    const worker = async () => {
      for (let ledger = waiting.shift(); ledger !== undefined; ledger = waiting.shift()) {
        report.agents.push(await this.#lookAfter(ledger));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    try {
      if (isSweeping) report.permitsReturned = await limits.sweep();
    } catch (error) {
      logger.warn({ err: error }, 'permits were not swept');
    }
    return report;
  }

  async #lookAfter(ledger: Ledger): Promise<AgentReport> {
    const { store, reconciler, logger, lostAfterMs } = this.#options;
    const { agentId } = ledger;
    try {
      if (ledger.isReady) await store.touchAgent(agentId);
    } catch (error) {
      logger.warn({ agentId, err: error }, 'that the agent was seen is not noted');
    }
    const report = await reconciler.run(ledger);
    // An agent that is gone for good must not be looked for for ever.
    const isGone = !ledger.isAttached && ledger.unseenForMs >= lostAfterMs && report.open === 0;
    if (isGone && report.failed.length === 0) await this.#dropIfUnseen(agentId);
    return report;
  }

  async #dropIfUnseen(agentId: string): Promise<void> {
    const { store, lostAfterMs, logger, onDropped } = this.#options;
    try {
      const unseenForMs = await store.unseenForMs(agentId);
      if (unseenForMs !== null && unseenForMs < lostAfterMs) return;
      await store.dropAgent(agentId);
      onDropped(agentId);
    } catch (error) {
      logger.warn({ agentId, err: error }, 'an agent that is gone was not dropped');
    }
  }

  /** Hosts that were started together are not to come together each time. */
  #schedule(): void {
    const { intervalMs } = this.#options;
    this.#timer = setTimeout(() => void this.#onTimer(), intervalMs * (0.75 + Math.random() / 2));
    this.#timer.unref();
  }

  async #onTimer(): Promise<void> {
    this.#rounds += 1;
    await this.round({ isSweeping: this.#rounds % SWEEP_EVERY === 0 });
    if (!this.#isClosed) this.#schedule();
  }

  async #pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => setTimeout(resolve, ms).unref());
  }
}

/** @throws `invalid` */
export function checkUpkeep({ intervalMs, lostAfterMs }: Pick<UpkeepOptions, 'intervalMs' | 'lostAfterMs'>): void {
  for (const [name, value] of Object.entries({ reconcileIntervalMs: intervalMs, lostAfterMs })) {
    if (!(Number.isSafeInteger(value) && value > 0)) throw sdkError('invalid', `${name}: expected a positive integer`);
  }
  if (lostAfterMs < 2 * intervalMs) {
    throw sdkError(
      'invalid',
      'lostAfterMs: at least twice reconcileIntervalMs, at which hosts say which agents they see',
    );
  }
}
