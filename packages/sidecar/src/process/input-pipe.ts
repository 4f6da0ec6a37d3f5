import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** Makes a FIFO where there is nothing yet. @throws Error */
export async function makeFifo(path: string): Promise<void> {
  await promisify(execFile)('mkfifo', ['-m', '600', path]);
}

/**
 * Our end of the FIFO that is a process's stdin. The process has both ends open itself, so that it sees no end of its input
 * when we are gone, and what was written waits for it; a pipe between two processes would end with either.
 */
export class InputPipe {
  readonly #socket: Socket;
  #error: Error | null = null;
  #isClosed = false;

  /** @throws Error when there is no FIFO at the path: a run can put anything in its place. */
  constructor(path: string) {
    // With a reading end of its own, opening waits for nobody and writing never meets a closed pipe.
    const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOFOLLOW);
    if (!fstatSync(fd).isFIFO()) {
      closeSync(fd);
      throw new Error(`${path} is no FIFO any more`);
    }
    this.#socket = new Socket({ fd, readable: false, writable: true });
    this.#socket.on('error', (error) => (this.#error = error));
  }

  /**
   * Writes a line, after those before it. As much as there is room for is written before this returns, the rest when there is
   * room again; a line that fits an empty pipe is written there by a single call, so whole or not at all.
   *
   * @returns Resolves when all of it is written, or the pipe is closed because nobody will read it any more.
   * @throws Error when it cannot be written
   */
  async write(line: string): Promise<void> {
    if (this.#error !== null) throw this.#error;
    await new Promise<void>((resolve, reject) =>
      this.#socket.write(line, (error) => (error == null || this.#isClosed ? resolve() : reject(error))),
    );
  }

  close(): void {
    this.#isClosed = true;
    this.#socket.destroy();
  }
}
