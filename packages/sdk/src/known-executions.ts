import { type ExecutionState, type OutriggerError } from '@outrigger/protocol';
import { type OpenExecution } from './core/reconcile.js';
import { type StepEvent, Tracker } from './tracker.js';

const ignore = () => undefined;
const NOT_WATCHED = { onRateLimit: ignore, onConcluded: ignore, onForgotten: ignore };

/** One agent's executions without an acknowledged outcome, as far as this host knows them. */
export class KnownExecutions {
  readonly #agentId: string;
  /** An execution goes on. */
  readonly #onStep: ((executionId: string, event: StepEvent) => void) | undefined;
  readonly #trackers = new Map<string, Tracker>();
  /** Those the agent has told of since the connection began. */
  readonly #told = new Set<string>();
  /** Those that are being dispatched, by how many calls: the agent need not know them yet. */
  readonly #dispatching = new Map<string, number>();

  constructor(agentId: string, onStep?: (executionId: string, event: StepEvent) => void) {
    this.#agentId = agentId;
    this.#onStep = onStep;
  }

  find(executionId: string): Tracker | undefined {
    return this.#trackers.get(executionId);
  }

  /** @param journalId what the agent's memory is called when it is seen for the first time */
  track(executionId: string, journalId: string | undefined): Tracker {
    const present = this.find(executionId);
    if (present !== undefined) return present;
    const tracker = new Tracker(this.#agentId, executionId, journalId);
    this.#trackers.set(executionId, tracker);
    tracker.watch({ ...NOT_WATCHED, onStep: (event) => this.#onStep?.(executionId, event) });
    return tracker;
  }

  drop(executionId: string): void {
    this.#trackers.delete(executionId);
    this.#told.delete(executionId);
  }

  /** The agent begins to tell anew. */
  beginTelling(): void {
    this.#told.clear();
  }

  noteTold(executionId: string): void {
    this.#told.add(executionId);
  }

  abandon(error: OutriggerError): void {
    for (const tracker of this.all) tracker.abandon(error);
    this.#trackers.clear();
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

  isDispatching(executionId: string): boolean {
    return this.#dispatching.has(executionId);
  }

  get all(): Tracker[] {
    return [...this.#trackers.values()];
  }

  /** Those whose outcome has not been heard of, as far as the agent has told. */
  listed(): Set<string> {
    const open = this.all.filter(({ outcome }) => outcome === undefined);
    const ids = open.map(({ executionId }) => executionId);
    return new Set(ids.filter((id) => this.#told.has(id) && !this.isDispatching(id)));
  }

  /**
   * Those that only this host waits for.
   *
   * @param canTell whether the agent is connected, so that it would have told of them
   */
  unrecorded(recorded: ReadonlySet<string>, canTell: boolean): OpenExecution[] {
    return this.all
      .filter(({ executionId, outcome }) => outcome === undefined && !recorded.has(executionId))
      .filter(({ executionId }) => !canTell || !this.#told.has(executionId))
      .map(({ executionId, journalId, createdAt }) => ({ executionId, journalId, createdAt }));
  }

  /** Those whose outcome nobody has acknowledged, as far as the agent has told since the connection began. */
  unacknowledged(): Tracker[] {
    return this.all.filter(({ executionId }) => this.#told.has(executionId));
  }

  /** Those that have not been decided, as far as the agent has told. */
  running(): string[] {
    return this.all
      .filter(({ state }) => state !== undefined && state !== 'ending' && state !== 'ended')
      .map(({ executionId }) => executionId);
  }

  /** How many are in each state, as far as the agent has told. */
  get states(): Partial<Record<ExecutionState, number>> {
    const counts: Partial<Record<ExecutionState, number>> = {};
    for (const { state, outcome } of this.all) {
      if (state !== undefined && outcome === undefined) counts[state] = (counts[state] ?? 0) + 1;
    }
    return counts;
  }

  /** How many take up a slot, or are about to, and how many wait for one. */
  get occupancy(): { live: number; queued: number } {
    const states = this.all.flatMap(({ state, executionId }) =>
      state === undefined || state === 'ended' || this.isDispatching(executionId) ? [] : [state],
    );
    const queued = states.filter((state) => state === 'queued').length;
    return { live: states.length - queued + this.#dispatching.size, queued };
  }
}
