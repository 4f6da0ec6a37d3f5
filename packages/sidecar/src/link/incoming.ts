import { type ClientFrame, decodeClientFrame, type WireError } from '@outrigger/protocol';
import { type RawData } from 'ws';
import { monotonicMs } from '../clock.js';
import { type Bucket, takeToken } from '../core/token-bucket.js';
import { type Channel } from './channel.js';

const REQUEST_LIMITS = { burst: 4000, perSecond: 2000 };

export interface IncomingHandlers {
  readonly onFrame: (frame: ClientFrame) => void;
  /** A frame that is wrong; `id`: what a reply can name. */
  readonly onBadFrame: (error: WireError, id: string | undefined) => void;
}

/** The way in of one connection: messages become frames, at a bounded rate. */
export class Incoming {
  readonly #channel: Channel;
  readonly #handlers: IncomingHandlers;
  #requests: Bucket | null = null;

  constructor(channel: Channel, handlers: IncomingHandlers) {
    this.#channel = channel;
    this.#handlers = handlers;
  }

  take(data: RawData, isBinary: boolean): void {
    // What came after the message the connection is being closed for is still delivered, and is not to be acted upon.
    if (!this.#channel.isOpen) return;
    if (isBinary) {
      this.#channel.reject('protocolError', 'invalid', 'a binary message; frames are JSON text');
      return;
    }
    this.#requests = takeToken(this.#requests, REQUEST_LIMITS, monotonicMs());
    if (this.#requests === null) {
      const message = `more than ${REQUEST_LIMITS.perSecond} requests a second`;
      this.#channel.reject('tooManyRequests', 'too_many_requests', message);
      return;
    }
    const decoded = decodeClientFrame((data as Buffer).toString());
    if (decoded.ok) this.#handlers.onFrame(decoded.frame);
    else this.#handlers.onBadFrame(decoded.error, decoded.id);
  }
}
