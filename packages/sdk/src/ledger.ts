import {
  type Cursor,
  CURSOR_START,
  type ExecutionSummary,
  type Outcome,
  OutriggerError,
  type Welcome,
  WireError,
} from '@outrigger/protocol';
import { Admission } from './admission.js';
import { type Place } from './core/placement.js';
import { type AgentAnswer } from './core/reconcile.js';
import { stepOf } from './core/state-history.js';
import { defer } from './deferred.js';
import { sdkError } from './errors.js';
import { type AdmissionEvent, type CredentialNotice } from './events.js';
import { type Greeting } from './link/connection.js';
import { type AgentLink, type LinkOwner, type Notice } from './link/link.js';
import { KnownExecutions } from './known-executions.js';
import { type Logger } from './logger.js';
import { type OutcomeDelivery } from './outcome-delivery.js';
import { type Recorded } from './store/store.js';
import { type StepEvent, Tracker } from './tracker.js';

export interface LedgerOptions {
  readonly agentId: string;
  readonly delivery: OutcomeDelivery;
  /** Whose outcomes this host takes: those of all, or of what it has dispatched itself. */
  readonly outcomes: 'all' | 'own';
  readonly logger: Logger;
  readonly onLost: (error: OutriggerError) => void;
  readonly onBack: () => void;
  /** A connection has begun, and what the agent has listed is taken in. */
  readonly onReady: () => void;
  /** Hosts with these other stores are connected to the agent. */
  readonly onSplitStore: (storeIds: string[]) => void;
  /** An outcome is stored. */
  readonly onStored: (recorded: Recorded) => void;
  /** An execution goes on. */
  readonly onStep?: (executionId: string, event: StepEvent) => void;
  /** The agent has said that it does not know an execution that somebody reads. */
  readonly onUnknown: (executionId: string, error: OutriggerError) => void;
  readonly onCredentialNotice: (notice: CredentialNotice) => void;
  readonly onAdmission: (event: AdmissionEvent) => void;
}

/** An outcome on its way to its acknowledgement. */
interface Concluding {
  readonly outcome: Outcome;
  readonly end: Cursor;
  /** The agent did not say so, and has nothing to be acknowledged. */
  readonly isPresumed?: boolean;
  readonly fence?: number;
  readonly onStored?: () => void;
}

/** Ended executions that are of other hosts and can still be listed. */
const OTHERS_ENDED_MAX = 1000;

/** The credential in force on an agent, by name; nulls: it has none, or has not said. */
export type CredentialInForce = Pick<Welcome, 'generation' | 'credentialId'>;

/**
 * What this host knows of one agent's executions: the one place that writes it. It outlives links, so that promises
 * given for an agent that was closed are kept once it is connected again.
 */
export class Ledger implements LinkOwner {
  readonly #options: LedgerOptions;
  readonly admission: Admission;
  readonly executions: KnownExecutions;
  /** Executions that were dispatched here, where that matters: a backend would gather every one that was refused. */
  readonly #own = new Set<string>();
  /** Outcomes on their way from the agent to their acknowledgement. */
  readonly #concluding = new Set<Promise<void>>();
  #link: AgentLink | null = null;
  #wasLost = false;
  /** Null: it is reached. */
  #unreachableSinceMs: number | null = performance.now();
  #credential: CredentialInForce = { generation: null, credentialId: null };
  #welcome: Welcome | undefined;

  constructor(options: LedgerOptions) {
    this.#options = options;
    this.executions = new KnownExecutions(options.agentId, options.onStep);
    this.admission = new Admission(options.onAdmission);
  }

  /** What the host that connects to the agent says of it. */
  labels: Readonly<Record<string, string>> = {};

  get agentId(): string {
    return this.#options.agentId;
  }

  /** Whether this host has been told to be connected to the agent. */
  get isAttached(): boolean {
    return this.#link !== null;
  }

  get isReady(): boolean {
    return this.#link?.isReady ?? false;
  }

  /** As the agent has told last. */
  get credential(): CredentialInForce {
    return this.#credential;
  }

  /** What the agent remembers goes by this name, as it has told last. */
  get journalId(): string | undefined {
    return this.#welcome?.journalId;
  }

  /** What the agent says of itself, as it has told last; undefined: it was not reached yet. */
  get welcome(): Welcome | undefined {
    return this.#welcome;
  }

