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
import { lostOutcome } from './core/lost-outcome.js';
import { stepOf } from './core/state-history.js';
import { sdkError } from './errors.js';
import { type AdmissionEvent, type CredentialNotice } from './events.js';
import { type Greeting } from './link/connection.js';
import { type AgentLink, type LinkOwner, type Notice } from './link/link.js';
import { type Logger } from './logger.js';
import { type OutcomeDelivery } from './outcome-delivery.js';
import { type Store } from './store/store.js';
import { Tracker } from './tracker.js';

export interface LedgerOptions {
  readonly agentId: string;
  readonly store: Store;
  readonly delivery: OutcomeDelivery;
  readonly logger: Logger;
  readonly onLost: (error: OutriggerError) => void;
  readonly onBack: () => void;
  readonly onCredentialNotice: (notice: CredentialNotice) => void;
  readonly onAdmission: (event: AdmissionEvent) => void;
}

/** The credential in force on an agent, by name; nulls: it has none, or has not said. */
export type CredentialInForce = Pick<Welcome, 'generation' | 'credentialId'>;

/**
 * What this host knows of one agent's executions: the one place that writes it. It outlives links, so that promises
 * given for an agent that was closed are kept once it is connected again.
 */
export class Ledger implements LinkOwner {
  readonly #options: LedgerOptions;
  readonly admission: Admission;
  /** Executions without an acknowledged outcome. */
  readonly #trackers = new Map<string, Tracker>();
  /** Executions that are being dispatched: the agent need not know them yet. */
  readonly #dispatching = new Map<string, number>();
  /** Outcomes on their way from the agent to their acknowledgement. */
  readonly #concluding = new Set<Promise<void>>();
  #link: AgentLink | null = null;
  #wasLost = false;
  #credential: CredentialInForce = { generation: null, credentialId: null };
  #journalId: string | undefined;

  constructor(options: LedgerOptions) {
    this.#options = options;
    this.admission = new Admission(options.onAdmission);
  }

  get agentId(): string {
    return this.#options.agentId;
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
    return this.#journalId;
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
    this.admission.abandon(error);
    await link?.close(error);
  }

