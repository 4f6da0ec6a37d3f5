import { finished, type Readable, type Writable } from 'node:stream';

/** The provider fell silent within an answer. */
export class SilentProvider extends Error {}

/** The body of an answer, of which the beginning can be looked at before all of it is handed on. */
export class AnswerBody {
  readonly #stream: Readable;
  readonly #silence: NodeJS.Timeout;
  readonly #beginning: Buffer[] = [];

  /** @param idleTimeoutMs Of silence after which it breaks off. */
  constructor(stream: Readable, idleTimeoutMs: number) {
    this.#stream = stream;
    // One timer that is put off with each chunk; what waits to be read is the client's slowness.
    this.#silence = setTimeout(() => {
      if (stream.readableLength > 0) this.#silence.refresh();
      else stream.destroy(new SilentProvider(`the provider fell silent for ${idleTimeoutMs} ms in mid-answer`));
    }, idleTimeoutMs);
    // Whoever reads gets the error; a body that is not read yet must not bring the sidecar down.
    stream.on('error', () => undefined).once('close', () => clearTimeout(this.#silence));
  }

  /** Whether some of it has come that nobody has read. */
  get hasMore(): boolean {
    return this.#stream.readableLength > 0;
  }

  /** Its first `bytesMax` bytes, or all of it, as text. @throws SilentProvider; what the connection fails with */
  async look(bytesMax: number): Promise<string> {
    let bytes = 0;
    for await (const chunk of this.#stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      this.#silence.refresh();
      this.#beginning.push(chunk);
      bytes += chunk.length;
      if (bytes >= bytesMax) break;
    }
    return Buffer.concat(this.#beginning).toString('utf8', 0, bytesMax);
  }

  /**
   * Writes all of it, what was looked at first, and ends the sink.
   *
   * @throws SilentProvider; what either side fails with. Both are destroyed then.
   */
  async handTo(sink: Writable, onTraffic: () => void): Promise<void> {
    for (const chunk of this.#beginning) sink.write(chunk);
    // Next to the pipe, not in it: for each chunk a generator costs more than all that is done with it.
    this.#stream.on('data', () => {
      this.#silence.refresh();
      onTraffic();
    });
    await pipe(this.#stream, sink);
  }

  /** Nobody wants it. */
  discard(): void {
    this.#stream.destroy();
  }
}

/** What `pipeline` does with two streams, in a third of its time: that makes an `AbortSignal` and fires it each time. */
async function pipe(source: Readable, sink: Writable): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const onFailed = (error: Error) => {
      source.destroy();
      sink.destroy();
      reject(error);
    };
    finished(source, { writable: false }, (error) => error && onFailed(error));
    finished(sink, { readable: false }, (error) => (error ? onFailed(error) : resolve()));
    source.pipe(sink);
  });
}