  /** @throws `agent_closed` */
  get link(): AgentLink {
    if (this.#link !== null) return this.#link;
    throw sdkError('agent_closed', `agent ${this.agentId} is not connected; call fleet.connect first`);
  }

  /** @throws `already_connected` */
  attach(link: AgentLink): void {
    if (this.#link !== null) {
      throw sdkError('already_connected', `the fleet is connected to agent ${this.agentId} already`);
    }
    this.#link = link;
    this.#wasLost = false;
  }

  async detach(error: OutriggerError): Promise<void> {
    const link = this.#link;
    this.#link = null;
    this.#unreachableSinceMs ??= performance.now();
    this.admission.abandon(error);
    await link?.close(error);
  }

  abandon(error: OutriggerError): void {
    this.executions.abandon(error);
    this.admission.abandon(error);
  }

  /** While an execution is dispatched nobody is told that the agent does not know it. */
  whileDispatching<T>(executionId: string, dispatch: () => Promise<T>): Promise<T> {
    if (this.#options.outcomes === 'own') this.#own.add(executionId);
    return this.executions.whileDispatching(executionId, dispatch);
  }

  onReady({ welcome, snapshot }: Greeting): void {
    this.#credential = welcome;
    this.admission.onWelcome(welcome);
    if (welcome.otherStores !== undefined) this.#options.onSplitStore(welcome.otherStores);
    this.#welcome = welcome;
    this.executions.beginTelling();
    for (const summary of snapshot) this.#takeState(summary);
    if (this.#wasLost) this.#options.onBack();
    this.#wasLost = false;
    this.#unreachableSinceMs = null;
    this.#options.onReady();
  }

  onLost(error: OutriggerError): void {
    this.#wasLost = true;
    this.#unreachableSinceMs ??= performance.now();
    this.#options.onLost(error);
  }

  onNotice(notice: Notice): void {
    switch (notice.type) {
      case 'outcome':
        void this.#conclude(notice);
        return;
      case 'state': {
        // What an acknowledged execution still has to say comes too late to matter.
        const isOver = notice.state === 'ended';
        const tracker = isOver ? this.executions.find(notice.executionId) : this.#track(notice.executionId);
        if (!isOver) this.executions.noteTold(notice.executionId);
        tracker?.step(notice, this.#known(notice));
        return;
      }
      case 'credential_changed':
        this.#credential = notice;
        break;
      case 'rate_limit':
        for (const tracker of this.executions.all) tracker.limit(notice);
        break;
      case 'drain_progress':
      case 'circuit_opened':
      case 'circuit_closed':
        this.admission.onNotice(notice);
        return;
      case 'credential_needed':
    }
    this.#options.onCredentialNotice(notice);
  }

  onSummary(summary: ExecutionSummary): void {
    // Of one that was concluded and acknowledged there is nothing more to learn.
    if (summary.outcome === undefined || this.executions.find(summary.executionId) !== undefined) this.take(summary);
  }

  /** Takes what an answer says about an execution. */
  take(summary: ExecutionSummary): Tracker {
    const tracker = this.#takeState(summary);
    const { outcome, end } = summary;
    if (outcome !== undefined && end !== undefined) void this.#conclude({ outcome, end });
    return tracker;
  }

  /** An execution whose outcome the store has; its output may still be there to read. */
  recall(outcome: Outcome, end: Cursor): Tracker {
    const tracker = this.executions.find(outcome.executionId) ?? new Tracker(this.agentId, outcome.executionId);
    tracker.conclude(outcome, end);
    return tracker;
  }

  #track(executionId: string): Tracker {
    return this.executions.track(executionId, this.journalId);
  }

  #takeState(summary: ExecutionSummary): Tracker {
    const tracker = this.#track(summary.executionId);
    this.executions.noteTold(summary.executionId);
    tracker.labels = summary.labels ?? {};
    tracker.step(stepOf(summary), this.#known(summary));
    return tracker;
  }

  #known({ end }: { end?: Cursor | undefined }): { end: Cursor | undefined; generation: number | null } {
    return { end, generation: this.#credential.generation };
  }

  /** Labels an execution was dispatched with; null: the agent does not know it. @throws `agent_unreachable` */
  async labelsOf(executionId: string): Promise<Readonly<Record<string, string>> | null> {
    const known = this.executions.find(executionId)?.labels;
    if (known !== undefined) return known;
    const answer = await this.ask(executionId);
    return answer === 'unknown' ? null : (this.executions.find(executionId)?.labels ?? {});
  }

  /** How much room there is, counted from what the agent has told. */
  get place(): Place {
    const { agentId, labels } = this;
    return {
      agentId,
      labels,
      max: this.#welcome?.counts.maxExecutions ?? 0,
      ...this.executions.occupancy,
      isClosed: this.admission.isClosed,
    };
  }

  /** Whether the agent knows an execution. What it says of it is taken. @throws `agent_unreachable` */
  async ask(executionId: string): Promise<AgentAnswer> {
    try {
      const { execution } = await this.link.callNow('status', { executionId });
      if (execution !== undefined) this.take(execution);
      return 'known';
    } catch (error) {
      if (error instanceof WireError && error.code === 'unknown_execution') return 'unknown';
      throw error;
    }
  }

  /** For how long this host has not reached the agent; 0: it does. Milliseconds. */
  get unseenForMs(): number {
    return this.#unreachableSinceMs === null ? 0 : performance.now() - this.#unreachableSinceMs;
  }

  /** Who reads an execution was told that the agent does not know it. */
  onUnknown(executionId: string, error: OutriggerError): void {
    this.#options.onUnknown(executionId, error);
  }

  /** Records that an execution was not even dispatched. */
  skip(outcome: Outcome): Tracker {
    const tracker = this.#track(outcome.executionId);
    void this.#conclude({ outcome, end: CURSOR_START, isPresumed: true });
    return tracker;
  }

  /** Tells an outcome that is stored already, and that the agent does not know of. */
  presume(outcome: Outcome, end: Cursor): void {
    void this.#conclude({ outcome, end, isPresumed: true });
  }

  /** The same for one that is to be stored under a lease. @throws `stale_fence` */
  async presumeUnder(fence: number, outcome: Outcome, end: Cursor): Promise<void> {
    const stored = defer<undefined>();
    const delivering = this.#conclude({
      ...{ outcome, end, fence },
      isPresumed: true,
      onStored: () => stored.resolve(undefined),
    });
    await Promise.race([stored.promise, delivering]);
  }

  /** Resolves when no outcome is on its way to its acknowledgement any more. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#concluding);
  }

  /** @returns when it is handled, and acknowledged if it has to be; rejects with `stale_fence` alone */
  #conclude(conclusion: Concluding): Promise<void> {
    const delivering = this.#deliver(conclusion);
    const concluding = delivering.catch(() => undefined).finally(() => this.#concluding.delete(concluding));
    this.#concluding.add(concluding);
    return delivering;
  }

  async #deliver({ outcome, end, isPresumed = false, fence, onStored }: Concluding): Promise<void> {
    const { agentId } = this;
    const { executionId } = outcome;
    if (this.#options.outcomes === 'own' && !this.#own.has(executionId)) {
      this.#observe(outcome, end);
      return;
    }
    const evidence = { agentId, outcome, end, ...(fence !== undefined && { fence }) };
    const mayAcknowledge = await this.#options.delivery.deliver({
      ...evidence,
      onStored: (recorded) => {
        this.#track(executionId).conclude(recorded.outcome, recorded.end);
        this.#options.onStored(recorded);
        onStored?.();
      },
    });
    if (isPresumed && mayAcknowledge) this.#drop(executionId);
    // Without a connection nothing is lost: the outcome comes again with the next one.
    else if (mayAcknowledge && this.isReady) await this.#acknowledge(executionId);
  }

  /** The agent never had it, or has long forgotten it: who reads it is told, and it is not asked for again. */
  forget(executionId: string): void {
    const message = `execution ${executionId} is not known to agent ${this.agentId}`;
    this.executions.find(executionId)?.forget(sdkError('unknown_execution', message, { data: { executionId } }));
    this.#drop(executionId);
  }

  /** It is another host's to take. */
  #observe(outcome: Outcome, end: Cursor): void {
    this.#track(outcome.executionId).conclude(outcome, end);
    const ended = this.executions.all.filter((tracker) => tracker.outcome !== undefined);
    for (const { executionId } of ended.slice(0, -OTHERS_ENDED_MAX)) this.#drop(executionId);
  }

  #drop(executionId: string): void {
    this.executions.drop(executionId);
    this.#own.delete(executionId);
  }

  async #acknowledge(executionId: string): Promise<void> {
    try {
      await this.link.callNow('ack', { executionId });
      this.#drop(executionId);
    } catch (error) {
      if (!(error instanceof OutriggerError)) throw error;
      this.#options.logger.warn({ agentId: this.agentId, executionId, err: error }, 'outcome was not acknowledged');
    }
  }
}
