import { LIMITS } from '@outrigger/protocol';
import { type Backoff } from '../core/backoff.js';

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

export const TIMING_DEFAULTS: LinkTiming = {
  connectTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  pingIntervalMs: LIMITS.pingIntervalMs,
  inboundDeadlineMs: LIMITS.inboundDeadlineMs,
};

export const RECONNECT_BACKOFF: Backoff = { baseMs: 100, capMs: 10_000 };

/** How long a polite close may take. */
export const CLOSE_TIMEOUT_MS = 1000;
