import { LIMITS } from '@outrigger/protocol';
import { monotonicMs } from '../clock.js';

/** Cancels that are remembered; beyond it the oldest is forgotten. */
const REMEMBERED_MAX = 10_000;

/** Cancels that came before their dispatch. */
export class CancelMemory {
  readonly #cancelledAt = new Map<string, number>();

  remember(id: string): void {
    this.#cancelledAt.delete(id);
    this.#cancelledAt.set(id, monotonicMs());
    const [oldest] = this.#cancelledAt.keys();
    if (this.#cancelledAt.size > REMEMBERED_MAX && oldest !== undefined) this.#cancelledAt.delete(oldest);
  }

  /** Whether a cancel is remembered; it has served its turn then. */
  take(id: string): boolean {
    const at = this.#cancelledAt.get(id);
    this.#cancelledAt.delete(id);
    return at !== undefined && monotonicMs() - at <= LIMITS.cancelMemoryMs;
  }
}
