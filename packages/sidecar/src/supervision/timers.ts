import { monotonicMs } from '../clock.js';

/** Named timers for moments of the monotonic clock; setting one again moves it. */
export class Timers<Name extends string> {
  readonly #timers = new Map<Name, NodeJS.Timeout>();

  /** @param at Monotonic milliseconds; null takes the timer back. */
  set(name: Name, at: number | null, onDue: () => void): void {
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
    if (at !== null) this.#timers.set(name, setTimeout(onDue, Math.max(0, at - monotonicMs())));
  }

  clear(): void {
    this.#timers.forEach((timer) => clearTimeout(timer));
    this.#timers.clear();
  }
}
