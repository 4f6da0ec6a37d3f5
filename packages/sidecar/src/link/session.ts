import {
  type ClientFrame,
  type CloseReason,
  type Hello,
  LIMITS,
  type Request,
  type RequestType,
  type Result,
  WireError,
} from '@outrigger/protocol';
import { type Logger } from 'pino';
import { type WebSocket } from 'ws';
import { type Credentials } from '../credentials/credentials.js';
import { type Meter } from '../metrics/meter.js';
import { type CurrentRedactor } from '../redaction.js';
import { type Supervisor } from '../supervision/supervisor.js';
import { Channel } from './channel.js';
import { type ClientStores } from './client-stores.js';
import { shakeHands, type WelcomeFactory } from './handshake.js';
import { Incoming } from './incoming.js';
import { Notices } from './notices.js';
import { answerRequest } from './requests.js';
import { meterAnswer, meterRefusal } from './meter-answers.js';
import { Snapshot } from './snapshot.js';
import { Subscriptions } from './subscriptions.js';

export { type WelcomeFactory } from './handshake.js';

export interface SessionOptions {
  readonly socket: WebSocket;
  readonly supervisor: Supervisor;
  readonly credentials: Credentials;
  readonly welcome: WelcomeFactory;
  readonly stores: ClientStores;
  readonly redactor: CurrentRedactor;
  readonly meter?: Meter | undefined;
  readonly logger: Logger;
}

/**
 * One authenticated connection: hands what comes in to those who deal with it.
 *
 * ```
 *  waiting for hello ──hello──► open ──► closed
 *         └── timeout, other frame, no common version ──┘
 * ```
 */
export class Session {
  readonly #options: SessionOptions;
  readonly #channel: Channel;
  readonly #subscriptions: Subscriptions;
  readonly #notices: Notices;
  readonly #helloTimer: NodeJS.Timeout;
  #snapshot: Snapshot | null = null;
  #isOpen = false;

  constructor(options: SessionOptions) {
    const { socket, supervisor, redactor, logger } = options;
    this.#options = options;
    this.#channel = new Channel(socket, () => this.#guard(() => this.#goOn()));
    this.#subscriptions = new Subscriptions({
      supervisor,
      redactor,
      hasRoom: () => this.#snapshot?.isSent === true && this.#channel.hasRoom,
      onFailed: (error) => this.#fail(error),
      send: (frame) => this.#channel.send(frame),
    });
    this.#notices = new Notices(options, this.#channel, (step) => this.#guard(step));
    this.#helloTimer = setTimeout(() => this.close('helloTimeout'), LIMITS.helloTimeoutMs);
    const incoming = new Incoming(this.#channel, {
      onFrame: (frame) => this.#guard(() => this.#onFrame(frame)),
      onBadFrame: (error, id) => this.#onBadFrame(error, id),
    });
    socket.on('message', (data, isBinary) => incoming.take(data, isBinary));
    socket.on('close', (code) => this.#onClose(code));
    socket.on('error', (error) => logger.warn({ err: error }, 'connection failed'));
  }

  close(reason: CloseReason): void {
    this.#channel.close(reason);
  }

  #onBadFrame(error: WireError, id: string | undefined): void {
    if (id === undefined || !this.#isOpen) this.#channel.reject('protocolError', error.code, error.message);
    else this.#replyError(id, error);
  }

  #onFrame(frame: ClientFrame): void {
    if (frame.type === 'hello') {
      if (this.#isOpen) this.#channel.reject('protocolError', 'invalid', 'a second hello');
      else this.#open(frame);
    } else if (this.#isOpen) this.#answer(frame);
    else this.#channel.reject('protocolError', 'invalid', `${frame.type} before hello`);
  }

  #open(hello: Hello): void {
    clearTimeout(this.#helloTimer);
    const otherStores = this.#options.stores.join(this, hello.storeId);
    this.#isOpen = shakeHands(hello, {
      channel: this.#channel,
      subscriptions: this.#subscriptions,
      welcome: (refused) => ({ ...this.#options.welcome(refused), ...(otherStores.length > 0 && { otherStores }) }),
      toWireError: (error) => this.#toWireError(error),
    });
    if (!this.#isOpen) return;
    const executions = this.#options.supervisor.unacknowledged();
    this.#snapshot = new Snapshot(executions, this.#channel);
    this.#notices.hold(executions);
    this.#goOn();
  }

  #answer(frame: Request): void {
    try {
      const result = answerRequest(frame, {
        supervisor: this.#options.supervisor,
        credentials: this.#options.credentials,
        subscriptions: this.#subscriptions,
        identity: () => this.#options.welcome([]),
      });
      if (!(result instanceof Promise)) this.#reply(frame, result);
      else result.then((late) => this.#reply(frame, late)).catch((error: unknown) => this.#replyFailed(frame, error));
    } catch (error) {
      this.#replyFailed(frame, error);
    }
  }

  #reply(frame: Request, result: Result<RequestType>): void {
    meterAnswer(this.#options.meter, frame.type, result);
    this.#channel.send({ type: 'reply', id: frame.id, ok: true, result });
  }

  #replyFailed(frame: Request, error: unknown): void {
    const { id, type } = frame;
    meterRefusal(this.#options.meter, type, error);
    this.#replyError(id, error, { request: type, ...('executionId' in frame && { executionId: frame.executionId }) });
    if (!(error instanceof WireError)) this.close('internal');
  }

  /** Sends what waits for room: first the whole snapshot, so that all else can be understood. */
  #goOn(): void {
    if (!this.#isOpen) return;
    this.#snapshot?.resume();
    if (this.#snapshot?.isSent !== true) return;
    this.#notices.resume();
    this.#subscriptions.resumeAll();
  }

  #replyError(id: string, error: unknown, about: object = {}): void {
    const { code, message, data } = this.#toWireError(error, about);
    this.#channel.send({ type: 'reply', id, ok: false, error: { code, message, data } });
  }

  #toWireError(error: unknown, about: object = {}): WireError {
    if (error instanceof WireError) return error;
    this.#options.logger.error({ err: error, ...about }, 'request failed');
    return new WireError('internal', 'the sidecar failed to answer; its log has the cause');
  }

  #guard(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** What failed unforeseen costs this connection, which may have been left halfway, and no other. */
  #fail(error: unknown): void {
    this.#options.logger.error({ err: error }, 'connection given up');
    this.close('internal');
  }

  #onClose(code: number): void {
    this.#isOpen = false;
    this.#options.stores.leave(this);
    clearTimeout(this.#helloTimer);
    this.#notices.stop();
    this.#subscriptions.closeAll();
    this.#options.logger.info({ code }, 'host disconnected');
  }
}
