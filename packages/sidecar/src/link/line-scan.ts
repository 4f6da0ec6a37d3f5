import { LIMITS } from '@outrigger/protocol';
import { type LentLog } from './lent-log.js';
import { TURN_BYTES } from './turns.js';

const NEWLINE = 0x0a;

/** One buffer for all scans; a chunk can be in use by whoever asks for one. */
const ahead = Buffer.allocUnsafeSlow(LIMITS.outputFrameBytes);

/** `to`: where the line end is, or how far there is none. */
export interface Scan {
  readonly to: number;
  readonly state: 'found' | 'no_more_bytes' | 'turn_over';
}

/**
 * Looks for a line end from `from` on, without keeping what it reads and for one turn at most: a run can make its log
 * as long as it likes with one call of `ftruncate`.
 */
export function scanForLineEnd(log: LentLog, from: number): Scan {
  let to = from;
  while (to - from < TURN_BYTES) {
    const bytes = log.read(ahead, to);
    const newline = bytes.indexOf(NEWLINE);
    if (newline >= 0) return { to: to + newline, state: 'found' };
    if (bytes.length === 0) return { to, state: 'no_more_bytes' };
    to += bytes.length;
  }
  return { to, state: 'turn_over' };
}
