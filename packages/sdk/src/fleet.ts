import { randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { type ExecutionState, idSchema, type Outcome, type OutriggerError, WireError } from '@outrigger/protocol';
import { Agent } from './agent.js';
import { broadcast, type BroadcastOptions, type BroadcastReport } from './broadcast.js';
import { type CredentialName, CredentialPool } from './credentials/pool.js';
import { type PooledCredential, type ResolveCredential } from './credentials/vault.js';
import { findAddressFault } from './core/address.js';
import { type DispatchContext } from './dispatching.js';
import { sdkError } from './errors.js';
import { CREDENTIAL_EVENTS, type FleetEvents } from './events.js';
import { Execution } from './execution.js';
import { Ledger } from './ledger.js';
import { AgentLeases } from './leases.js';
import { type FleetLimits, Limits } from './limits.js';
import { AgentLink } from './link/link.js';
import { type LinkTiming, readTiming } from './link/timing.js';
import { type Token } from './link/token.js';
import { type Logger, silentLogger } from './logger.js';
import { OutcomeDelivery } from './outcome-delivery.js';
import { dispatchAnywhere, type FleetDispatch } from './placing.js';
import { Reconciler } from './reconciler.js';
import { memoryStore } from './store/memory/memory-store.js';
import { type Store } from './store/store.js';
import { watchedStore } from './store/watched.js';
import { type Tracker } from './tracker.js';
import { checkUpkeep, type ReconcileReport, Upkeep } from './upkeep.js';

const MINUTE_MS = 60_000;

const HOUR_MS = 60 * MINUTE_MS;
const WARN_BEFORE_MS = [7 * 24 * HOUR_MS, 24 * HOUR_MS, HOUR_MS];

/** For how long a limit is taken for used up of which the provider does not say when it begins anew. */
const COOLING_MS = 5 * MINUTE_MS;

/** Longer than any host may wait for the answer to a dispatch. */
const SETTLED_MS_MIN = 5 * MINUTE_MS;

/** How long closing waits for outcomes that are being handled. */
const CLOSE_MS_MAX = 10_000;

/** What a fleet is made of. */
export interface FleetOptions extends Partial<LinkTiming> {
  /** @default memoryStore() */
  store?: Store;
  /**
   * Takes each outcome, also of executions that another host dispatched. At least once; the agent keeps an outcome
   * until this has resolved. While it fails it is called again, with growing delays.
   */
  onOutcome?: (outcome: Outcome) => void | Promise<void>;
  /**
   * Whose outcomes this fleet takes. With `own` it leaves those of executions it has not dispatched itself to the hosts they belong to,
   * and neither shares their store nor is missed by them: for tools that look at agents beside a backend. @default 'all'
   */
  outcomes?: 'all' | 'own';
  /** Credentials to give to agents, by what they need. One by its name alone comes from `resolveCredential`. @default none */
  credentials?: readonly (PooledCredential | CredentialName)[];
  /** Fetches a credential that is kept elsewhere, whenever it is needed. */
  resolveCredential?: ResolveCredential;
  /**
   * From this fraction of a limit on an agent is given a credential that is clearly less used, before it is refused.
   * @default never
   */
  switchAtUtilization?: number;
  /** How long before the end of a credential `credentialExpiring` warns of it. Milliseconds. @default 7 days, 1 day, 1 hour */
  warnBeforeExpiryMs?: readonly number[];
  /** @default none */
  limits?: FleetLimits;
  /**
   * Executions of an agent that no host has seen for so long are presumed lost. Milliseconds, at least twice
   * `reconcileIntervalMs`. @default 15 min
   */
  lostAfterMs?: number;
  /** About how often everything is reconciled, besides with each connection. Milliseconds. @default 30 s */
  reconcileIntervalMs?: number;
  /** Names this host in the agents' logs. @default 'outrigger-sdk' */
  clientName?: string;
  /** pino, or anything like it. @default none */
  logger?: Logger;
}

/** Where an agent is, and who it has to be. */
export interface ConnectOptions {
  /** The agent that has to answer; without one the agent says who it is. */
  id?: string;
  /** `wss://host:port`, or `ws://` on loopback. */
  url: string;
  /** The agent's control token; a function is asked for each connection. */
  token: Token;
  /** Certificates to trust instead of the system's, as PEM: for `wss:` with one of your own. */
  ca?: string | Buffer;
  /** What the agent is, for `agentLabels` of a dispatch and for `broadcast`. @default none */
  labels?: Record<string, string>;
  /** Allows `ws:` off loopback, which sends the token and every credential in the clear. @default false */
  insecure?: boolean;
}

/** An agent, as its host sees it. */
export interface KnownAgent {
  agentId: string;
  /** As they were given to `connect`. */
  labels: Record<string, string>;
  /** Whether there is a connection now. */
  isReached: boolean;
  /** Executions it runs at the same time, at most; as it said last. */
  slots: number;
  /** How many of its executions are in each state, as far as was heard. */
  executions: Partial<Record<ExecutionState, number>>;
}

/** The host's side of any number of agents. */
export class Fleet extends EventEmitter<FleetEvents> implements AsyncDisposable {
  readonly #options: FleetOptions;
  readonly #store: Store;
  readonly #logger: Logger;
  readonly #timing: LinkTiming;
  readonly #delivery: OutcomeDelivery;
  /** The fleet's credentials. Without any, agents keep what they have. */
  readonly credentials: CredentialPool;
  readonly #limits: Limits;
  /** Settles when the credentials of the options are in the pool. */
  readonly #pooled: Promise<void>;
  readonly #upkeep: Upkeep;
  readonly #ledgers = new Map<string, Ledger>();
  /** Every link that is open or being opened. */
  readonly #links = new Set<AgentLink>();
  #closedBy: OutriggerError | null = null;
  /** Undefined: it could not be found out yet. */
  #storeId: string | undefined;

  /** @internal */
  constructor(options: FleetOptions) {
    super();
    const { logger = silentLogger, onOutcome } = options;
    const store = watchedStore(options.store ?? memoryStore(), (failure) => this.#emitLater('storeFailed', failure));
    this.#options = options;
    this.#store = store;
    this.#logger = logger;
    this.#timing = readTiming(options);
    const { lostAfterMs = 15 * MINUTE_MS, reconcileIntervalMs: intervalMs = MINUTE_MS / 2 } = options;
    checkUpkeep({ intervalMs, lostAfterMs });
    const holder = randomUUID();
    this.#delivery = new OutcomeDelivery({
      ...{ store, holder, onOutcome, logger },
      onFailed: (failure) => this.#emitLater('outcomeHandlerFailed', failure),
      onHandled: (handled) => this.#emitLater('outcomeHandled', handled),
      onCorrected: (correction) => this.#emitLater('outcomeCorrected', correction),
    });
    const leases = new AgentLeases(store, holder);
    this.credentials = new CredentialPool({
      ...{ store, leases, logger, ledgers: this.#ledgers, resolveCredential: options.resolveCredential },
      policy: { coolingMs: COOLING_MS, switchAtUtilization: options.switchAtUtilization ?? null },
      warnBeforeMs: options.warnBeforeExpiryMs ?? WARN_BEFORE_MS,
      emit: (name, event) => this.#emitLater(name, ...([event] as unknown as FleetEvents[typeof name])),
    });
    this.#limits = new Limits({
      ...{ store, logger, fleet: options.limits ?? {} },
      ofCredential: (agentId) => this.credentials.limitOf(agentId),
      credentials: () => this.credentials.limited(),
      isRunning: (executionId) =>
        [...this.#ledgers.values()].some((ledger) => ledger.executions.listed().has(executionId)),
    });
    const limits = this.#limits;
    this.#upkeep = new Upkeep({
      ...{ store, logger, limits, intervalMs, lostAfterMs },
      reconciler: new Reconciler({
        ...{ store, leases, limits, lostAfterMs, logger },
        settledAfterMs: this.#settledAfterMs,
        onDone: (report) => this.#emitLater('reconciled', report),
      }),
      ledgers: this.#ledgers,
      ledgerOf: (agentId) => this.#ledger(agentId),
      onRound: async () => {
        await Promise.all([this.credentials.tick(), this.#learnStoreId()]);
      },
      onDropped: (agentId) => {
        this.#ledgers.delete(agentId);
        void this.credentials.onGone(agentId);
      },
    });
    this.#pooled = this.credentials.load(options.credentials ?? []);
    // Whoever connects is told.
    this.#pooled.catch(() => undefined);
  }

  /**
   * Connects to an agent. Resolves when what the agent knows has been taken in; from then on the connection is made
   * anew for ever. If it rejects, nothing is tried again.
   *
   * @throws `invalid`, `insecure_url`, `unauthorized`, `agent_mismatch`, `unsupported_version`, `already_connected`,
   * `agent_unreachable`, `fleet_closed`
   */
  async connect({ id, url, token, ca, labels = {}, insecure = false }: ConnectOptions): Promise<Agent> {
    this.#refuseClosed();
    const fault = findAddressFault(url, { insecure }) ?? findIdFault(id);
    if (fault !== null) throw fault;

    const link: AgentLink = new AgentLink({
      url,
      token,
      ca,
      agentId: id,
      clientName: this.#options.clientName ?? 'outrigger-sdk',
      storeId: () => this.#storeId,
      timing: this.#timing,
      logger: this.#logger,
      admit: (agentId) => {
        const ledger = this.#ledger(agentId);
        ledger.attach(link);
        ledger.labels = { ...labels };
        return ledger;
      },
    });
    await Promise.all([this.#pooled, this.#learnStoreId()]);
    // Closed meanwhile: a link that is opened now would stay open.
    this.#refuseClosed();
    this.#links.add(link);
    void link.over.then(() => this.#links.delete(link));
    const { agentId } = await link.open();
    this.#upkeep.start();
    return new Agent(this.#ledger(agentId), this.#context);
  }

  /**
   * Dispatches an execution on the agent with the smallest share of its slots in use, of those that carry `agentLabels`, or on the next one if that
   * refuses it. Where none takes it `whenBusy` decides: `refuse` rejects, `queue` waits on the agent with the shortest queue
   * (for a limit of the fleet: here, up to `queueTimeoutMs`), `skip` records a `skipped` outcome. An id that was dispatched before stays on its agent.
   *
   * @throws `no_place` with `data.refusals`; `limit_reached`; and what {@link Agent.dispatch} throws: after
   * `agent_unreachable` the agent it was sent to may run it, so it is not tried elsewhere
   */
  async dispatch(request: FleetDispatch): Promise<Execution> {
    this.#refuseClosed();
    return dispatchAnywhere(this.#ledgers, this.#context, request);
  }

  /**
   * Says something to every running interactive execution that carries all the labels, itself or through its agent; with none, to all.
   * Each is told once for each `messageId`. Executions that cannot be told are in the report.
   *
   * @throws `fleet_closed`
   */
  async broadcast(
    { labels = {} }: { labels?: Record<string, string> },
    message: string,
    options: BroadcastOptions = {},
  ): Promise<BroadcastReport> {
    this.#refuseClosed();
    return broadcast(this.#ledgers.values(), labels, message, options);
  }

  /**
   * A handle on an execution that the store or a connected agent knows, e.g. after this host was restarted.
   *
   * @throws `unknown_execution`; `agent_closed` when the store says which agent has it, and that one is not connected;
   * `agent_unreachable` when that one does not answer
   */
  async execution(executionId: string): Promise<Execution> {
    this.#refuseClosed();
    for (const ledger of this.#ledgers.values()) {
      const tracker = ledger.executions.find(executionId);
      if (tracker !== undefined) return new Execution(ledger, tracker);
    }
    const record = await this.#store.getExecution(executionId);
    if (record?.conclusion !== undefined) {
      const ledger = this.#ledger(record.agentId);
      return new Execution(ledger, ledger.recall(record.conclusion.outcome, record.conclusion.end));
    }
    const candidates = record ? [this.#ledger(record.agentId)] : [...this.#ledgers.values()].filter((l) => l.isReady);
    for (const ledger of candidates) {
      const tracker = await askFor(ledger, executionId);
      if (tracker !== null) return new Execution(ledger, tracker);
    }
    throw sdkError('unknown_execution', `neither the store nor a connected agent knows execution ${executionId}`, {
      data: { executionId },
    });
  }

  /** The agents this host is connected to, or was and tries to be again; as it has heard last, so it is cheap. */
  agents(): KnownAgent[] {
    const attached = [...this.#ledgers.values()].filter(({ isAttached }) => isAttached);
    return attached.map(({ agentId, labels, isReady, place, executions: { states } }) => {
      return { agentId, labels: { ...labels }, isReached: isReady, slots: place.max, executions: states };
    });
  }

  /**
   * Makes the store and the agents agree, as is done with each connection and from time to time: what an agent runs is
   * written down, what it does not know any more is presumed lost or forgotten, and what nobody needs is given back.
   * Agents that this host is not connected to are looked at as well, as far as the store knows them.
   *
   * @throws `fleet_closed`; what could not be done is in the report
   */
  async reconcile(): Promise<ReconcileReport> {
    this.#refuseClosed();
    return this.#upkeep.round({ isSweeping: true });
  }

  /**
   * Closes every connection and fails what is pending with `fleet_closed`. What runs on the agents goes on.
   *
   * An `onOutcome` that is under way may end and its outcome be acknowledged first, for at most ten seconds; one that
   * fails is not tried again, and its outcome comes again to the next host.
   */
  async close(): Promise<void> {
    this.#closedBy ??= sdkError('fleet_closed', 'the fleet was closed');
    const error = this.#closedBy;
    this.#upkeep.close();
    this.credentials.close();
    this.#delivery.close();
    await this.#settled();
    for (const ledger of this.#ledgers.values()) ledger.abandon(error);
    await Promise.all([...this.#links].map((link) => link.close(error)));
    await this.#store.close();
  }

  async #settled(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const isLate = new Promise<void>((resolve) => (timer = setTimeout(resolve, CLOSE_MS_MAX)));
    await Promise.race([isLate, Promise.all([...this.#ledgers.values()].map((ledger) => ledger.settled()))]);
    clearTimeout(timer);
  }

  /** As {@link close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** A Redis that lost everything has another one. */
  async #learnStoreId(): Promise<void> {
    if (this.#options.outcomes === 'own') return;
    try {
      this.#storeId = await this.#store.id();
    } catch (error) {
      this.#logger.warn({ err: error }, 'the store cannot be asked for its name');
    }
  }

  get #settledAfterMs(): number {
    return Math.max(SETTLED_MS_MIN, 2 * this.#timing.requestTimeoutMs);
  }

  get #context(): DispatchContext {
    const { credentials: pool } = this;
    const settledAfterMs = this.#settledAfterMs;
    return {
      ...{ store: this.#store, limits: this.#limits, pool, settledAfterMs, logger: this.#logger },
      onDispatching: (event) => this.#emitLater('dispatching', event),
      onDispatched: (event) => this.#emitLater('dispatched', event),
    };
  }

  #ledger(agentId: string): Ledger {
    const present = this.#ledgers.get(agentId);
    if (present !== undefined) return present;
    const ledger: Ledger = new Ledger({
      agentId,
      delivery: this.#delivery,
      outcomes: this.#options.outcomes ?? 'all',
      logger: this.#logger,
      onLost: (error) => this.#emitLater('agentUnreachable', { agentId, error }),
      onBack: () => this.#emitLater('agentBack', { agentId }),
      onReady: () => {
        void this.#upkeep.onReady(ledger);
        void this.credentials.onReady(ledger);
      },
      onSplitStore: (storeIds) => {
        this.#logger.error({ agentId, storeIds }, 'hosts with other stores are connected to the agent');
        this.#emitLater('splitStore', { agentId, storeIds });
      },
      onStored: ({ outcome, limits }) => void this.#limits.giveBack(outcome.executionId, limits),
      onStep: (executionId, event) => this.#emitLater('executionStep', { agentId, executionId, event }),
      onUnknown: (executionId, error) => void this.#upkeep.findOut(ledger, executionId, error),
      onCredentialNotice: (told) => {
        const { type, ...notice } = told;
        void this.credentials.onNotice(ledger, told);
        const name = CREDENTIAL_EVENTS[type];
        this.#emitLater(name, ...([{ agentId, ...notice }] as FleetEvents[typeof name]));
      },
      onAdmission: ({ name, event }) => this.#emitLater(name, ...([{ agentId, ...event }] as FleetEvents[typeof name])),
    });
    this.#ledgers.set(agentId, ledger);
    return ledger;
  }

  #refuseClosed(): void {
    if (this.#closedBy !== null) throw this.#closedBy;
  }

  /** A listener that throws is its owner's uncaught exception, and must not stop what was going on here. */
  #emitLater<K extends keyof FleetEvents>(name: K, ...args: FleetEvents[K]): void {
    queueMicrotask(() => (this as EventEmitter).emit(name, ...args));
  }
}

async function askFor(ledger: Ledger, executionId: string): Promise<Tracker | null> {
  try {
    const { execution } = await ledger.link.call('status', { executionId });
    return execution === undefined ? null : ledger.take(execution);
  } catch (error) {
    if (error instanceof WireError && error.code === 'unknown_execution') return null;
    throw error;
  }
}

function findIdFault(id: string | undefined): OutriggerError | null {
  if (id === undefined || idSchema.safeParse(id).success) return null;
  return sdkError('invalid', 'id: letters, digits, ".", "_" and "-", starting with a letter or digit');
}

/** Makes a fleet. Nothing happens before `connect`. @throws `invalid` for a duration that is no positive integer */
export function createFleet(options: FleetOptions = {}): Fleet {
  return new Fleet(options);
}
