import { randomUUID } from 'node:crypto';
import { type Drain as PublicDrain, LIMITS, type SidecarFrame } from '@outrigger/protocol';
import { monotonicMs } from '../clock.js';
import { advanceDrain, type Drain, type DrainWish, nextLookAt, requestDrain } from '../core/drain.js';
import { Timers } from './timers.js';

export interface DrainingOptions {
  /** The executions that hold a slot now. */
  readonly live: () => readonly string[];
  readonly cancelLive: () => void;
  readonly tell: (notice: SidecarFrame<'drain_progress'>) => void;
  /** Admission is resumed. */
  readonly onEnded: () => void;
}

/** The drain that stands, if any: looks at it whenever it may have changed, and tells what has. */
export class Draining {
  readonly #options: DrainingOptions;
  readonly #timers = new Timers<'look'>();
  #drain: Drain | null = null;
  #told = '';
  /** Epoch ms of the monotonic clock's zero, read when the drain began: what was told does not change. */
  #epochAtZero = 0;

  constructor(options: DrainingOptions) {
    this.#options = options;
  }

  get isOn(): boolean {
    return this.#drain !== null;
  }

  get isFinal(): boolean {
    return this.#drain?.isFinal === true;
  }

  /** How it stands; undefined: there is none. */
  get progress(): PublicDrain | undefined {
    return this.#drain === null ? undefined : this.#describe(this.#drain, this.#drain.state);
  }

  /** Begins one, or joins the one that stands. Returns how it stands now. */
  request(wish: DrainWish): PublicDrain {
    const nowMs = monotonicMs();
    if (this.#drain === null) this.#epochAtZero = Date.now() - nowMs;
    const drain = requestDrain(this.#drain, wish, { nowMs, drainId: randomUUID() });
    this.#drain = drain;
    this.look();
    return this.progress ?? this.#describe(drain, drain.state);
  }

  /** Brings it to where it has to be now. */
  look(): void {
    if (this.#drain === null) return;
    const before = this.#drain;
    const { drain, mustCancel } = advanceDrain(before, { nowMs: monotonicMs(), live: this.#options.live().length });
    if (drain === null) {
      this.#end(before, 'expired');
      return;
    }
    this.#drain = drain;
    this.#timers.set('look', nextLookAt(drain), () => this.look());
    this.#tell(this.#describe(drain, drain.state));
    if (mustCancel) this.#options.cancelLive();
  }

  /** Resumes admission. */
  end(): void {
    if (this.#drain !== null) this.#end(this.#drain, 'resumed');
  }

  #end(drain: Drain, cause: 'resumed' | 'expired'): void {
    this.#drain = null;
    this.#timers.clear();
    this.#tell({ ...this.#describe(drain, 'ended'), cause });
    this.#options.onEnded();
  }

  /** Looks come more often than news. */
  #tell(progress: PublicDrain): void {
    const text = JSON.stringify(progress);
    if (text === this.#told) return;
    this.#told = text;
    this.#options.tell({ type: 'drain_progress', at: Date.now(), ...progress });
  }

  #describe(drain: Drain, state: PublicDrain['state']): PublicDrain {
    const { drainId, atDeadline, isFinal, startedAt, deadlineAt, expiresAt } = drain;
    const live = this.#options.live();
    return {
      drainId,
      state,
      startedAt: this.#toEpoch(startedAt),
      deadlineAt: this.#toEpoch(deadlineAt),
      atDeadline,
      ...(expiresAt === null ? {} : { expiresAt: this.#toEpoch(expiresAt) }),
      isFinal,
      remaining: live.slice(0, LIMITS.executionsNamedMax),
      remainingCount: live.length,
    };
  }

  #toEpoch(ms: number): number {
    return Math.round(this.#epochAtZero + ms);
  }
}
