import { randomUUID } from 'node:crypto';
import {
  type Cursor,
  type DispatchRequest,
  type ExecutionSummary,
  type Outcome,
  type ReasonOf,
} from '@outrigger/protocol';
import { type Logger } from 'pino';
import { monotonicMs } from '../clock.js';
import { type SignsOfLife } from '../core/idle.js';
import { type Effect, type LifecycleEvent, newLifecycle, type Refusal } from '../core/lifecycle-state.js';
import { type CurrentRedactor } from '../redaction.js';
import { type Credentials } from '../credentials/credentials.js';
import { type DetailedRefusal } from '../credentials/holds.js';
import { type CredentialInForce } from '../credentials/slot.js';
import { accept, type Accepted, durationsOf, lifecycleLimitsOf, type RunInit } from './accepted.js';
import { IdleClock } from './idle-clock.js';
import { LifecycleLoop } from './lifecycle-loop.js';
import { RunAttempt, type RunAttemptContext } from './run-attempt.js';
import { bareOutcomeOf, completeRefusal, endOf, outcomeOf, type RunFacts, summaryOf } from './run-view.js';
import { Timers } from './timers.js';

/** What every run of one sidecar has in common. */
export interface RunContext extends Omit<RunAttemptContext, 'tell' | 'onGrowth'> {
  readonly credentials: Credentials;
  readonly redactor: CurrentRedactor;
  /** Calls `begin` once a further attempt may be started. Returns how to stop waiting for that. */
  readonly waitToBeLetIn: (executionId: string, begin: () => void) => () => void;
  readonly onState: (run: Run) => void;
  readonly onOutcome: (run: Run, outcome: Outcome) => void;
}

/**
 * One execution: carries out what its lifecycle decides, and tells the lifecycle what happens. Every callback of a
 * process, file or timer ends in the loop, which alone changes the state.
 */
export class Run {
  readonly digest: string;
  readonly #accepted: Accepted;
  /** What only a run that goes on needs; a prompt alone can be megabytes. */
  #request: DispatchRequest | null;
  readonly #durations: ReturnType<typeof durationsOf>;
  readonly #context: RunContext;
  readonly #logger: Logger;
  readonly #loop: LifecycleLoop;
  readonly #timers = new Timers<'queue' | 'deadline' | 'grace' | 'hold'>();
  readonly #idleClock: IdleClock;
  readonly #growthListeners = new Set<() => void>();
  readonly #attempts: RunAttempt[] = [];
  #sessionId: string;
  #credentialUsed: CredentialInForce | null = null;
  #stopWaiting: () => void = () => undefined;
  #isHurried = false;
  /** When the agent may admit again what it has not. */
  #retryAt: number | null = null;
  #outcome: Outcome | null = null;

