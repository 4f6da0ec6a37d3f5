import { type Cursor, type ExecutionState, type Outcome, type OutriggerError } from '@outrigger/protocol';
import { advance, isDecided, type Progress, type StateStep } from './core/state-history.js';
import { defer } from './deferred.js';
import { type Decision, type HoldEvent, type RateLimitEvent, type ReleasedEvent, type StateEvent } from './events.js';

/** Events kept for readers that come later. States are few by nature, holds are not. */
const HISTORY_MAX = 1000;

/** What a step of an execution is to its readers. */
export type StepEvent = StateEvent | HoldEvent | ReleasedEvent;

/** Who wants to know how an execution goes on. */
export interface Watcher {
  onStep(event: StepEvent): void;
  onRateLimit(event: RateLimitEvent): void;
  /** The end of the output, or the outcome, has become known. */
  onConcluded(): void;
  /** Its agent does not know it any more, and nobody will hear how it ended. */
  onForgotten(error: OutriggerError): void;
}

/** What this host knows of one execution. The agent's ledger writes it; handles and iterators read it. */
export class Tracker {
  readonly executionId: string;
  readonly agentId: string;
  /** What the agent remembered when the execution was heard of first; undefined: it had not said. */
  readonly journalId: string | undefined;
  /** As it was dispatched; undefined: the agent has not told yet. */
  labels: Readonly<Record<string, string>> | undefined;
  /** When it was heard of first. Epoch ms. */
  readonly createdAt = Date.now();
  readonly #decided = defer<Decision>();
  readonly #concluded = defer<Outcome>();
  readonly #watchers = new Set<Watcher>();
  readonly #history: StepEvent[] = [];
  #progress: Progress = {};
  #end: Cursor | undefined;
  #outcome: Outcome | undefined;

  constructor(agentId: string, executionId: string, journalId?: string) {
    this.agentId = agentId;
    this.executionId = executionId;
    this.journalId = journalId;
  }

  get decided(): Promise<Decision> {
    return this.#decided.promise;
  }

  /** Settles once the outcome is stored. */
  get concluded(): Promise<Outcome> {
    return this.#concluded.promise;
  }

  /** Where it is in its life, as was heard last. */
  get state(): ExecutionState | undefined {
    return this.#progress.last?.state;
  }

  /** Processes it has had, as far as was heard. */
  get attempts(): number {
    return this.#progress.last?.attempt ?? 0;
  }

  /** What was seen so far: every state, and the latest of the holds. */
  get history(): readonly StepEvent[] {
    return this.#history;
  }

  /** The fence: no output behind it exists for anybody. */
  get end(): Cursor | undefined {
    return this.#end;
  }

  get outcome(): Outcome | undefined {
    return this.#outcome;
  }

  watch(watcher: Watcher): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** @param known the end of the output, and the generation in force, as far as they are known */
  step(step: StateStep, known: { end: Cursor | undefined; generation: number | null }): void {
    if (step.verdict !== undefined) this.#decided.resolve(step.verdict);
    if (known.end !== undefined) this.#fence(known.end);
    const { progress, events } = advance(this.#progress, step, known.generation);
    this.#progress = progress;
    for (const event of events) this.#tell(event);
  }

  /** Passes on news of the limits of the credential it runs with; of no interest once it has ended. */
  limit(event: RateLimitEvent): void {
    const { last } = this.#progress;
    if (this.#outcome !== undefined || last === undefined || isDecided(last)) return;
    for (const watcher of this.#watchers) watcher.onRateLimit(event);
  }

  conclude(outcome: Outcome, end: Cursor): void {
    this.#outcome = outcome;
    this.#decided.resolve({
      status: outcome.status,
      reason: outcome.reason,
      at: outcome.endedAt,
      message: outcome.message,
    });
    this.#concluded.resolve(outcome);
    this.#fence(end);
  }

  /** Its agent does not know it any more, though it is not lost. */
  forget(error: OutriggerError): void {
    for (const watcher of this.#watchers) watcher.onForgotten(error);
  }

  /** The fleet is closed: nobody will hear how it ended. */
  abandon(error: Error): void {
    this.#decided.reject(error);
    this.#concluded.reject(error);
  }

  #tell(event: StepEvent): void {
    this.#history.push(event);
    if (this.#history.length > HISTORY_MAX) {
      const oldest = this.#history.findIndex(({ type }) => type !== 'state');
      this.#history.splice(Math.max(0, oldest), 1);
    }
    for (const watcher of this.#watchers) watcher.onStep(event);
  }

  #fence(end: Cursor): void {
    this.#end ??= end;
    for (const watcher of this.#watchers) watcher.onConcluded();
  }
}
