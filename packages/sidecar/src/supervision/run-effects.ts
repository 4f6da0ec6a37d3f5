import { type Outcome } from '@outrigger/protocol';
import { type Logger } from 'pino';
import { monotonicMs } from '../clock.js';
import { isWaitingForMessage } from '../core/conversation.js';
import { type IdleLimits, type SignsOfLife } from '../core/idle.js';
import { type Effect, type Refusal } from '../core/lifecycle-state.js';
import { type Credentials } from '../credentials/credentials.js';
import { type DetailedRefusal, NO_CREDENTIAL } from '../credentials/holds.js';
import { deferred } from '../deferred.js';
import { type Meter } from '../metrics/meter.js';
import { type CurrentRedactor } from '../redaction.js';
import { waitAtMost } from '../timeout.js';
import { IdleClock } from './idle-clock.js';
import { type LifecycleLoop } from './lifecycle-loop.js';
import { type Notes } from './notes.js';
import { type RunAttempts } from './run-attempts.js';
import { bareOutcomeOf, completeRefusal, outcomeOf, type RunFacts, summaryOf } from './run-view.js';
import { Timers } from './timers.js';

export interface RunEffectsContext {
  readonly credentials: Credentials;
  readonly redactor: CurrentRedactor;
  readonly logger: Logger;
  readonly notes: Notes;
  readonly meter?: Meter;
  /** Calls `begin` once a further attempt may be started. Returns how to stop waiting for that. */
  readonly waitToBeLetIn: (executionId: string, begin: () => void) => () => void;
}

export interface RunEffectsOptions {
  readonly loop: LifecycleLoop;
  readonly attempts: RunAttempts;
  readonly idleLimits: IdleLimits;
  readonly context: RunEffectsContext;
  readonly facts: () => RunFacts;
  readonly onState: () => void;
  readonly onOutcome: (outcome: Outcome) => void;
}

/** Carries out what the lifecycle of one execution decides, and tells the lifecycle what comes of it. */
export class RunEffects {
  readonly #options: RunEffectsOptions;
  readonly #timers = new Timers<'queue' | 'deadline' | 'grace' | 'hold'>();
  readonly #idleClock: IdleClock;
  #stopWaiting: () => void = () => undefined;
  #callOff: () => void = () => undefined;
  #isHurried = false;
  #isEndTold = false;
  #outcome: Outcome | null = null;

