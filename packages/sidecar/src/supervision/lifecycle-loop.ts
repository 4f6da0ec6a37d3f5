import { monotonicMs } from '../clock.js';
import { afterFailure } from '../core/failed-effect.js';
import { type Effect, type Lifecycle, type LifecycleEvent } from '../core/lifecycle-state.js';
import { step } from '../core/lifecycle.js';

export interface LifecycleLoopOptions {
  /** The state has changed; called before anything is done about it. */
  readonly onStep: (before: Lifecycle, after: Lifecycle) => void;
  /** Carries out an effect; what happens meanwhile is told as further events. */
  readonly perform: (effect: Effect) => Promise<void>;
  /** An effect could not be carried out; the lifecycle is told what that means for it. */
  readonly onFailed: (effect: Effect, error: unknown) => void;
}

/** Owns the state of one lifecycle: every event goes through `tell`, one after the other. */
export class LifecycleLoop {
  readonly #options: LifecycleLoopOptions;
  readonly #events: LifecycleEvent[] = [];
  #isTelling = false;
  #state: Lifecycle;

  constructor(state: Lifecycle, options: LifecycleLoopOptions) {
    this.#state = state;
    this.#options = options;
  }

  get state(): Lifecycle {
    return this.#state;
  }

  /** Events that arise while one is being dealt with wait for their turn. */
  tell(event: LifecycleEvent): void {
    this.#events.push(event);
    if (this.#isTelling) return;
    this.#isTelling = true;
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
        const before = this.#state;
        const { state, effects } = step(before, next);
        this.#state = state;
        this.#options.onStep(before, state);
        effects.forEach((effect) => void this.carryOut(effect));
      }
    } finally {
      this.#isTelling = false;
    }
  }

  /** What fails here must neither take the other runs along nor leave this one without an end, so it never rejects. */
  async carryOut(effect: Effect): Promise<void> {
    const { perform, onFailed } = this.#options;
    try {
      await perform(effect);
    } catch (error) {
      onFailed(effect, error);
      const event = afterFailure(effect, monotonicMs(), error instanceof Error ? error.message : String(error));
      if (event !== null) this.tell(event);
    }
  }
}
