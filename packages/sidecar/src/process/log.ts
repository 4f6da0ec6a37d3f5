import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

/** What stands further behind can be neither read nor counted. */
const LOG_BYTES_MAX = 2 ** 50;

/**
 * One output log of an execution: a file that a child appends to and any number of readers follow.
 *
 * Reads are synchronous: what is read was written a moment ago and lies in the page cache, where a read takes a few
 * microseconds and a trip through the thread pool several times that.
 */
export class Log {
  readonly path: string;
  #fd: number | null = null;
  #users = 0;
  readonly #bytesMax: number;
  #end: number | null = null;
  #isDropped = false;
  /** Device and inode of the file that was opened first: a run can put another file in the place of its log. */
  #identity: string | null = null;

  /**
   * @param bytesMax How far the log goes at most. A child can make its file claim hundreds of gigabytes at once, which
   *   cost it nothing, and would cost everyone who reads them.
   */
  constructor(path: string, bytesMax = LOG_BYTES_MAX) {
    this.path = path;
    this.#bytesMax = Math.min(bytesMax, LOG_BYTES_MAX);
  }

  /** The size at the cause; nothing behind it is ever delivered. Null while the log can still grow. */
  get end(): number | null {
    return this.#end;
  }

  /**
   * Readers open the log for as long as they follow it; the last one to leave closes the file.
   *
   * @throws Error with the code `ESTALE` when the path names another file than it did at first.
   */
  open(): void {
    if (this.#users === 0) this.#fd = this.#openFile();
    this.#users++;
  }

  release(): void {
    if (--this.#users > 0 || this.#fd === null) return;
    closeSync(this.#fd);
    this.#fd = null;
  }

  /** Bytes that can be read now. */
  size(): number {
    return this.#end ?? Math.min(fstatSync(this.#opened()).size, this.#bytesMax);
  }

  /** When the file was last written to, in epoch ms. */
  modifiedAtEpochMs(): number {
    return fstatSync(this.#opened()).mtimeMs;
  }

  /** Fixes the end at the present size. */
  fixEnd(): number {
    this.#end ??= this.size();
    return this.#end;
  }

  /** Fixes the end where it was fixed before, by another sidecar. */
  fixEndAt(bytes: number): void {
    this.#end ??= bytes;
  }

  /** Whether its content is not kept any longer, though its end is known. */
  get isDropped(): boolean {
    return this.#isDropped;
  }

  drop(): void {
    this.#isDropped = true;
  }

  /** Reads from `position` into `buffer`, at most up to the end. Returns the bytes read; 0: there is no more for now. */
  read(buffer: Buffer, position: number): number {
    const allowed = Math.min(buffer.length, (this.#end ?? this.#bytesMax) - position);
    if (allowed <= 0) return 0;
    return readSync(this.#opened(), buffer, 0, allowed, position);
  }

  /**
   * The last lines of the log, from a line start on: what is left of a line could be half a secret, which is not
   * recognised any more. Empty where the last line is longer than `bytesMax`.
   */
  tail(bytesMax: number): string {
    const size = this.size();
    // One byte more, where there is one, tells whether the first line is whole.
    const buffer = Buffer.alloc(Math.min(size, bytesMax + 1));
    const bytes = buffer.subarray(0, this.read(buffer, size - buffer.length));
    return bytes.toString('utf8', size <= bytesMax ? 0 : lineStart(bytes));
  }

  #openFile(): number {
    const fd = openSync(this.path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const { dev, ino } = fstatSync(fd);
    this.#identity ??= `${dev}:${ino}`;
    if (this.#identity === `${dev}:${ino}`) return fd;
    closeSync(fd);
    throw Object.assign(new Error(`log ${this.path} is another file than it was`), { code: 'ESTALE' });
  }

  #opened(): number {
    if (this.#fd === null) throw new Error(`log ${this.path} is not open`);
    return this.#fd;
  }
}

function lineStart(bytes: Buffer): number {
  const newline = bytes.indexOf('\n');
  return newline < 0 ? bytes.length : newline + 1;
}