  abandon(error: OutriggerError): void {
    for (const tracker of this.#trackers.values()) tracker.abandon(error);
    this.#trackers.clear();
    this.admission.abandon(error);
  }

  /** While an execution is dispatched nobody is told that the agent does not know it. */
  async whileDispatching<T>(executionId: string, dispatch: () => Promise<T>): Promise<T> {
    const count = (by: number) => this.#dispatching.set(executionId, (this.#dispatching.get(executionId) ?? 0) + by);
    count(1);
    try {
      return await dispatch();
    } finally {
      if (count(-1).get(executionId) === 0) this.#dispatching.delete(executionId);
    }
  }

  find(executionId: string): Tracker | undefined {
    return this.#trackers.get(executionId);
  }

  onReady({ welcome, snapshot }: Greeting): void {
    this.#credential = welcome;
    this.admission.onWelcome(welcome);
    this.#journalId = welcome.journalId;
    for (const summary of snapshot) this.#takeState(summary);
    void this.#askForUnlisted(new Set(snapshot.map((summary) => summary.executionId)));
    if (this.#wasLost) this.#options.onBack();
    this.#wasLost = false;
  }

  onLost(error: OutriggerError): void {
    this.#wasLost = true;
    this.#options.onLost(error);
  }

  onNotice(notice: Notice): void {
    switch (notice.type) {
      case 'outcome':
        this.#conclude(notice.outcome, notice.end);
        return;
      case 'state': {
        // What an acknowledged execution still has to say comes too late to matter.
        const tracker = notice.state === 'ended' ? this.find(notice.executionId) : this.#track(notice.executionId);
        tracker?.step(notice, this.#known(notice));
        return;
      }
      case 'credential_changed':
        this.#credential = notice;
        break;
      case 'rate_limit':
        for (const tracker of this.#trackers.values()) tracker.limit(notice);
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
    if (summary.outcome === undefined || this.find(summary.executionId) !== undefined) this.take(summary);
  }

  /** Takes what an answer says about an execution. */
  take(summary: ExecutionSummary): Tracker {
    const tracker = this.#takeState(summary);
    if (summary.outcome !== undefined && summary.end !== undefined) this.#conclude(summary.outcome, summary.end);
    return tracker;
  }

  /** An execution whose outcome the store has; its output may still be there to read. */
  recall(outcome: Outcome, end: Cursor): Tracker {
    const tracker = this.find(outcome.executionId) ?? new Tracker(this.agentId, outcome.executionId);
    tracker.conclude(outcome, end);
    return tracker;
  }

  #track(executionId: string): Tracker {
    const present = this.find(executionId);
    if (present !== undefined) return present;
    const tracker = new Tracker(this.agentId, executionId, this.#journalId);
    this.#trackers.set(executionId, tracker);
    return tracker;
  }

  #takeState(summary: ExecutionSummary): Tracker {
    const tracker = this.#track(summary.executionId);
    tracker.step(stepOf(summary), this.#known(summary));
    return tracker;
  }

  #known({ end }: { end?: Cursor | undefined }): { end: Cursor | undefined; generation: number | null } {
    return { end, generation: this.#credential.generation };
  }

  /** What the snapshot leaves out has ended and was acknowledged by another host, or is gone. */
  async #askForUnlisted(listed: ReadonlySet<string>): Promise<void> {
    const isUnlisted = (executionId: string) => !listed.has(executionId);
    try {
      const records = await this.#options.store.listExecutions(this.agentId);
      const open = records.filter((record) => record.conclusion === undefined).map((record) => record.executionId);
      const asked = new Set([...this.#trackers.keys(), ...open].filter(isUnlisted));
      for (const executionId of asked) void this.#ask(executionId);
    } catch (error) {
      this.#warn('the store cannot be asked what is open', error);
    }
  }

  async #ask(executionId: string): Promise<void> {
    try {
      const { execution } = await this.link.call('status', { executionId });
      if (execution !== undefined) this.take(execution);
    } catch (error) {
      if (error instanceof WireError && error.code === 'unknown_execution') await this.findOut(executionId, error);
      else this.#warn('execution cannot be asked for', error, executionId);
    }
  }

  /** Concludes an execution that its agent does not know, if it is lost; else whoever reads it is told that it cannot be read. */
  async findOut(executionId: string, error: OutriggerError): Promise<void> {
    try {
      if (await this.#concludeIfLost(executionId)) return;
    } catch (cause) {
      this.#warn('the store cannot be asked what became of an execution', cause, executionId);
    }
    this.find(executionId)?.forget(error);
  }

  /**
   * The agent does not know what it was given. Where it remembers what it did then, that is over and another host has its
   * outcome; where it remembers nothing of that time, it is lost.
   *
   * @returns whether there is nothing more to be told of it
   */
  async #concludeIfLost(executionId: string): Promise<boolean> {
    if (this.#dispatching.has(executionId)) return true;
    const record = await this.#options.store.getExecution(executionId);
    const tracker = this.find(executionId);
    if (record?.conclusion !== undefined) {
      const { outcome, end } = record.conclusion;
      tracker?.conclude(outcome, end);
      return outcome.status === 'lost';
    }
    const then = record?.journalId ?? tracker?.journalId;
    if (then === undefined || then === this.#journalId || this.#dispatching.has(executionId)) {
      this.#warn('execution is not known to its agent any more', undefined, executionId);
      return false;
    }
    const nowMs = Date.now();
    const known = { executionId, dispatchedAt: record?.createdAt ?? nowMs, attempts: tracker?.attempts ?? 0 };
    this.#conclude(lostOutcome(known, 'sidecar_restarted', nowMs), CURSOR_START, { isPresumed: true });
    return true;
  }

  #warn(message: string, error?: unknown, executionId?: string): void {
    const { agentId } = this;
    this.#options.logger.warn(
      { agentId, ...(executionId && { executionId }), ...(error !== undefined && { err: error }) },
      message,
    );
  }

  /** Resolves when no outcome is on its way to its acknowledgement any more. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#concluding);
  }

  /** @param isPresumed The agent did not say so, and has nothing to be acknowledged. */
  #conclude(outcome: Outcome, end: Cursor, { isPresumed = false } = {}): void {
    const delivering = this.#deliver(outcome, end, isPresumed);
    const concluding = delivering.finally(() => this.#concluding.delete(concluding));
    this.#concluding.add(concluding);
  }

  async #deliver(outcome: Outcome, end: Cursor, isPresumed: boolean): Promise<void> {
    const { executionId } = outcome;
    const onStored = (stored: Outcome, storedEnd: Cursor) => this.#track(executionId).conclude(stored, storedEnd);
    const mayAcknowledge = await this.#options.delivery.deliver({ agentId: this.agentId, outcome, end, onStored });
    if (isPresumed && mayAcknowledge) this.#trackers.delete(executionId);
    // Without a connection nothing is lost: the outcome comes again with the next one.
    else if (mayAcknowledge && this.isReady) await this.#acknowledge(executionId);
  }

  async #acknowledge(executionId: string): Promise<void> {
    try {
      await this.link.callNow('ack', { executionId });
      this.#trackers.delete(executionId);
    } catch (error) {
      if (!(error instanceof OutriggerError)) throw error;
      this.#options.logger.warn({ agentId: this.agentId, executionId, err: error }, 'outcome was not acknowledged');
    }
  }
}
