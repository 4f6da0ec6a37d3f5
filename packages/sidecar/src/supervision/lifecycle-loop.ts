import { type Effect, type Lifecycle, type LifecycleEvent } from '../core/lifecycle-state.js';
import { step } from '../core/lifecycle.js';

/** Owns the state of one lifecycle: every event goes through `tell`, one after the other. */
export class LifecycleLoop {
  readonly #perform: (effect: Effect) => void;
  readonly #events: LifecycleEvent[] = [];
  #isTelling = false;
  #state: Lifecycle;

  /** @param perform Carries out an effect; what happens meanwhile is told as further events. */
  constructor(state: Lifecycle, perform: (effect: Effect) => void) {
    this.#state = state;
    this.#perform = perform;
  }

  get state(): Lifecycle {
    return this.#state;
  }

  /** Events that arise while one is being dealt with wait for their turn. */
  tell(event: LifecycleEvent): void {
    this.#events.push(event);
    if (this.#isTelling) return;
    this.#isTelling = true;
    for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
      const { state, effects } = step(this.#state, next);
      this.#state = state;
      effects.forEach((effect) => this.#perform(effect));
    }
    this.#isTelling = false;
  }
}
