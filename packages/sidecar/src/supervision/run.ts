import {
  type Cursor,
  type DispatchRequest,
  type ExecutionState,
  type ExecutionSummary,
  messageBytes,
  type Outcome,
  type ReasonOf,
} from '@outrigger/protocol';
import { monotonicMs } from '../clock.js';
import { type Message } from '../core/conversation.js';
import { type Inbox } from '../core/inbox.js';
import { notesOf } from '../core/journal-notes.js';
import { restoreLife } from '../core/journal-restore.js';
import { type JournalledExecution } from '../core/journal-state.js';
import { type Effect, newLifecycle, stateOf, type Step } from '../core/lifecycle-state.js';
import { canHear } from '../core/verdict.js';
import { accept, type Accepted, acceptedOf, durationsOf, lifecycleLimitsOf, type RunInit } from './accepted.js';
import { messagesOf } from './ended-run.js';
import { type KnownRun } from './known-run.js';
import { LifecycleLoop } from './lifecycle-loop.js';
import { type AttemptView } from './past-attempt.js';
import { RunAttempts, type RunAttemptsContext } from './run-attempts.js';
import { RunEffects, type RunEffectsContext } from './run-effects.js';
import { endOf, type RunFacts, summaryOf } from './run-view.js';

/** What every run of one sidecar has in common. */
export interface RunContext extends RunEffectsContext, RunAttemptsContext {
  readonly onState: (run: Run) => void;
  /** It has ended, and that is written down, though perhaps not on the disk yet. */
  readonly onOutcome: (run: Run, outcome: Outcome) => void;
}

interface RunParts {
  readonly accepted: Accepted;
  readonly digest: string;
  readonly request: DispatchRequest;
  /** Where it begins, and what is to be done first. */
  readonly first: Step;
}

/**
 * One execution, as the supervisor and those who read of it see it. Every callback of a process, file or timer ends in
 * the loop, which alone changes the state.
 */
export class Run implements KnownRun {
  readonly digest: string;
  readonly #accepted: Accepted;
  readonly #queueTimeoutMs: number;
  readonly #requestBytes: number;
  /** The digest of each message that was sent to it; null: it is not interactive. */
  #messages: Map<string, string> | null;
  readonly #context: RunContext;
  readonly #loop: LifecycleLoop;
  readonly #attempts: RunAttempts;
  readonly #effects: RunEffects;
  /** What is still to be done before anything happens by itself. */
  #first: readonly Effect[];
  #hasBegun = false;
  /** When the agent may admit again what it has not. */
  #retryAt: number | null = null;

