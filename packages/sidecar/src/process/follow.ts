import { type Log } from './log.js';

const CHUNK_BYTES = 64 * 1024;
/** Read at one go before others get a turn. */
const TURN_BYTES = 1024 * 1024;
const NEWLINE = 0x0a;

/** One buffer for all followers: a chunk is dealt with before the next one is read. */
const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);

export interface FollowOptions {
  readonly log: Log;
  /** A longer line is passed over. */
  readonly lineBytesMax: number;
  /** Picks the lines to be handed on. */
  readonly linesThatMayMatter: (bytes: Buffer) => readonly string[];
  /** They were all in the log before this is called. */
  readonly onLines: (lines: readonly string[]) => void;
  /** Called when all there was has been read. */
  readonly onCaughtUp: () => void;
  /** The log cannot be read: nothing more comes of it. */
  readonly onFailed: (error: Error) => void;
}

/** Hands the lines of a growing log to the supervisor, each once and in order. */
export class LogFollower {
  readonly #options: FollowOptions;
  readonly #parts: Buffer[] = [];
  #partsBytes = 0;
  #isPassingOver = false;
  #position = 0;
  #hasFailed = false;
  #scheduled: NodeJS.Immediate | null = null;

  constructor(options: FollowOptions) {
    this.#options = options;
  }

  /** How much of the log has been read, in bytes. */
  get position(): number {
    return this.#position;
  }

  /** The log may have grown. */
  pump(): void {
    if (this.#scheduled === null && !this.#hasFailed) this.#turn();
  }

  stop(): void {
    if (this.#scheduled !== null) clearImmediate(this.#scheduled);
    this.#scheduled = null;
  }

  #turn(): void {
    this.#scheduled = null;
    for (let turnBytes = 0; turnBytes < TURN_BYTES;) {
      const bytes = this.#read();
      if (bytes === null) return;
      if (bytes === 0) {
        if (this.#position === this.#options.log.end) this.#endLine();
        this.#options.onCaughtUp();
        return;
      }
      this.#position += bytes;
      turnBytes += bytes;
      this.#take(chunk.subarray(0, bytes));
    }
    this.#scheduled = setImmediate(() => this.#turn());
  }

  #read(): number | null {
    try {
      return this.#options.log.read(chunk, this.#position);
    } catch (error) {
      this.#hasFailed = true;
      this.#options.onFailed(error as Error);
      return null;
    }
  }

  #take(bytes: Buffer): void {
    const firstEnd = bytes.indexOf(NEWLINE);
    if (firstEnd < 0) {
      this.#keep(bytes);
      return;
    }
    this.#keep(bytes.subarray(0, firstEnd));
    this.#endLine();

    const lastEnd = bytes.lastIndexOf(NEWLINE);
    this.#handOn(bytes.subarray(firstEnd + 1, lastEnd));
    this.#keep(bytes.subarray(lastEnd + 1));
  }

  #keep(bytes: Buffer): void {
    if (bytes.length === 0 || this.#isPassingOver) return;
    if (this.#partsBytes + bytes.length > this.#options.lineBytesMax) {
      this.#isPassingOver = true;
      this.#forget();
      return;
    }
    this.#parts.push(Buffer.from(bytes));
    this.#partsBytes += bytes.length;
  }

  #endLine(): void {
    if (this.#partsBytes > 0) this.#handOn(Buffer.concat(this.#parts));
    this.#isPassingOver = false;
    this.#forget();
  }

  #handOn(lines: Buffer): void {
    const { linesThatMayMatter, onLines } = this.#options;
    onLines(linesThatMayMatter(lines));
  }

  #forget(): void {
    this.#parts.length = 0;
    this.#partsBytes = 0;
  }
}