  constructor(init: RunInit, context: RunContext) {
    this.digest = init.digest;
    this.#accepted = accept(init);
    this.#sessionId = this.#accepted.sessionId;
    this.#request = init.request;
    this.#durations = durationsOf(init.request);
    this.#context = context;
    this.#logger = context.logger.child({ executionId: init.id });
    const limits = lifecycleLimitsOf(init.request, context.access.mode);
    const lifecycle = newLifecycle(limits, init.isQueued ? 'queued' : 'preparing');
    this.#loop = new LifecycleLoop(lifecycle, {
      perform: (effect) => this.#perform(effect),
      onFailed: (effect, error) => this.#logger.error({ err: error, effect: effect.do }, 'an effect failed'),
    });
    this.#idleClock = new IdleClock({
      limits: this.#durations,
      signsOfLife: () => this.#signsOfLife(),
      onIdle: (at) => this.#loop.tell({ type: 'idle', at }),
    });
  }

  get id(): string {
    return this.#accepted.executionId;
  }

  /** Whether it holds a slot. */
  get isLive(): boolean {
    return !this.isQueued && this.#loop.state.phase !== 'ended';
  }

  get isQueued(): boolean {
    return this.#loop.state.phase === 'queued';
  }

  get outcome(): Outcome | null {
    return this.#outcome;
  }

  /** Every attempt with its logs, in their order; none before the first is prepared. */
  get attempts(): readonly RunAttempt[] {
    return this.#attempts;
  }

  /** Where the logs end; null while they can still grow. */
  get end(): Cursor | null {
    return endOf(this.#facts);
  }

  summary(): ExecutionSummary {
    return summaryOf(this.#facts, this.#context.redactor);
  }

  /** Begins: prepares and starts the process, or waits for a slot. */
  begin(): void {
    if (!this.isQueued) {
      this.#loop.carryOut({ do: 'prepare' });
      return;
    }
    const at = this.#accepted.acceptedAtMs + this.#durations.queueTimeoutMs;
    this.#timers.set('queue', at, () => this.#loop.tell({ type: 'queue_timeout', at }));
  }

  /** Ends the wait for a slot. */
  takeSlot(): void {
    this.#timers.set('queue', null, () => undefined);
    this.#loop.tell({ type: 'slot_free' });
    this.#context.onState(this);
  }

  /** Ends an execution that was not prepared yet without starting anything. */
  skip(reason: ReasonOf<'skipped'>, retryAt?: number): void {
    this.#retryAt = retryAt ?? null;
    this.#loop.tell({ type: 'refused', at: monotonicMs(), reason });
  }

  /** The same, because it was cancelled before it was dispatched. */
  cancelUnstarted(): void {
    this.cancel('requested');
    this.#loop.tell({ type: 'prepared', at: monotonicMs() });
  }

  cancel(reason: 'requested' | 'drained'): void {
    this.#loop.tell({ type: 'cancel', at: monotonicMs(), reason });
  }

  /** No kill waits from now on, neither one that is under way nor one to come. */
  hurry(): void {
    this.#isHurried = true;
    const { phase } = this.#loop.state;
    if (phase !== 'killing' && phase !== 'suspending') return;
    this.#attempt?.hurry().catch((error: unknown) => this.#logger.error({ err: error }, 'a kill cannot be hurried'));
  }

  /** Calls `listener` when there may be more output or its end is fixed. Returns how to stop that. */
  onGrowth(listener: () => void): () => void {
    this.#growthListeners.add(listener);
    return () => this.#growthListeners.delete(listener);
  }

  get #attempt(): RunAttempt | null {
    return this.#attempts.at(-1) ?? null;
  }

  get #facts(): RunFacts {
    const used = this.#credentialUsed;
    return {
      ...this.#accepted,
      sessionId: this.#sessionId,
      lifecycle: this.#loop.state,
      attempts: this.#attempts,
      outcome: this.#outcome,
      retryAt: this.#retryAt,
      credential: used === null ? null : { id: used.credential.id, generation: used.generation },
    };
  }

  async #perform(effect: Effect): Promise<void> {
    switch (effect.do) {
      case 'prepare':
        await this.#prepare();
        break;
      case 'spawn':
        this.#spawn();
        break;
      case 'announce_running':
        this.#idleClock.start();
        this.#logger.info({ sessionId: this.#sessionId }, 'execution started');
        this.#context.onState(this);
        break;
      case 'set_deadline':
        this.#timers.set('deadline', effect.at, () => this.#loop.tell({ type: 'deadline', at: effect.at }));
        break;
      case 'set_grace':
        this.#timers.set('grace', effect.at, () => this.#loop.tell({ type: 'grace_over' }));
        break;
      case 'set_hold':
        this.#timers.set('hold', effect.at, () => this.#loop.tell({ type: 'hold_timeout', at: effect.at ?? 0 }));
        break;
      case 'announce_state':
        this.#logger.info({ state: this.summary().state, hold: this.#loop.state.hold?.refusal }, 'execution goes on');
        this.#context.onState(this);
        break;
      case 'await_credential':
        this.#awaitCredential(effect.refusal);
        break;
      case 'read_logs':
        await this.#readLogs();
        break;
      case 'announce_ending':
        this.#logger.info(this.summary().verdict, 'execution decided');
        this.#context.onState(this);
        break;
      case 'kill':
        await this.#attempt?.kill(this.#isHurried ? 0 : effect.graceMs);
        break;
      case 'announce_outcome':
        await this.#end();
        break;
    }
  }

  async #prepare(): Promise<void> {
    const request = this.#request;
    if (request === null) throw new Error('it has ended');
    const { executionId } = this.#accepted;
    const { attempt: number, session, limits } = this.#loop.state;
    const before = this.#attempt;
    // A CLI that was ended before it noted its session can still refuse to start another one under that id.
    if (before !== null && session === 'start' && request.resume === undefined) this.#sessionId = randomUUID();
    // What an attempt that is over still has to say is not about the one that takes its place.
    const tell = (event: LifecycleEvent) => {
      if (number === this.#loop.state.attempt) this.#loop.tell(event);
    };
    const user = {
      ...limits,
      onCredentialUsed: (used: CredentialInForce) => void (this.#credentialUsed = used),
      onHeld: (at: number, refusal: Refusal) => tell({ type: 'held', at, refusal }),
      onReleased: (at: number) => tell({ type: 'released', at }),
      onRefused: (at: number, refusal: Refusal) => tellRefused(tell, at, refusal),
    };
    const init = { executionId, sessionId: this.#sessionId, session, request, number, user };
    const context = { ...this.#context, logger: this.#logger, tell, onGrowth: () => this.#notifyGrowth() };
    this.#attempts.push(await RunAttempt.prepare(init, context));
    await before?.close();
    this.#loop.tell({ type: 'prepared', at: monotonicMs() });
  }

  #spawn(): void {
    if (this.#attempt === null) throw new Error('it is not prepared');
    this.#attempt.launch();
  }

  /** Ends are fixed with that, so a line without an end can be told. */
  async #readLogs(): Promise<void> {
    try {
      await this.#attempt?.readLogs();
    } finally {
      this.#notifyGrowth();
    }
  }

  /** A run that is held is not idle, as it waits for somebody else, nor is one whose next attempt is being started. */
  #signsOfLife(): SignsOfLife {
    const { hold, phase } = this.#loop.state;
    const isWorking = hold === null && phase === 'running';
    return (isWorking ? this.#attempt?.signsOfLife : null) ?? { lastOutputAt: monotonicMs(), toolSince: null };
  }

  /** Between two attempts: what the next one is to be started with. */
  #awaitCredential(refusal: Refusal): void {
    const asked: DetailedRefusal = {
      scope: 'credential',
      ...completeRefusal(refusal, this.#facts, this.#context.redactor),
    };
    const { slot, holds } = this.#context.credentials;
    const goOn = () => this.#loop.tell({ type: 'credential_ready', at: monotonicMs() });
    const onRelease = () => void (this.#stopWaiting = this.#context.waitToBeLetIn(this.id, goOn));
    if (slot.generation !== asked.generation) onRelease();
    else this.#stopWaiting = holds.enter({ executionId: this.id, refusal: asked, onRelease });
  }

  async #end(): Promise<void> {
    this.#timers.clear();
    this.#stopWaiting();
    this.#idleClock.stop();
    this.#outcome = this.#buildOutcome();
    this.#request = null;
    const { status, reason, survivors } = this.#outcome;
    this.#logger.info({ status, reason, survivors }, 'execution ended');
    const closed = this.#attempt?.close();
    try {
      this.#context.onOutcome(this, this.#outcome);
    } finally {
      await closed;
    }
  }

  /** An execution has an outcome, whatever is wrong with what it printed. */
  #buildOutcome(): Outcome {
    const { verdict } = this.#loop.state;
    if (verdict === null) throw new Error(`execution ${this.id} ended without a verdict`);
    try {
      return outcomeOf(this.#facts, verdict, this.#context.redactor);
    } catch (error) {
      this.#logger.error({ err: error }, 'what the run told cannot be part of its outcome');
      return bareOutcomeOf(this.#facts, verdict);
    }
  }

  #notifyGrowth(): void {
    this.#growthListeners.forEach((listener) => listener());
  }
}

function tellRefused(tell: (event: LifecycleEvent) => void, at: number, refusal: Refusal): void {
  const { reason } = refusal;
  if (reason !== 'credential_missing') tell({ type: 'credential_failed', at, reason, refusal });
}
