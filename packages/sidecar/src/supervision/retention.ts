/** How much is kept of executions that have ended. */
export interface RetentionLimits {
  /** Executions whose outcome was acknowledged, and for how long after their end. */
  readonly acknowledgedMax: number;
  readonly acknowledgedMs: number;
  /** Executions whose outcome nobody acknowledged. */
  readonly unacknowledgedMax: number;
  /** What is told of all of them together, as JSON; an outcome alone can have a result of 1 MiB. */
  readonly bytesMax: number;
  /** Their logs. */
  readonly logBytesMax: number;
}

export const RETENTION_LIMITS: RetentionLimits = {
  acknowledgedMax: 10_000,
  acknowledgedMs: 7 * 24 * 60 * 60 * 1000,
  unacknowledgedMax: 10_000,
  bytesMax: 256 * 1024 * 1024,
  logBytesMax: 10 * 1024 * 1024 * 1024,
};

/** What there is of an execution that has ended. */
export interface Kept {
  /** Of what is told of it. */
  readonly bytes: number;
  /** Of its logs; 0: there are none, or they were dropped. */
  readonly logBytes: number;
  /** Monotonic milliseconds. */
  readonly endedAt: number;
}

export interface RetentionOptions {
  readonly limits: RetentionLimits;
  /** The execution is not to be kept any longer. */
  readonly onForgotten: (id: string, wasAcknowledged: boolean) => void;
  /** Its logs are not; what came of it still is. */
  readonly onLogsDropped: (id: string, wasAcknowledged: boolean) => void;
}

/**
 * What is kept of executions that have ended, and for how long: the oldest go first, logs before what came of them, and what
 * nobody acknowledged goes for want of room only once nothing else is left.
 */
export class Retention {
  readonly #options: RetentionOptions;
  readonly #unacknowledged = new Map<string, Kept>();
  readonly #acknowledged = new Map<string, Kept>();
  #bytes = 0;
  #logBytes = 0;

  constructor(options: RetentionOptions) {
    this.#options = options;
  }

  get unacknowledgedCount(): number {
    return this.#unacknowledged.size;
  }

  isAcknowledged(id: string): boolean {
    return this.#acknowledged.has(id);
  }

  /** The execution has its outcome. {@link prune} may be due then. */
  keep(id: string, kept: Kept): void {
    this.#unacknowledged.set(id, kept);
    this.#bytes += kept.bytes;
    this.#logBytes += kept.logBytes;
  }

  /** A host has persisted the outcome. Returns whether that is news. */
  acknowledge(id: string): boolean {
    const kept = this.#unacknowledged.get(id);
    if (kept === undefined) return false;
    this.#unacknowledged.delete(id);
    this.#acknowledged.set(id, kept);
    return true;
  }

  /** Lets go of what is too old or too much. */
  prune(nowMs: number): void {
    const { acknowledgedMax, acknowledgedMs, unacknowledgedMax, bytesMax } = this.#options.limits;
    const isFull = () => this.#bytes > bytesMax;
    this.#forgetOldest(this.#acknowledged, ({ endedAt }) => {
      return this.#acknowledged.size > acknowledgedMax || nowMs - endedAt > acknowledgedMs || isFull();
    });
    this.#forgetOldest(this.#unacknowledged, () => this.#unacknowledged.size > unacknowledgedMax || isFull());
    this.#dropOldestLogs(this.#acknowledged);
    this.#dropOldestLogs(this.#unacknowledged);
  }

  #forgetOldest(kept: Map<string, Kept>, isDue: (one: Kept) => boolean): void {
    for (const [id, one] of kept) {
      if (!isDue(one)) return;
      kept.delete(id);
      this.#bytes -= one.bytes;
      this.#logBytes -= one.logBytes;
      this.#options.onForgotten(id, kept === this.#acknowledged);
    }
  }

  #dropOldestLogs(kept: Map<string, Kept>): void {
    for (const [id, one] of kept) {
      if (this.#logBytes <= this.#options.limits.logBytesMax) return;
      if (one.logBytes === 0) continue;
      this.#logBytes -= one.logBytes;
      kept.set(id, { ...one, logBytes: 0 });
      this.#options.onLogsDropped(id, kept === this.#acknowledged);
    }
  }
}
