import { type ServerResponse } from 'node:http';

/** How often a request that waits is given a sign of life. */
const SIGN_MS = 10_000;

/**
 * Keeps a client waiting that would give up on a silent request: 1.0.128 does after 300 s, 2.1.329 after 360 s, whatever
 * their settings say. The answer is begun with status 200 and filled with what means nothing: `ping` events in a stream,
 * white space before JSON.
 */
export class ClientPatience {
  readonly #response: ServerResponse;
  readonly #isStream: () => boolean;
  readonly #firstTimer: NodeJS.Timeout;
  #timer: NodeJS.Timeout | undefined;
  #hasBegun = false;
  #isWaiting = false;
  #isSilent = false;

  /** @param silentMs Of silence after which the answer is begun, if the request is waiting then. */
  constructor(response: ServerResponse, silentMs: number, isStream: () => boolean) {
    this.#response = response;
    this.#isStream = isStream;
    this.#firstTimer = setTimeout(() => this.#onSilence(), silentMs);
  }

  /** Whether the client has been sent status 200 already. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  /** The request waits from here on. */
  wait(): void {
    this.#isWaiting = true;
    if (this.#isSilent) this.#begin();
  }

  /** The answer comes, or the client has gone: nothing more is said here. */
  end(): void {
    clearTimeout(this.#firstTimer);
    clearInterval(this.#timer);
    this.#isWaiting = false;
  }

  #onSilence(): void {
    this.#isSilent = true;
    if (this.#isWaiting) this.#begin();
  }

  #begin(): void {
    if (this.#hasBegun || this.#response.destroyed) return;
    this.#hasBegun = true;
    const type = this.#isStream() ? 'text/event-stream; charset=utf-8' : 'application/json';
    this.#response.writeHead(200, { 'content-type': type, 'cache-control': 'no-cache' });
    this.#sign();
    this.#timer = setInterval(() => this.#sign(), SIGN_MS);
  }

  #sign(): void {
    this.#response.write(this.#isStream() ? 'event: ping\ndata: {"type": "ping"}\n\n' : ' ');
  }
}
