import { LIMITS, type Log as LogName } from '@outrigger/protocol';
import { cutPiece } from '../core/lines.js';
import { type Log } from '../process/log.js';

/** The next stretch of a log: lines to send, or bytes that are not sent. */
export type Stretch =
  | { kind: 'lines'; start: number; end: number; lines: string[]; continues: boolean }
  | { kind: 'gap'; start: number; end: number };

const NEWLINE = 0x0a;

/** One buffer for all readers: a chunk is made into text before the next one is read. */
const chunk = Buffer.allocUnsafeSlow(LIMITS.outputFrameBytes);

/** Reads a growing log in pieces that fit a frame, for one subscription. */
export class LogReader {
  readonly name: LogName;
  readonly #log: Log;
  #position: number;
  #lineStart: number;
  /** How far the line at hand has been looked at for its end. */
  #scannedTo: number;
  /** A line of which parts were sent already is sent to its end; this says where it is. */
  #lineEnd: number | null = null;
  #isInGap = false;

  constructor(name: LogName, log: Log, position: number) {
    this.name = name;
    this.#log = log;
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
    const length = this.#log.read(chunk, this.#position);
    const bytes = chunk.subarray(0, length);
    const isEnd = this.#position + length === this.#log.end;
    const isLongLine = length === chunk.length && !bytes.includes(NEWLINE);
    const lineEnd = isLongLine ? this.#lookForLineEnd() : 'unknown';
    if (lineEnd === 'too_far') {
      this.#isInGap = true;
      return this.#passOver();
    }
    const piece = cutPiece(bytes, { isEnd, isPartAllowed: lineEnd === 'in_bounds' });
    return piece === null ? null : this.#lines(piece);
  }

  #lines(piece: { bytes: number; lines: string[]; continues: boolean }): Stretch {
    const start = this.#position;
    this.#position += piece.bytes;
    if (!piece.continues) {
      this.#lineStart = this.#position;
      this.#scannedTo = this.#position;
      this.#lineEnd = null;
    }
    return { kind: 'lines', start, end: this.#position, lines: piece.lines, continues: piece.continues };
  }

  /** Looks ahead for the end of the line at hand, without keeping what it reads. */
  #lookForLineEnd(): 'in_bounds' | 'too_far' | 'unknown' {
    if (this.#lineEnd !== null) return 'in_bounds';
    const ahead = Buffer.allocUnsafe(chunk.length);
    for (;;) {
      const length = this.#log.read(ahead, this.#scannedTo);
      const newline = ahead.subarray(0, length).indexOf(NEWLINE);
      this.#scannedTo += newline >= 0 ? newline : length;
      if (this.#scannedTo - this.#lineStart > LIMITS.lineBytesMax) return 'too_far';
      if (newline >= 0 || this.#scannedTo === this.#log.end) {
        this.#lineEnd = this.#scannedTo;
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
