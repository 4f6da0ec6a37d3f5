import {
  CLOSE_CODES,
  type CloseReason,
  type ClientFrame,
  CURSOR_START,
  decodeClientFrame,
  encodeFrame,
  type Hello,
  LIMITS,
  negotiateVersion,
  type Outcome,
  type Request,
  type RequestType,
  type Result,
  type SidecarFrame,
  type Welcome,
  WireError,
} from '@outrigger/protocol';
import { type Logger } from 'pino';
import { type RawData, type WebSocket } from 'ws';
import { monotonicMs } from '../clock.js';
import { type Bucket, takeToken } from '../core/token-bucket.js';
import { type CurrentRedactor } from '../redaction.js';
import { type Run } from '../supervision/run.js';
import { type Supervisor } from '../supervision/supervisor.js';
import { type SubscriptionRequest, Subscriptions } from './subscriptions.js';

/** Output waits while a connection has this much queued. */
const QUEUED_BYTES_HIGH = 1024 * 1024;
/** A connection that lets more than this pile up, output aside, is closed. */
const QUEUED_BYTES_MAX = 64 * 1024 * 1024;
const REQUEST_LIMITS = { burst: 4000, perSecond: 2000 };

/** A subscription named in `hello` that could not be opened. */
type RefusedSubscription = Welcome['refused'][number];

export type WelcomeFactory = (refused: RefusedSubscription[]) => Welcome;

export interface SessionOptions {
  readonly socket: WebSocket;
  readonly supervisor: Supervisor;
  readonly welcome: WelcomeFactory;
  readonly redactor: CurrentRedactor;
  readonly logger: Logger;
}

/**
 * One authenticated connection.
 *
 * ```
 *  waiting for hello ──hello──► open ──► closed
 *         └── timeout, other frame, no common version ──┘
 * ```
 */