  private constructor({ accepted, digest, request, first }: RunParts, context: RunContext) {
    const durations = durationsOf(request);
    const { executionId: id } = accepted;
    const logger = context.logger.child({ executionId: id });
    const ownContext = { ...context, logger };
    this.digest = digest;
    this.#accepted = accepted;
    this.#queueTimeoutMs = durations.queueTimeoutMs;
    this.#requestBytes = Buffer.byteLength(request.prompt) + Buffer.byteLength(request.appendSystemPrompt ?? '');
    this.#messages = request.interactive === true ? new Map() : null;
    this.#context = context;
    this.#first = first.effects;
    const loop = new LifecycleLoop(first.state, {
      onStep: (before, after) => {
        const notes = notesOf({ id, before, after, ends: () => this.#attempts.ends });
        notes.forEach((note) => context.notes.note(note));
      },
      perform: (effect) => this.#effects.perform(effect),
      onFailed: (effect, error) => logger.error({ err: error, effect: effect.do }, 'an effect failed'),
    });
    const attempts = new RunAttempts(request, { accepted, loop, context: ownContext });
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

  /** An execution that is admitted now. */
  static accept(init: RunInit, context: RunContext): Run {
    const { digest, request, isQueued } = init;
    const lifecycle = newLifecycle(lifecycleLimitsOf(request, context.access.mode), isQueued ? 'queued' : 'preparing');
    const first: Step = { state: lifecycle, effects: isQueued ? [] : [{ do: 'prepare' }] };
    return new Run({ accepted: accept(init), digest, request, first }, context);
  }

  /** An execution that another sidecar has written down and that has not ended. @param canLive Whether a process of it can live. */
  static restore(execution: JournalledExecution, context: RunContext, { canLive }: { readonly canLive: boolean }): Run {
    const { request, digest } = execution.accepted;
    const limits = lifecycleLimitsOf(request, context.access.mode);
    const { queueTimeoutMs } = durationsOf(request);
    const first = restoreLife(execution, { limits, queueTimeoutMs, nowMs: monotonicMs() });
    const run = new Run({ accepted: acceptedOf(execution.accepted), digest, request, first }, context);
    run.#attempts.restore(execution, { canLive });
    run.#messages = messagesOf(execution);
    // A hold that ended with the last sidecar must not be found again by the next one.
    const { phase, hold, heldMs } = first.state;
    if (phase === 'spawning' && execution.hold !== null && hold === null) {
      context.notes.note({ is: 'held', id: execution.accepted.id, heldMs, hold });
    }
    return run;
  }

  /** What it is written down as when it is accepted. @param refused Why nothing is to be started for it, if anything. */
  noteOfAcceptance(request: DispatchRequest, refused?: ReasonOf<'skipped'>): JournalledExecution['accepted'] {
    const { executionId: id, sessionId, acceptedAtEpochMs, acceptedAtMs } = this.#accepted;
    const { digest, isQueued } = this;
    const accepted = {
      is: 'accepted',
      id,
      digest,
      request,
      sessionId,
      acceptedAtEpochMs,
      acceptedAtMs,
      isQueued,
    } as const;
    return refused === undefined ? accepted : { ...accepted, refused };
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

  /** The state others are told. */
  get state(): ExecutionState {
    return stateOf(this.#loop.state);
  }

  /** Whether it may be started: its acceptance is on the disk. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  /** Whether others were told that it ends, before they are told how it ended. */
  get isEndTold(): boolean {
    return this.#effects.isEndTold;
  }

  get outcome(): Outcome | null {
    return this.#effects.outcome;
  }

  /** Every attempt with its logs, in their order; none before the first is prepared. */
  get attempts(): readonly AttemptView[] {
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
    this.#hasBegun = true;
    if (this.isQueued) this.#effects.setQueueTimeout(this.#accepted.acceptedAtMs + this.#queueTimeoutMs);
    void this.#doFirst();
    this.#attempts.begin();
  }

  /**
   * Takes over what another sidecar has started of it, or was about to. Resolves when it is known whether there is anything;
   * what was not started begins with {@link begin}.
   */
  async adopt(): Promise<void> {
    if (this.#first.some((effect) => effect.do === 'adopt')) await this.#doFirst();
  }

  async #doFirst(): Promise<void> {
    const effects = this.#first;
    this.#first = [];
    await Promise.all(effects.map((effect) => this.#loop.carryOut(effect)));
  }

  /** About as many as its request takes. */
  get requestBytes(): number {
    return this.#requestBytes + this.#pendingBytes;
  }

  get #pendingBytes(): number {
    const { conversation } = this.#loop.state;
    return conversation?.pending.reduce((sum, { text }) => sum + messageBytes(text), 0) ?? 0;
  }

  inbox(at: number): Inbox {
    const { state } = this.#loop;
    return {
      messages: this.#messages,
      canHear: canHear(state, at),
      pendingCount: state.conversation?.pending.length ?? 0,
      pendingBytes: this.#pendingBytes,
    };
  }

  hear(message: Message, { digest, at }: { readonly digest: string; readonly at: number }): void {
    this.#messages?.set(message.messageId, digest);
    this.#loop.tell({ type: 'message', at, message });
  }

  endInput(at: number): void {
    this.#loop.tell({ type: 'input_ended', at });
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
    this.#effects.onCancelled();
  }

  /** Whether somebody has asked for its end. */
  get isCancelled(): boolean {
    return this.#loop.state.observations.some(({ kind }) => kind === 'cancelled');
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
