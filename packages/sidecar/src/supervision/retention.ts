/** Executions that are remembered once their outcome was acknowledged. */
const ACKNOWLEDGED_MAX = 1_000;
/** Outcomes nobody acknowledged. */
const UNACKNOWLEDGED_MAX = 10_000;

export interface RetentionOptions {
  /** The execution is not to be kept any longer. */
  readonly onForgotten: (id: string, wasAcknowledged: boolean) => void;
}

/** What is kept of executions that have ended, and for how long: the oldest go first, of each kind. */
export class Retention {
  readonly #options: RetentionOptions;
  readonly #unacknowledged = new Set<string>();
  readonly #acknowledged = new Set<string>();

  constructor(options: RetentionOptions) {
    this.#options = options;
  }

  get unacknowledgedCount(): number {
    return this.#unacknowledged.size;
  }

  isAcknowledged(id: string): boolean {
    return this.#acknowledged.has(id);
  }

  /** The execution has its outcome. */
  keep(id: string): void {
    this.#unacknowledged.add(id);
    this.#prune();
  }

  /** A host has persisted the outcome. */
  acknowledge(id: string): void {
    if (!this.#unacknowledged.delete(id)) return;
    this.#acknowledged.add(id);
    this.#prune();
  }

  #prune(): void {
    this.#forgetOldest(this.#acknowledged, ACKNOWLEDGED_MAX);
    this.#forgetOldest(this.#unacknowledged, UNACKNOWLEDGED_MAX);
  }

  #forgetOldest(ids: Set<string>, max: number): void {
    for (const id of ids) {
      if (ids.size <= max) return;
      ids.delete(id);
      this.#options.onForgotten(id, ids === this.#acknowledged);
    }
  }
}