export class Session {
  readonly #options: SessionOptions;
  readonly #subscriptions: Subscriptions;
  /** Outcomes still to be re-sent after the snapshot; they are paced, because there can be many. */
  #resend: string[] = [];
  #isOpen = false;
  #requests: Bucket | null = null;
  readonly #helloTimer: NodeJS.Timeout;
  readonly #onState = (run: Run) => this.#sendState(run);
  readonly #onOutcome = (run: Run, outcome: Outcome) => this.#sendOutcome(run, outcome);

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#subscriptions = new Subscriptions({
      supervisor: options.supervisor,
      redactor: options.redactor,
      hasRoom: () => this.#hasRoom(),
      onFailed: (error) => this.#options.logger.error({ err: error }, 'a reader of a run cannot go on'),
      send: (frame) => this.#send(frame),
    });
    this.#helloTimer = setTimeout(() => this.close('helloTimeout'), LIMITS.helloTimeoutMs);
    options.socket.on('message', (data, isBinary) => this.#onMessage(data, isBinary));
    options.socket.on('close', (code) => this.#onClose(code));
    options.socket.on('error', (error) => options.logger.warn({ err: error }, 'connection failed'));
  }

  close(reason: CloseReason): void {
    const { code, meaning } = CLOSE_CODES[reason];
    this.#options.socket.close(code, meaning.slice(0, 120));
  }

  #onMessage(data: RawData, isBinary: boolean): void {
    // What came after the message the connection is being closed for is still delivered, and is not to be acted upon.
    if (this.#options.socket.readyState !== this.#options.socket.OPEN) return;
    if (isBinary) {
      this.#reject('invalid', 'a binary message; frames are JSON text');
      return;
    }
    this.#requests = takeToken(this.#requests, REQUEST_LIMITS, monotonicMs()) ?? this.#flooded();
    if (this.#requests === null) return;

    const decoded = decodeClientFrame((data as Buffer).toString());
    if (decoded.ok) this.#onFrame(decoded.frame);
    else if (decoded.id === undefined || !this.#isOpen) this.#reject(decoded.error.code, decoded.error.message);
    else this.#replyError(decoded.id, decoded.error);
  }

  #onFrame(frame: ClientFrame): void {
    if (frame.type === 'hello') {
      if (this.#isOpen) this.#reject('invalid', 'a second hello');
      else this.#open(frame);
      return;
    }
    if (!this.#isOpen) {
      this.#reject('invalid', `${frame.type} before hello`);
      return;
    }
    try {
      const result = this.#answer(frame);
      this.#send({ type: 'reply', id: frame.id, ok: true, result });
    } catch (error) {
      this.#replyError(frame.id, error);
    }
  }

  #open(hello: Hello): void {
    clearTimeout(this.#helloTimer);
    const version = negotiateVersion(hello.versions);
    if (version === null) {
      this.#error('unsupported_version', `versions offered: ${hello.versions.join(', ')}; spoken here: 1`);
      this.close('unsupportedVersion');
      return;
    }
    const { supervisor } = this.#options;
    this.#isOpen = true;
    // What the subscriptions have to send comes in a turn of its own, so after the snapshot.
    this.#send(this.#options.welcome(this.#openCursors(hello.cursors ?? [])));
    this.#sendSnapshot();
    supervisor.on('state', this.#onState);
    supervisor.on('outcome', this.#onOutcome);
    this.#resendOutcomes();
  }

  /**
   * Opens the subscriptions that `hello` names. One that cannot be opened does not cost the connection: the client
   * would come back with the same cursor for ever.
   */
  #openCursors(cursors: readonly SubscriptionRequest[]): RefusedSubscription[] {
    return cursors.flatMap((cursor) => {
      try {
        this.#subscriptions.open(cursor);
        return [];
      } catch (error) {
        const { code, message } = this.#wireError(error);
        return [{ subscription: cursor.subscription, code, message }];
      }
    });
  }

  #sendSnapshot(): void {
    const executions = this.#options.supervisor.unacknowledged();
    this.#resend = executions.flatMap((execution) => (execution.outcome === undefined ? [] : [execution.executionId]));
    const summaries = executions.map(({ outcome: _sentByItself, ...summary }) => summary);
    do {
      const page = summaries.splice(0, LIMITS.snapshotPageSize);
      this.#send({ type: 'snapshot', executions: page, more: summaries.length > 0 });
    } while (summaries.length > 0);
  }

  #resendOutcomes(): void {
    while (this.#resend.length > 0 && this.#hasRoom()) {
      const id = this.#resend.shift();
      if (id === undefined || !this.#options.supervisor.isKnown(id)) continue;
      const run = this.#options.supervisor.run(id);
      if (run.outcome !== null) this.#sendOutcome(run, run.outcome);
    }
  }

  #answer(frame: Request): Result<RequestType> {
    const { supervisor } = this.#options;
    switch (frame.type) {
      case 'dispatch':
        return supervisor.dispatch(frame.executionId, frame.request);
      case 'cancel':
        return supervisor.cancel(frame.executionId);
      case 'subscribe': {
        this.#subscriptions.open(frame);
        return supervisor.run(frame.executionId).summary();
      }
      case 'unsubscribe':
        this.#subscriptions.close(frame.subscription);
        return {};
      case 'credit':
        return { creditBytes: this.#subscriptions.get(frame.subscription).addCredit(frame.bytes) };
      case 'ack':
        supervisor.acknowledge(frame.executionId);
        return {};
      case 'status': {
        const { agentId, bootId, generation } = this.#options.welcome([]);
        const execution =
          frame.executionId === undefined ? {} : { execution: supervisor.run(frame.executionId).summary() };
        return { agentId, bootId, generation, counts: supervisor.counts(), ...execution };
      }
    }
  }

  #sendState(run: Run): void {
    const { executionId, state, attempt, startedAt, acceptedAt, verdict, end } = run.summary();
    this.#send({
      type: 'state',
      executionId,
      state,
      at: verdict?.at ?? startedAt ?? acceptedAt,
      attempt,
      ...(verdict === undefined ? {} : { verdict }),
      ...(end === undefined ? {} : { end }),
    });
  }

  #sendOutcome(run: Run, outcome: Outcome): void {
    this.#send({ type: 'outcome', outcome, end: run.end ?? CURSOR_START });
  }

  #send(frame: SidecarFrame): void {
    const { socket } = this.#options;
    if (socket.readyState !== socket.OPEN) return;
    socket.send(encodeFrame(frame), () => this.#onSent());
    if (socket.bufferedAmount > QUEUED_BYTES_MAX) this.close('slowReader');
  }

  /** What waited for room goes on when the queue has run low. */
  #onSent(): void {
    if (!this.#hasRoom()) return;
    this.#resendOutcomes();
    this.#subscriptions.resumeAll();
  }

  #hasRoom(): boolean {
    return this.#options.socket.bufferedAmount < QUEUED_BYTES_HIGH;
  }

  #replyError(id: string, error: unknown): void {
    const { code, message, data } = this.#wireError(error);
    this.#send({ type: 'reply', id, ok: false, error: { code, message, data } });
  }

  #wireError(error: unknown): WireError {
    if (error instanceof WireError) return error;
    this.#options.logger.error({ err: error }, 'request failed');
    return new WireError('internal', 'the sidecar failed to answer; its log has the cause');
  }

  #error(code: string, message: string): void {
    this.#send({ type: 'error', code, message });
  }

  #reject(code: string, message: string): void {
    this.#error(code, message);
    this.close('protocolError');
  }

  #flooded(): null {
    this.#error('too_many_requests', `more than ${REQUEST_LIMITS.perSecond} requests a second`);
    this.close('tooManyRequests');
    return null;
  }

  #onClose(code: number): void {
    this.#isOpen = false;
    clearTimeout(this.#helloTimer);
    this.#options.supervisor.off('state', this.#onState);
    this.#options.supervisor.off('outcome', this.#onOutcome);
    this.#subscriptions.closeAll();
    this.#options.logger.info({ code }, 'host disconnected');
  }
}