  constructor(options: RunEffectsOptions) {
    this.#options = options;
    this.#idleClock = new IdleClock({
      limits: options.idleLimits,
      signsOfLife: () => this.#signsOfLife(),
      onIdle: (at) => options.loop.tell({ type: 'idle', at }),
    });
  }

  get isEndTold(): boolean {
    return this.#isEndTold;
  }

  get outcome(): Outcome | null {
    return this.#outcome;
  }

  /** Gives the wait for a slot up at that moment; null: it is over. */
  setQueueTimeout(at: number | null): void {
    this.#timers.set('queue', at, () => this.#options.loop.tell({ type: 'queue_timeout', at: at ?? 0 }));
  }

  /** No kill waits from now on, neither one that is under way nor one to come. */
  hurry(): void {
    this.#isHurried = true;
    const { loop, attempts, context } = this.#options;
    const { phase } = loop.state;
    if (phase !== 'killing' && phase !== 'suspending') return;
    attempts.latest
      ?.hurry()
      .catch((error: unknown) => context.logger.error({ err: error }, 'a kill cannot be hurried'));
  }

  async perform(effect: Effect): Promise<void> {
    const { loop, attempts, facts, onState } = this.#options;
    const { logger, redactor, notes } = this.#options.context;
    switch (effect.do) {
      case 'prepare':
        if (this.#lacksCredential && !(await this.#waitForAnyCredential())) break;
        await attempts.prepare();
        break;
      case 'spawn':
        await attempts.launch();
        break;
      case 'adopt':
        await attempts.adopt();
        break;
      case 'announce_running':
        this.#idleClock.start();
        if (attempts.isTakenOver) this.#options.context.meter?.adopted();
        logger.info(
          { sessionId: facts().sessionId, attempt: loop.state.attempt },
          attempts.isTakenOver ? 'execution taken over' : 'execution started',
        );
        onState();
        break;
      case 'tell_message':
        await attempts.tell(effect.message);
        break;
      case 'set_deadline':
        this.#timers.set('deadline', effect.at, () => loop.tell({ type: 'deadline', at: effect.at }));
        break;
      case 'set_grace':
        this.#timers.set('grace', effect.at, () => loop.tell({ type: 'grace_over' }));
        break;
      case 'set_hold':
        this.#timers.set('hold', effect.at, () => loop.tell({ type: 'hold_timeout', at: effect.at ?? 0 }));
        break;
      case 'announce_state':
        if (loop.state.hold !== null) logger.warn({ hold: loop.state.hold.refusal }, 'execution held');
        else logger.info({ state: summaryOf(facts(), redactor).state }, 'execution goes on');
        onState();
        break;
      case 'await_credential':
        this.#awaitCredential(effect.refusal);
        break;
      case 'read_logs':
        await attempts.readLogs();
        break;
      case 'announce_ending':
        logger.info(summaryOf(facts(), redactor).verdict, 'execution decided');
        // What has ended already is told with its outcome, when that is written down.
        if (loop.state.phase === 'ended') break;
        this.#isEndTold = true;
        await notes.settle();
        onState();
        break;
      case 'kill':
        await attempts.latest?.kill(this.#isHurried ? 0 : effect.graceMs);
        break;
      case 'announce_outcome':
        await this.#end();
        break;
    }
  }

  /**
   * A run that is held is not idle, as it waits for somebody else, nor is one that waits for somebody to say something, or
   * whose next attempt is being started.
   */
  #signsOfLife(): SignsOfLife {
    const { loop, attempts } = this.#options;
    const { hold, phase } = loop.state;
    const isWorking = hold === null && phase === 'running' && !isWaitingForMessage(loop.state);
    return (isWorking ? attempts.latest?.signsOfLife : null) ?? { lastOutputAt: monotonicMs(), toolSince: null };
  }

  /** Between two attempts: what the next one is to be started with. */
  #awaitCredential(refusal: Refusal): void {
    const { loop, context } = this.#options;
    const { slot, holds } = context.credentials;
    const facts = this.#options.facts();
    const { executionId } = facts;
    const completed = completeRefusal(refusal, facts, context.redactor);
    const { current, generation } = slot;
    // Another sidecar's credential is gone with it: hosts have to answer to what is in force now.
    const asked: DetailedRefusal = { scope: 'credential', ...completed, ...(current === null ? { generation } : {}) };
    const goOn = () => loop.tell({ type: 'credential_ready', at: monotonicMs() });
    const onRelease = () => void (this.#stopWaiting = context.waitToBeLetIn(executionId, goOn));
    if (generation !== asked.generation) onRelease();
    else this.#stopWaiting = holds.enter({ executionId, refusal: asked, onRelease });
  }

  /** Without a gateway nothing can be started before there is a credential, and a sidecar that was started again may have none. */
  get #lacksCredential(): boolean {
    const { mode, slot } = this.#options.context.credentials;
    return mode === 'env' && slot.current === null;
  }

  /** Asks hosts for one, for as long as a hold may last. @returns Whether there is one. */
  async #waitForAnyCredential(): Promise<boolean> {
    const { loop, context, facts } = this.#options;
    const { promise, resolve } = deferred();
    this.#callOff = resolve;
    const waiter = { executionId: facts().executionId, refusal: NO_CREDENTIAL, onRelease: resolve };
    const stopWaiting = context.credentials.holds.enter(waiter);
    await waitAtMost(loop.state.limits.holdTimeoutMs, promise);
    stopWaiting();
    if (!this.#lacksCredential) return true;
    loop.tell({ type: 'credential_missing', at: monotonicMs() });
    return false;
  }

  /** It need not wait for what it does not need any more. */
  onCancelled(): void {
    this.#callOff();
  }

  async #end(): Promise<void> {
    const { attempts, context, onOutcome } = this.#options;
    this.#timers.clear();
    this.#stopWaiting();
    this.#idleClock.stop();
    const outcome = this.#buildOutcome();
    this.#outcome = outcome;
    const { status, reason, survivors } = outcome;
    context.notes.note({ is: 'ended', id: outcome.executionId, outcome, ends: attempts.ends });
    context.logger.info({ status, reason, survivors }, 'execution ended');
    const closed = attempts.close();
    try {
      onOutcome(outcome);
    } finally {
      await closed;
    }
  }

  /** An execution has an outcome, whatever is wrong with what it printed. */
  #buildOutcome(): Outcome {
    const { context } = this.#options;
    const facts = this.#options.facts();
    const { verdict } = facts.lifecycle;
    if (verdict === null) throw new Error(`execution ${facts.executionId} ended without a verdict`);
    try {
      return outcomeOf(facts, verdict, context.redactor);
    } catch (error) {
      context.logger.error({ err: error }, 'what the run told cannot be part of its outcome');
      return bareOutcomeOf(facts, verdict);
    }
  }
}
