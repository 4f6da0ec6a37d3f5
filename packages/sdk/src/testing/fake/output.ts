import { writeSync } from 'node:fs';

const fds = { stdout: 1, stderr: 2 } as const;
export type Stream = keyof typeof fds;

/**
 * Writes everything before it returns. Node's own streams would split it, or lose it at `process.exit`; one `writeSync`
 * is one write(2) unless the reader's end is full.
 */
export function writeAll(stream: Stream, bytes: Buffer): void {
  let done = 0;
  while (done < bytes.length) {
    try {
      done += writeSync(fds[stream], bytes, done);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // Nobody reads any more: leave as quietly as the real CLI.
      if (code === 'EPIPE') process.exit(1);
      if (code !== 'EAGAIN') throw error;
      pause(1);
    }
  }
}

/** Prints one JSON line on stdout. */
export function print(event: object): void {
  writeAll('stdout', Buffer.from(`${JSON.stringify(event)}\n`));
}

// A pipe whose other end was made non-blocking answers EAGAIN when full, and there is nothing to wait on but time.
function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
