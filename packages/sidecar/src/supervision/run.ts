import { type Cursor, type ExecutionSummary, type Outcome, type ReasonOf } from '@outrigger/protocol';
import { type Logger } from 'pino';
import { monotonicMs } from '../clock.js';
import { type Effect, newLifecycle } from '../core/lifecycle-state.js';
import { type CurrentRedactor } from '../redaction.js';
import { accept, type Accepted, durationsOf, type RunInit } from './accepted.js';
import { IdleClock } from './idle-clock.js';
import { LifecycleLoop } from './lifecycle-loop.js';
import { RunAttempt, type RunAttemptContext } from './run-attempt.js';
import { bareOutcomeOf, endOf, outcomeOf, type RunFacts, summaryOf } from './run-view.js';
import { Timers } from './timers.js';

/** What every run of one sidecar has in common. */
export interface RunContext extends Omit<RunAttemptContext, 'tell' | 'onGrowth'> {
  readonly redactor: CurrentRedactor;
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
  #work: Pick<RunInit, 'request' | 'credential'> | null;
  readonly #durations: ReturnType<typeof durationsOf>;
  readonly #context: RunContext;
  readonly #attemptContext: RunAttemptContext;
  readonly #logger: Logger;
  readonly #loop: LifecycleLoop;
  readonly #timers = new Timers<'queue' | 'deadline' | 'grace'>();
  readonly #idleClock: IdleClock;
  readonly #growthListeners = new Set<() => void>();
  readonly #attempts: RunAttempt[] = [];
  #isHurried = false;
  #outcome: Outcome | null = null;

  constructor(init: RunInit, context: RunContext) {
    this.digest = init.digest;
    this.#accepted = accept(init);
    this.#work = { request: init.request, credential: init.credential };
    this.#durations = durationsOf(init.request);
    this.#context = context;
    this.#logger = context.logger.child({ executionId: init.id });
    this.#attemptContext = {
      ...context,
      logger: this.#logger,
      tell: (event) => this.#loop.tell(event),
      onGrowth: () => this.#notifyGrowth(),
    };
    const lifecycle = newLifecycle(this.#durations, init.isQueued ? 'queued' : 'preparing');
    this.#loop = new LifecycleLoop(lifecycle, {
      perform: (effect) => this.#perform(effect),
      onFailed: (effect, error) => this.#logger.error({ err: error, effect: effect.do }, 'an effect failed'),
    });
    this.#idleClock = new IdleClock({
      limits: this.#durations,
      signsOfLife: () => this.attempt?.signsOfLife ?? { lastOutputAt: 0, toolSince: null },
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

  /** The latest attempt with its logs; null before there is one, and for an execution that never had any. */
  get attempt(): RunAttempt | null {
    return this.#attempts.at(-1) ?? null;
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
  skip(reason: ReasonOf<'skipped'>): void {
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
    if (this.#loop.state.phase !== 'killing') return;
    this.attempt?.hurry().catch((error: unknown) => this.#logger.error({ err: error }, 'a kill cannot be hurried'));
  }

  /** Calls `listener` when there may be more output or its end is fixed. Returns how to stop that. */
  onGrowth(listener: () => void): () => void {
    this.#growthListeners.add(listener);
    return () => this.#growthListeners.delete(listener);
  }

  get #facts(): RunFacts {
    return { ...this.#accepted, lifecycle: this.#loop.state, attempt: this.attempt, outcome: this.#outcome };
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
        this.#logger.info({ sessionId: this.#accepted.sessionId }, 'execution started');
        this.#context.onState(this);
        break;
      case 'set_deadline':
        this.#timers.set('deadline', effect.at, () => this.#loop.tell({ type: 'deadline', at: effect.at }));
        break;
      case 'set_grace':
        this.#timers.set('grace', effect.at, () => this.#loop.tell({ type: 'grace_over' }));
        break;
      case 'read_logs':
        await this.attempt?.readLogs();
        break;
      case 'announce_ending':
        this.#notifyGrowth();
        this.#logger.info(this.summary().verdict, 'execution decided');
        this.#context.onState(this);
        break;
      case 'kill':
        await this.attempt?.kill(this.#isHurried ? 0 : effect.graceMs);
        break;
      case 'announce_outcome':
        await this.#end();
        break;
    }
  }

  async #prepare(): Promise<void> {
    if (this.#work === null) throw new Error('it has ended');
    const name = { executionId: this.id, number: this.#attempts.length + 1 };
    this.#attempts.push(await RunAttempt.prepare(name, this.#work.request, this.#attemptContext));
    this.#loop.tell({ type: 'prepared', at: monotonicMs() });
  }

  #spawn(): void {
    const { executionId, sessionId } = this.#accepted;
    const { request, credential = null } = this.#work ?? {};
    if (this.attempt === null || request === undefined || credential === null) throw new Error('it is not prepared');
    this.attempt.launch({ executionId, request, sessionId, credential });
  }

  async #end(): Promise<void> {
    this.#timers.clear();
    this.#idleClock.stop();
    this.#outcome = this.#buildOutcome();
    this.#work = null;
    const { status, reason, survivors } = this.#outcome;
    this.#logger.info({ status, reason, survivors }, 'execution ended');
    const closed = this.attempt?.close();
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
