import { type Cursor, type ExecutionSummary, type Outcome, type ReasonOf } from '@outrigger/protocol';
import { monotonicMs } from '../clock.js';
import { newLifecycle } from '../core/lifecycle-state.js';
import { accept, type Accepted, durationsOf, lifecycleLimitsOf, type RunInit } from './accepted.js';
import { LifecycleLoop } from './lifecycle-loop.js';
import { type RunAttempt } from './run-attempt.js';
import { RunAttempts, type RunAttemptsContext } from './run-attempts.js';
import { RunEffects, type RunEffectsContext } from './run-effects.js';
import { endOf, type RunFacts, summaryOf } from './run-view.js';

/** What every run of one sidecar has in common. */
export interface RunContext extends RunEffectsContext, RunAttemptsContext {
  readonly onState: (run: Run) => void;
  readonly onOutcome: (run: Run, outcome: Outcome) => void;
}

/**
 * One execution, as the supervisor and those who read of it see it. Every callback of a process, file or timer ends in
 * the loop, which alone changes the state.
 */
export class Run {
  readonly digest: string;
  readonly #accepted: Accepted;
  readonly #queueTimeoutMs: number;
  readonly #context: RunContext;
  readonly #loop: LifecycleLoop;
  readonly #attempts: RunAttempts;
  readonly #effects: RunEffects;
  /** When the agent may admit again what it has not. */
  #retryAt: number | null = null;

  constructor(init: RunInit, context: RunContext) {
    const accepted = accept(init);
    const durations = durationsOf(init.request);
    const logger = context.logger.child({ executionId: init.id });
    const ownContext = { ...context, logger };
    this.digest = init.digest;
    this.#accepted = accepted;
    this.#queueTimeoutMs = durations.queueTimeoutMs;
    this.#context = context;
    const limits = lifecycleLimitsOf(init.request, context.access.mode);
    const loop = new LifecycleLoop(newLifecycle(limits, init.isQueued ? 'queued' : 'preparing'), {
      perform: (effect) => this.#effects.perform(effect),
      onFailed: (effect, error) => logger.error({ err: error, effect: effect.do }, 'an effect failed'),
    });
    const attempts = new RunAttempts(init.request, { accepted, loop, context: ownContext });
    this.#loop = loop;
    this.#attempts = attempts;
    this.#effects = new RunEffects({
      loop,
      attempts,
      idleLimits: durations,
      context: ownContext,
      facts: () => this.#facts,
      onState: () => context.onState(this),
      onOutcome: (outcome) => context.onOutcome(this, outcome),
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
    return this.#effects.outcome;
  }

  /** Every attempt with its logs, in their order; none before the first is prepared. */
  get attempts(): readonly RunAttempt[] {
    return this.#attempts.facts.attempts;
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
    if (this.isQueued) this.#effects.setQueueTimeout(this.#accepted.acceptedAtMs + this.#queueTimeoutMs);
    else this.#loop.carryOut({ do: 'prepare' });
  }

  /** Ends the wait for a slot. */
  takeSlot(): void {
    this.#effects.setQueueTimeout(null);
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
    this.#effects.hurry();
  }

  /** Calls `listener` when there may be more output or its end is fixed. Returns how to stop that. */
  onGrowth(listener: () => void): () => void {
    return this.#attempts.onGrowth(listener);
  }

  get #facts(): RunFacts {
    const { outcome } = this.#effects;
    const lifecycle = this.#loop.state;
    return { ...this.#accepted, ...this.#attempts.facts, lifecycle, outcome, retryAt: this.#retryAt };
  }
}
