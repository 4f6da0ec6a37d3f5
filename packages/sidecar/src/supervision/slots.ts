import { type ExecutionState } from '@outrigger/protocol';
import { type Run } from './run.js';

/**
 * The executions that have not ended: those that hold a slot and those that wait for one, in the order of acceptance.
 * Counted, never kept: a counter beside the executions would one day disagree with them.
 */
export class Slots {
  readonly max: number;
  readonly #open = new Set<Run>();
  readonly #onIdle = new Set<() => void>();

  constructor(max: number) {
    this.max = max;
  }

  /** How many executions have not ended. */
  get openCount(): number {
    return this.#open.size;
  }

  /** The state of each of them. */
  get openStates(): ExecutionState[] {
    return [...this.#open].map((run) => run.state);
  }

  get live(): Run[] {
    return [...this.#open].filter((run) => run.isLive);
  }

  get queued(): Run[] {
    return [...this.#open].filter((run) => run.isQueued);
  }

  add(run: Run): void {
    this.#open.add(run);
  }

  remove(run: Run): void {
    this.#open.delete(run);
    if (this.live.length > 0) return;
    this.#onIdle.forEach((resolve) => resolve());
    this.#onIdle.clear();
  }

  /** Resolves when none is held. */
  async whenIdle(): Promise<void> {
    if (this.live.length > 0) await new Promise<void>((resolve) => this.#onIdle.add(resolve));
  }

  /** Hands free slots to those who wait, in their order, until one may not start. */
  handOut(mayStart: (run: Run) => boolean): void {
    const free = Math.max(0, this.max - this.live.length);
    for (const run of this.queued.filter(({ hasBegun }) => hasBegun).slice(0, free)) {
      if (!mayStart(run)) return;
      run.takeSlot();
    }
  }
}
