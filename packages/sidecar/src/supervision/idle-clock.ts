import { monotonicMs } from '../clock.js';
import { idleDeadline, type IdleLimits, type SignsOfLife } from '../core/idle.js';
import { Timers } from './timers.js';

export interface IdleClockOptions {
  readonly limits: IdleLimits;
  readonly signsOfLife: () => SignsOfLife;
  /** `at` is the deadline itself. */
  readonly onIdle: (at: number) => void;
}

/**
 * Notices a run that gives no sign of life. Output comes too often to move a timer each time: one that is due looks
 * whether it still is.
 */
export class IdleClock {
  readonly #options: IdleClockOptions;
  readonly #timer = new Timers<'idle'>();

  constructor(options: IdleClockOptions) {
    this.#options = options;
  }

  start(): void {
    const { limits, signsOfLife, onIdle } = this.#options;
    const at = idleDeadline(signsOfLife(), limits);
    if (at <= monotonicMs()) onIdle(at);
    else this.#timer.set('idle', at, () => this.start());
  }

  stop(): void {
    this.#timer.clear();
  }
}
