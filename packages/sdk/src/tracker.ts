import { type Cursor, type Outcome } from '@outrigger/protocol';
import { isLater, type StateStep } from './core/state-history.js';
import { defer } from './deferred.js';
import { type Decision, type StateEvent } from './events.js';

/** Who wants to know how an execution goes on. */
export interface Watcher {
  onState(event: StateEvent): void;
  /** The end of the output, or the outcome, has become known. */
  onConcluded(): void;
}

/** What this host knows of one execution. The agent's ledger writes it; handles and iterators read it. */
export class Tracker {
  readonly executionId: string;
  readonly agentId: string;
  readonly #decided = defer<Decision>();
  readonly #concluded = defer<Outcome>();
  readonly #watchers = new Set<Watcher>();
  readonly #history: StateEvent[] = [];
  #lastStep: StateStep | undefined;
  #end: Cursor | undefined;
  #outcome: Outcome | undefined;

  constructor(agentId: string, executionId: string) {
    this.agentId = agentId;
    this.executionId = executionId;
  }

  get decided(): Promise<Decision> {
    return this.#decided.promise;
  }

  /** Settles once the outcome is stored. */
  get concluded(): Promise<Outcome> {
    return this.#concluded.promise;
  }

  /** States seen so far, at most one of each per attempt. */
  get history(): readonly StateEvent[] {
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

  step(step: StateStep, end?: Cursor): void {
    const { verdict } = step;
    if (verdict !== undefined) this.#decided.resolve(verdict);
    if (end !== undefined) this.#fence(end);
    if (!isLater(step, this.#lastStep)) return;
    this.#lastStep = step;
    const event: StateEvent = { type: 'state', state: step.state, at: step.at, ...(verdict && { verdict }) };
    this.#history.push(event);
    for (const watcher of this.#watchers) watcher.onState(event);
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

  /** The fleet is closed: nobody will hear how it ended. */
  abandon(error: Error): void {
    this.#decided.reject(error);
    this.#concluded.reject(error);
  }

  #fence(end: Cursor): void {
    this.#end ??= end;
    for (const watcher of this.#watchers) watcher.onConcluded();
  }
}
