import { once } from 'node:events';
import { type Response } from 'express';

export interface EventStreamOptions {
  /** Ends the stream; the client is expected to come back, and to find another process. */
  readonly stopping: AbortSignal;
  readonly heartbeatMs: number;
}

/** An event; one without an id leaves the client where it was. */
export interface ServerSentEvent {
  readonly event: string;
  readonly id?: string;
  readonly data: unknown;
}

/** Server-sent events on a response, at the pace of whoever reads them. */
export class EventStream {
  readonly #response: Response;
  readonly #stopping: AbortSignal;
  readonly #over = new AbortController();
  readonly #heartbeat: NodeJS.Timeout;
  readonly #onStopping = () => {
    this.#response.write(': this process stops, please come back\n\n');
    this.close();
  };

  constructor(response: Response, { stopping, heartbeatMs }: EventStreamOptions) {
    this.#response = response;
    this.#stopping = stopping;
    // Nobody has to be told that it is there who has not read the last events.
    this.#heartbeat = setInterval(() => response.writableNeedDrain || response.write(': here\n\n'), heartbeatMs);
    response.once('close', () => this.close());
    if (response.destroyed) {
      this.close();
      return;
    }
    response.status(200).set({
      'Content-Type': 'text/event-stream',
      'Cache-Control': 'no-cache, no-transform',
      Connection: 'close', // or a process that stops would wait for the next request
      'X-Accel-Buffering': 'no', // of nginx, which would keep events back
    });
    response.write('retry: 1000\n\n');
    stopping.addEventListener('abort', this.#onStopping);
    if (stopping.aborted) this.#onStopping();
  }

  /** Aborted once the stream is over, whoever has ended it. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** Resolves when there is room for more, or the stream is over. */
  async send({ event, id, data }: ServerSentEvent): Promise<void> {
    if (this.over.aborted) return;
    const text = `event: ${event}\n${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`;
    if (this.#response.write(text)) return;
    await once(this.#response, 'drain', { signal: this.over }).catch(() => undefined);
  }

  close(): void {
    if (this.over.aborted) return;
    clearInterval(this.#heartbeat);
    this.#stopping.removeEventListener('abort', this.#onStopping);
    this.#over.abort();
    if (!this.#response.destroyed) this.#response.end();
  }
}
