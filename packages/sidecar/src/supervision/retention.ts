/** How much is kept of executions that have ended. */
export interface RetentionLimits {
  /** Executions whose outcome was acknowledged. */
  readonly acknowledgedMax: number;
  /** Executions whose outcome nobody acknowledged. */
  readonly unacknowledgedMax: number;
  /** What is told of all of them together, as JSON; an outcome alone can have a result of 1 MiB. */
  readonly bytesMax: number;
}

const LIMITS: RetentionLimits = {
  acknowledgedMax: 1_000,
  unacknowledgedMax: 10_000,
  bytesMax: 256 * 1024 * 1024,
};

export interface RetentionOptions {
  /** @default those of a sidecar */
  readonly limits?: RetentionLimits;
  /** The execution is not to be kept any longer. */
  readonly onForgotten: (id: string, wasAcknowledged: boolean) => void;
}

/**
 * What is kept of executions that have ended, and for how long: the oldest go first, and what nobody acknowledged goes
 * for want of room only once nothing else is left.
 */
export class Retention {
  readonly #limits: RetentionLimits;
  readonly #onForgotten: RetentionOptions['onForgotten'];
  /** The bytes of each. */
  readonly #unacknowledged = new Map<string, number>();
  readonly #acknowledged = new Map<string, number>();
  #bytes = 0;

  constructor({ limits = LIMITS, onForgotten }: RetentionOptions) {
    this.#limits = limits;
    this.#onForgotten = onForgotten;
  }

  get unacknowledgedCount(): number {
    return this.#unacknowledged.size;
  }

  isAcknowledged(id: string): boolean {
    return this.#acknowledged.has(id);
  }

  /** The execution has its outcome. @param bytes Of what is told of it. */
  keep(id: string, bytes: number): void {
    this.#unacknowledged.set(id, bytes);
    this.#bytes += bytes;
    this.#prune();
  }

  /** A host has persisted the outcome. */
  acknowledge(id: string): void {
    const bytes = this.#unacknowledged.get(id);
    if (bytes === undefined) return;
    this.#unacknowledged.delete(id);
    this.#acknowledged.set(id, bytes);
    this.#prune();
  }

  #prune(): void {
    this.#forgetOldest(this.#acknowledged, this.#limits.acknowledgedMax);
    this.#forgetOldest(this.#unacknowledged, this.#limits.unacknowledgedMax);
  }

  #forgetOldest(kept: Map<string, number>, max: number): void {
    for (const [id, bytes] of kept) {
      if (kept.size <= max && this.#bytes <= this.#limits.bytesMax) return;
      kept.delete(id);
      this.#bytes -= bytes;
      this.#onForgotten(id, kept === this.#acknowledged);
    }
  }
}
