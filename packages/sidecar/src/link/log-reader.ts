import { LIMITS, type Log as LogName } from '@outrigger/protocol';
import { cutPiece, type Piece } from '../core/lines.js';
import { type Log } from '../process/log.js';
import { type CurrentRedactor } from '../redaction.js';

/** The next stretch of a log: lines to send, with the offset behind each, or bytes that are not sent. */
export type Stretch =
  | { kind: 'lines'; start: number; end: number; lines: string[]; ends: number[]; continues: boolean }
  | { kind: 'gap'; start: number; end: number };

const NEWLINE = 0x0a;

/** One buffer for all readers: a chunk is made into text before the next one is read. */
const chunk = Buffer.allocUnsafeSlow(LIMITS.outputFrameBytes);
/** The same for looking ahead while a chunk is in use. */
const ahead = Buffer.allocUnsafeSlow(LIMITS.outputFrameBytes);

/** Reads a growing log in pieces that fit a frame, for one subscription. */
export class LogReader {
  readonly name: LogName;
  readonly #log: Log;
  readonly #redactor: CurrentRedactor;
  #position: number;
  #lineStart: number;
  /** How far the line at hand has been looked at for its end. */
  #scannedTo: number;
  /** The line at hand ends within bounds, so it is sent to its end, in parts if need be. */
  #isInBounds = false;
  #isInGap = false;

  /** @param redactor Asked anew for each stretch, as secrets can change. */
  constructor(name: LogName, log: Log, options: { position: number; redactor: CurrentRedactor }) {
    const { position, redactor } = options;
    this.name = name;
    this.#log = log;
    this.#redactor = redactor;
    this.#position = position;
    this.#lineStart = position;
    this.#scannedTo = position;
    log.open();
  }

  get position(): number {
    return this.#position;
  }

  close(): void {
    this.#log.release();
  }

  /** The next stretch, or null while there is none. */
  next(): Stretch | null {
    if (this.#isInGap) return this.#passOver();
    const redactor = this.#redactor();
    // A position need not be one that was ever told: it can lie within a secret.
    const before = Math.min(redactor.reachBytes, this.#position);
    const start = this.#position - before;
    const bytes = chunk.subarray(0, this.#log.read(chunk, start));
    const isEnd = start + bytes.length === this.#log.end;
    const isLongLine = bytes.length === chunk.length && !bytes.includes(NEWLINE, before);
    const lineEnd = isLongLine ? this.#lookForLineEnd() : 'unknown';
    if (lineEnd === 'too_far') {
      this.#isInGap = true;
      return this.#passOver();
    }
    const piece = cutPiece(bytes, { before, isEnd, isPartAllowed: lineEnd === 'in_bounds', redactor });
    return piece === null ? null : this.#lines(piece);
  }

  #lines({ lines, continues, ...piece }: Piece): Stretch {
    const start = this.#position;
    this.#position += piece.bytes;
    if (!continues) {
      this.#lineStart = this.#position;
      this.#scannedTo = this.#position;
      this.#isInBounds = false;
    }
    const ends = piece.ends.map((end) => start + end);
    return { kind: 'lines', start, end: this.#position, lines, ends, continues };
  }

  /** Looks ahead for the end of the line at hand, without keeping what it reads. */
  #lookForLineEnd(): 'in_bounds' | 'too_far' | 'unknown' {
    if (this.#isInBounds) return 'in_bounds';
    for (;;) {
      const length = this.#log.read(ahead, this.#scannedTo);
      const newline = ahead.subarray(0, length).indexOf(NEWLINE);
      this.#scannedTo += newline >= 0 ? newline : length;
      const lineBytes = this.#scannedTo - this.#lineStart + (newline >= 0 ? 1 : 0);
      if (lineBytes > LIMITS.lineBytesMax) return 'too_far';
      if (newline >= 0 || this.#scannedTo === this.#log.end) {
        this.#isInBounds = true;
        return 'in_bounds';
      }
      if (length === 0) return 'unknown';
    }
  }

  /** A gap is whole lines, so that a reader can go on where it ends; it is told once its end is known. */
  #passOver(): Stretch | null {
    for (;;) {
      const length = this.#log.read(chunk, this.#scannedTo);
      const newline = chunk.subarray(0, length).indexOf(NEWLINE);
      this.#scannedTo += newline >= 0 ? newline + 1 : length;
      if (newline >= 0 || this.#scannedTo === this.#log.end) break;
      if (length === 0) return null;
    }
    const start = this.#position;
    this.#position = this.#scannedTo;
    this.#lineStart = this.#scannedTo;
    this.#isInGap = false;
    return { kind: 'gap', start, end: this.#position };
  }
}
