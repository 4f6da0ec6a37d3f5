import { LIMITS, type Log as LogName, MAX_OUTPUT_BYTES_DEFAULT, type SidecarFrame } from '@outrigger/protocol';
import { cutPiece, type Piece } from '../core/lines.js';
import { type Log } from '../process/log.js';
import { type CurrentRedactor } from '../redaction.js';
import { LentLog } from './lent-log.js';
import { scanForLineEnd } from './line-scan.js';

type GapReason = SidecarFrame<'gap'>['reason'];

/** The next stretch of a log: lines to send, with the offset behind each, or bytes that are not sent. */
export type Stretch =
  | { kind: 'lines'; start: number; end: number; lines: string[]; ends: number[]; continues: boolean }
  | { kind: 'gap'; start: number; end: number; reason: GapReason }
  /** Nothing to send yet, and more to look at: so many bytes were looked at for now. */
  | { kind: 'nothing_yet'; lookedAtBytes: number };

const NEWLINE = 0x0a;
/** How far the end of a line is looked for once the log has ended; where it is further away, the rest is one gap. */
const LINE_SCAN_BYTES_MAX = MAX_OUTPUT_BYTES_DEFAULT;

/** One buffer for all readers: a chunk is made into text before the next one is read. */
const chunk = Buffer.allocUnsafeSlow(LIMITS.outputFrameBytes);

/** Reads a growing log in pieces that fit a frame, for one subscription. */
export class LogReader {
  readonly name: LogName;
  readonly #log: LentLog;
  readonly #redactor: CurrentRedactor;
  #position: number;
  #lineStart: number;
  /** How far the line at hand has been looked at for its end. */
  #scannedTo: number;
  /** The line at hand ends within bounds, so it is sent to its end, in parts if need be. */
  #isInBounds = false;
  /** Why what lies at the position is passed over; null while it is not. */
  #gap: GapReason | null = null;
  /** The last cut of the log that was passed over. */
  #passedCutBytes = 0;

  /** @param redactor Asked anew for each stretch, as secrets can change. */
  constructor(name: LogName, log: Log, options: { position: number; redactor: CurrentRedactor }) {
    const { position, redactor } = options;
    this.name = name;
    this.#log = new LentLog(log);
    this.#redactor = redactor;
    this.#position = position;
    this.#lineStart = position;
    this.#scannedTo = position;
  }

  get position(): number {
    return this.#position;
  }

  close(): void {
    this.#log.giveBack();
  }

  /** The next stretch, or null while there is none. Looks at the bytes of one turn at most. */
  next(): Stretch | null {
    if (this.#gap !== null) return this.#passOver(this.#gap);
    if (this.#log.isDropped) return this.#passOverDropped();
    const redactor = this.#redactor();
    // A position need not be one that was ever told: it can lie within a secret.
    const before = Math.min(redactor.reachBytes, this.#position);
    const start = this.#position - before;
    const bytes = this.#log.read(chunk, start);
    const isLongLine = bytes.length === chunk.length && !bytes.includes(NEWLINE, before);
    const scan = isLongLine ? this.#lookForLineEnd() : 'unknown';
    const { cutBytes, end } = this.#log;
    if (this.#position <= cutBytes && this.#passedCutBytes < cutBytes) return this.#passOverCut(cutBytes);
    if (scan === 'too_far') return this.#passOver('line_too_long');
    if (typeof scan === 'object') return scan;
    const isEnd = start + bytes.length === end;
    const piece = cutPiece(bytes, { before, isEnd, isPartAllowed: scan === 'in_bounds', redactor });
    return piece === null ? null : this.#lines(piece);
  }

  #lines({ lines, continues, ...piece }: Piece): Stretch {
    const start = this.#position;
    this.#position += piece.bytes;
    if (!continues) this.#startLine();
    const ends = piece.ends.map((end) => start + end);
    return { kind: 'lines', start, end: this.#position, lines, ends, continues };
  }

  #startLine(): void {
    this.#lineStart = this.#position;
    this.#scannedTo = this.#position;
    this.#isInBounds = false;
  }

  #lookForLineEnd(): 'in_bounds' | 'too_far' | 'unknown' | Stretch {
    if (this.#isInBounds) return 'in_bounds';
    const from = this.#scannedTo;
    const { to, state } = scanForLineEnd(this.#log, from);
    this.#scannedTo = to;
    const lineBytes = to - this.#lineStart + (state === 'found' ? 1 : 0);
    if (lineBytes > LIMITS.lineBytesMax) return 'too_far';
    if (state === 'turn_over') return { kind: 'nothing_yet', lookedAtBytes: to - from };
    this.#isInBounds = state === 'found' || to === this.#log.end;
    return this.#isInBounds ? 'in_bounds' : 'unknown';
  }

  #passOverDropped(): Stretch | null {
    const { end } = this.#log;
    return end === null || this.#position >= end ? null : this.#endGap('retention', end);
  }

  /** Behind a cut, reading goes on with the first line that begins at or after the old end. */
  #passOverCut(cutBytes: number): Stretch | null {
    this.#passedCutBytes = cutBytes;
    this.#scannedTo = Math.max(0, cutBytes - 1);
    return this.#passOver('removed');
  }

  /** A gap is whole lines, so that a reader can go on where it ends; it is told once its end is known. */
  #passOver(reason: GapReason): Stretch | null {
    this.#gap = reason;
    const from = this.#scannedTo;
    const { to, state } = scanForLineEnd(this.#log, from);
    this.#scannedTo = to;
    if (state === 'found') return this.#endGap(reason, to + 1);
    const { end } = this.#log;
    const isFarEnough = state === 'no_more_bytes' || to - this.#position > LINE_SCAN_BYTES_MAX;
    if (end !== null && isFarEnough) return this.#endGap(reason, Math.max(this.#position, end));
    return state === 'no_more_bytes' ? null : { kind: 'nothing_yet', lookedAtBytes: to - from };
  }

  #endGap(reason: GapReason, end: number): Stretch {
    const start = this.#position;
    this.#gap = null;
    this.#position = end;
    this.#startLine();
    return { kind: 'gap', start, end, reason };
  }
}
