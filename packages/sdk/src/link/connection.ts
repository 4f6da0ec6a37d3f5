import { type IncomingMessage } from 'node:http';
import {
  CLOSE_CODES,
  decodeSidecarFrame,
  encodeFrame,
  type ClientFrame,
  type ExecutionSummary,
  type Hello,
  LIMITS,
  type OutriggerError,
  type SidecarFrame,
  SUBPROTOCOL,
  type Welcome,
} from '@outrigger/protocol';
import { type RawData, WebSocket } from 'ws';
import { type Logger } from '../logger.js';
import { keepAlive } from './liveness.js';
import { Peer } from './peer.js';
import { CLOSE_TIMEOUT_MS, type LinkTiming } from './timing.js';

/** What an agent says when a connection begins. */
export interface Greeting {
  readonly welcome: Welcome;
  /** Every execution not yet acknowledged. */
  readonly snapshot: readonly ExecutionSummary[];
}

/** Where to connect to, and how. */
export interface ConnectionTarget {
  readonly url: string;
  readonly token: string;
  /** Certificates to trust instead of the system's, for `wss:`. */
  readonly ca: string | Buffer | undefined;
  /** The agent that has to answer; undefined: any. */
  readonly agentId: string | undefined;
  readonly timing: LinkTiming;
  readonly logger: Logger;
}

/** Who is told what comes of a connection. */
export interface ConnectionOwner {
  readonly makeHello: () => Hello;
  /** Called within the turn that brought the last page, so that the next frame meets who is to handle it. */
  readonly onGreeted: (greeting: Greeting) => void;
  readonly onFrame: (frame: SidecarFrame) => void;
  /** The connection is over, whatever the cause. Exactly once. */
  readonly onOver: (error: OutriggerError) => void;
}

/**
 * One connection, from the upgrade to its end. Never used again.
 *
 * ```
 *   opening ──open: hello──► greeting ──welcome──► listing ──last page──► open
 *       └──────────────────────┴───── fail(), close() ──┴──────────────────┘──► over
 * ```
 */
export class Connection {
  readonly #target: ConnectionTarget;
  readonly #owner: ConnectionOwner;
  readonly #peer: Peer;
  readonly #webSocket: WebSocket;
  readonly #greetingTimer: NodeJS.Timeout;
  #closeTimer: NodeJS.Timeout | undefined;
  #stopPinging: () => void = () => undefined;
  #welcome: Welcome | null = null;
  #snapshot: ExecutionSummary[] = [];
  #isOpen = false;
  /** The first cause wins; what a dying socket says later is noise. */
  #cause: OutriggerError | null = null;

  constructor(target: ConnectionTarget, owner: ConnectionOwner) {
    this.#target = target;
    this.#owner = owner;
    this.#peer = new Peer(target);
    this.#webSocket = new WebSocket(target.url, SUBPROTOCOL, {
      headers: { authorization: `Bearer ${target.token}` },
      ca: target.ca,
      maxPayload: LIMITS.frameBytesMax,
      perMessageDeflate: false,
    });
    const { connectTimeoutMs } = target.timing;
    this.#greetingTimer = setTimeout(
      () => this.fail(this.#peer.unreachable(`did not greet within ${connectTimeoutMs} ms`)),
      connectTimeoutMs,
    );
    this.#webSocket
      .on('unexpected-response', (_request, response) => this.fail(this.#peer.refused(response.statusCode ?? 0)))
      .on('upgrade', (response) => this.#watch(response))
      .on('open', () => this.send(owner.makeHello()))
      .on('message', (data, isBinary) => this.#onMessage(data, isBinary))
      .on('error', (error) => (this.#cause ??= this.#peer.unreachable(error.message, error)))
      .on('close', (code) => this.#onClose(code));
  }

  send(frame: ClientFrame): void {
    this.sendText(encodeFrame(frame));
  }

  sendText(text: string): void {
    // A socket that is going down is reported by its close, and what was not answered is sent again.
    if (this.#webSocket.readyState === WebSocket.OPEN) this.#webSocket.send(text);
  }

  /** Ends the connection at once: a polite close would wait for a peer that may be gone or wrong. */
  fail(error: OutriggerError): void {
    this.#cause ??= error;
    this.#webSocket.terminate();
  }

  /** Says goodbye, for a while. */
  close(error: OutriggerError): void {
    this.#cause ??= error;
    if (!this.#isOpen) {
      this.#webSocket.terminate();
      return;
    }
    this.#webSocket.close(CLOSE_CODES.normal.code);
    this.#closeTimer = setTimeout(() => this.#webSocket.terminate(), CLOSE_TIMEOUT_MS);
  }

  #watch(response: IncomingMessage): void {
    const { timing } = this.#target;
    const onSilence = () => this.fail(this.#peer.unreachable(`sent nothing for ${timing.inboundDeadlineMs} ms`));
    this.#stopPinging = keepAlive({ webSocket: this.#webSocket, socket: response.socket, timing, onSilence });
  }

  #onMessage(data: RawData, isBinary: boolean): void {
    if (this.#cause !== null) return;
    if (isBinary) {
      this.fail(this.#peer.broken('sent a binary message'));
      return;
    }
    // With the default binaryType a message is one Buffer.
    const decoded = decodeSidecarFrame((data as Buffer).toString());
    if (decoded.ok) this.#onFrame(decoded.frame);
    else if (decoded.error.code === 'unknown_type') this.#target.logger.debug({ err: decoded.error }, 'frame ignored');
    else this.fail(this.#peer.broken(decoded.error.message));
  }

  #onFrame(frame: SidecarFrame): void {
    if (frame.type === 'error') this.fail(this.#peer.complained(frame));
    else if (this.#isOpen) this.#owner.onFrame(frame);
    else if (frame.type === 'welcome' && this.#welcome === null) this.#onWelcome(frame);
    else if (frame.type === 'snapshot' && this.#welcome !== null) this.#onSnapshot(this.#welcome, frame);
    else this.fail(this.#peer.broken(`sent "${frame.type}" before the end of the snapshot`));
  }

  #onWelcome(welcome: Welcome): void {
    const fault = this.#peer.findWelcomeFault(welcome);
    if (fault === null) this.#welcome = welcome;
    else this.fail(fault);
  }

  #onSnapshot(welcome: Welcome, { executions, more }: SidecarFrame<'snapshot'>): void {
    this.#snapshot.push(...executions);
    if (more) return;
    clearTimeout(this.#greetingTimer);
    this.#isOpen = true;
    const snapshot = this.#snapshot;
    this.#snapshot = [];
    this.#owner.onGreeted({ welcome, snapshot });
  }

  #onClose(code: number): void {
    clearTimeout(this.#greetingTimer);
    clearTimeout(this.#closeTimer);
    this.#stopPinging();
    this.#owner.onOver(this.#cause ?? this.#peer.closed(code));
  }
}
