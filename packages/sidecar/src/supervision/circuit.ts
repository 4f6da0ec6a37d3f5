import { type Circuit as PublicCircuit, OUTCOME_REASONS, type Outcome, type SidecarFrame } from '@outrigger/protocol';
import { type Logger } from 'pino';
import { z } from 'zod';
import {
  afterOutcome,
  type Breaker,
  type BreakerLimits,
  CLOSED,
  letIn,
  type Passage,
  passageOf,
  restoreBreaker,
  retryAtOf,
  withoutTrial,
} from '../core/breaker.js';
import { monotonicMs } from '../clock.js';

export interface CircuitOptions {
  readonly limits: BreakerLimits;
  /** Where it is kept over a restart. */
  readonly store: { readCircuit(): string | null; keepCircuit(text: string): void };
  readonly logger: Logger;
  readonly tell: (notice: SidecarFrame<'circuit_opened' | 'circuit_closed'>) => void;
  /** What waits may be let in. */
  readonly onPassable: () => void;
}

const keptSchema = z.object({
  deaths: z.int().min(0),
  trial: z.string().nullable().default(null),
  opening: z
    .object({
      openedAt: z.number().min(0),
      retryAt: z.number().min(0),
      openings: z.int().min(1),
      executionId: z.string(),
      reason: z.enum(Object.keys(OUTCOME_REASONS) as [keyof typeof OUTCOME_REASONS]),
    })
    .nullable(),
});

/** The agent's circuit breaker: keeps it over restarts, tells of it, and wakes what waits for it. */
export class Circuit {
  readonly #options: CircuitOptions;
  /** Epoch ms of the monotonic clock's zero: times are told and kept by the wall clock, and wait by the other one. */
  readonly #epochAtZero = Date.now() - monotonicMs();
  #breaker: Breaker = CLOSED;
  #timer: NodeJS.Timeout | undefined;
  /** Further attempts that wait to be let in, oldest first. */
  readonly #waiting = new Map<string, () => void>();

  constructor(options: CircuitOptions) {
    this.#options = options;
    this.#breaker = this.#restore();
    this.#setTimer();
  }

  get passage(): Passage {
    return passageOf(this.#breaker, this.#nowMs);
  }

  /** Epoch ms at which an execution may start, as far as can be told; null: now. */
  get retryAt(): number | null {
    const at = retryAtOf(this.#breaker, this.#nowMs, this.#options.limits);
    return at === null ? null : Math.round(at);
  }

  /** How it stands; undefined: it is closed. */
  get state(): PublicCircuit | undefined {
    const { opening } = this.#breaker;
    if (opening === null) return undefined;
    const state = this.#nowMs >= opening.retryAt ? 'half_open' : 'open';
    return { ...publicOpening(opening), retryAt: this.retryAt ?? Math.round(opening.retryAt), state };
  }

  /** Lets an execution in, or not. One that is let in has to end with {@link onOutcome}. */
  letIn(executionId: string): boolean {
    const before = this.#breaker;
    const breaker = letIn(before, executionId, this.#nowMs);
    if (breaker === null) return false;
    this.#breaker = breaker;
    if (breaker.trial !== before.trial) this.#keep();
    return true;
  }

  /** One that was let in does not start after all, and says nothing. */
  withdraw(executionId: string): void {
    if (this.#breaker.trial === executionId) this.#breaker = withoutTrial(this.#breaker);
  }

  /** Another sidecar's executions are known: one that it had on trial and that does not go on is not on trial any more. */
  onRecovered(goesOn: (executionId: string) => boolean): void {
    const { trial } = this.#breaker;
    if (trial !== null && !goesOn(trial)) this.withdraw(trial);
  }

  /** Calls `begin` when the execution is let in, maybe at once. Returns how to stop waiting. */
  waitToBeLetIn(executionId: string, begin: () => void): () => void {
    if (this.letIn(executionId)) begin();
    else this.#waiting.set(executionId, begin);
    return () => this.#waiting.delete(executionId);
  }

  /** Learns from an outcome; what it has learnt is kept before anybody is told of it. */
  onOutcome(outcome: Outcome): void {
    const before = this.#breaker;
    const { breaker, news } = afterOutcome(before, outcome, { nowMs: this.#nowMs, limits: this.#options.limits });
    this.#breaker = breaker;
    const { deaths, opening, trial } = before;
    if (deaths !== breaker.deaths || opening !== breaker.opening || trial !== breaker.trial) this.#keep();
    const { logger, tell } = this.#options;
    if (news === 'opened' && breaker.opening !== null) {
      const opening = publicOpening(breaker.opening);
      logger.error(opening, 'circuit opened: executions die young');
      tell({ type: 'circuit_opened', ...opening });
    }
    if (news === 'closed' && before.opening !== null) {
      logger.info({ executionId: outcome.executionId }, 'circuit closed');
      const openedAt = Math.round(before.opening.openedAt);
      tell({ type: 'circuit_closed', at: Date.now(), openedAt, executionId: outcome.executionId });
    }
    this.#setTimer();
  }

  get #nowMs(): number {
    return this.#epochAtZero + monotonicMs();
  }

  #setTimer(): void {
    clearTimeout(this.#timer);
    const { opening } = this.#breaker;
    if (opening === null || this.#nowMs >= opening.retryAt) return;
    this.#timer = setTimeout(() => this.#onCooled(), Math.max(0, opening.retryAt - this.#nowMs));
    // A cooldown alone is no reason for a process to go on.
    this.#timer.unref();
  }

  #onCooled(): void {
    // Timers can be a little early by another clock.
    if (this.passage === 'open') this.#setTimer();
    this.wake();
  }

  /** Lets in what may be: those that hold a slot already go first. */
  wake(): void {
    for (const [executionId, begin] of [...this.#waiting]) {
      if (!this.letIn(executionId)) return;
      this.#waiting.delete(executionId);
      begin();
    }
    if (this.passage !== 'open') this.#options.onPassable();
  }

  #restore(): Breaker {
    const { store, limits, logger } = this.#options;
    try {
      const text = store.readCircuit();
      return text === null ? CLOSED : restoreBreaker(keptSchema.parse(JSON.parse(text)), this.#nowMs, limits);
    } catch (error) {
      logger.warn({ err: error }, 'the state of the circuit breaker cannot be read; it begins closed');
      return CLOSED;
    }
  }

  #keep(): void {
    const { deaths, opening, trial } = this.#breaker;
    try {
      this.#options.store.keepCircuit(JSON.stringify({ deaths, opening, trial }));
    } catch (error) {
      this.#options.logger.warn({ err: error }, 'the state of the circuit breaker cannot be kept over a restart');
    }
  }
}

function publicOpening({ openedAt, retryAt, ...rest }: NonNullable<Breaker['opening']>): Omit<PublicCircuit, 'state'> {
  return { openedAt: Math.round(openedAt), retryAt: Math.round(retryAt), ...rest };
}
