import { LIMITS } from '@outrigger/protocol';
import { type Backoff } from '../core/backoff.js';
import { sdkError } from '../errors.js';

/** Durations of a connection, in milliseconds. */
export interface LinkTiming {
  /** From the first byte to the end of the snapshot. @default 10 s */
  readonly connectTimeoutMs: number;
  /** From a request to its answer, reconnecting included. @default 30 s */
  readonly requestTimeoutMs: number;
  /** @default `LIMITS.pingIntervalMs` */
  readonly pingIntervalMs: number;
  /** A connection without any inbound byte for this long is terminated. @default `LIMITS.inboundDeadlineMs` */
  readonly inboundDeadlineMs: number;
}

const TIMING_DEFAULTS: LinkTiming = {
  connectTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  pingIntervalMs: LIMITS.pingIntervalMs,
  inboundDeadlineMs: LIMITS.inboundDeadlineMs,
};

/** What a caller has chosen, and the defaults. @throws `invalid` */
export function readTiming(options: Partial<LinkTiming>): LinkTiming {
  const timing: Record<keyof LinkTiming, number> = { ...TIMING_DEFAULTS };
  for (const name of Object.keys(TIMING_DEFAULTS) as (keyof LinkTiming)[]) {
    const value = options[name] ?? TIMING_DEFAULTS[name];
    if (!(Number.isSafeInteger(value) && value > 0)) throw sdkError('invalid', `${name}: expected a positive integer`);
    timing[name] = value;
  }
  return timing;
}

export const RECONNECT_BACKOFF: Backoff = { baseMs: 100, capMs: 10_000 };

/** How long a polite close may take. */
export const CLOSE_TIMEOUT_MS = 1000;
