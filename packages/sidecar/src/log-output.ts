import { type Writable } from 'node:stream';
import { waitAtMost } from './timeout.js';

/** What waits for a reader that is slow or gone; lines beyond it are dropped. */
const WAITING_BYTES_MAX = 1024 * 1024;
/** How long the last lines may take to be read before the process ends without them. */
const FLUSH_MS_MAX = 1000;

/**
 * Where log lines go. A log that nobody reads must neither stop the sidecar nor fill its memory, so lines are dropped,
 * counted, and the count is told when there is room again.
 */
export class LogOutput {
  readonly #stream: Writable;
  readonly #onDropped: (lines: number) => void;
  #droppedLines = 0;

  /** @param stream One that does not block: `process.stderr` where that is a pipe or a socket. */
  constructor(stream: Writable, onDropped: (lines: number) => void) {
    this.#stream = stream;
    this.#onDropped = onDropped;
    stream.on('drain', () => this.#tellDropped());
    // Nobody is left to read what nobody could be told.
    stream.on('error', () => undefined);
  }

  write(line: string): void {
    if (this.#stream.writableLength + line.length > WAITING_BYTES_MAX) this.#droppedLines++;
    else this.#stream.write(line);
  }

  /** Resolves when everything was read, or that has taken too long. */
  async flush(): Promise<void> {
    await waitAtMost(FLUSH_MS_MAX, new Promise<void>((resolve) => this.#stream.write('', () => resolve())));
  }

  #tellDropped(): void {
    const lines = this.#droppedLines;
    this.#droppedLines = 0;
    if (lines > 0) this.#onDropped(lines);
  }
}
