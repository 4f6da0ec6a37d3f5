import { type Log } from '../process/log.js';
import { cutBytes, noteRead } from './log-extent.js';

/** What opening or reading a log fails with when the run has removed it, or put something else in its place. */
const GONE = ['ENOENT', 'ENOTDIR', 'ELOOP', 'EISDIR', 'ENXIO', 'ESPIPE', 'EACCES', 'ESTALE'];

/**
 * A log in the hands of one reader. The run that writes it may do to it whatever it likes, so a log that has ended and
 * cannot be read any more is one that was cut, and no failure.
 */
export class LentLog {
  readonly #log: Log;
  #isOpen = false;

  constructor(log: Log) {
    this.#log = log;
    if (log.isDropped) return;
    this.#unlessGone(() => {
      log.open();
      this.#isOpen = true;
    });
  }

  get end(): number | null {
    return this.#log.end;
  }

  /** Whether it was dropped before it was opened here, so that nothing of it can be read. */
  get isDropped(): boolean {
    return this.#log.isDropped && !this.#isOpen;
  }

  /** See {@link cutBytes}. */
  get cutBytes(): number {
    return cutBytes(this.#log);
  }

  /** Reads from `position`; no bytes: there are no more for now, or ever once the log has ended. */
  read(buffer: Buffer, position: number): Buffer {
    const { end } = this.#log;
    let length = 0;
    if (this.#isOpen) this.#unlessGone(() => (length = this.#log.read(buffer, position)));
    const isShort = end !== null && length < Math.min(buffer.length, end - position);
    noteRead(this.#log, position + length, isShort);
    return buffer.subarray(0, length);
  }

  giveBack(): void {
    if (this.#isOpen) this.#log.release();
    this.#isOpen = false;
  }

  #unlessGone(step: () => void): void {
    try {
      step();
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (this.#log.end === null || code === undefined || !GONE.includes(code)) throw error;
    }
  }
}
