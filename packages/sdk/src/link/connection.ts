import { type IncomingMessage } from 'node:http';
import {
  CLOSE_CODES,
  closeMeaning,
  decodeSidecarFrame,
  encodeFrame,
  type ClientFrame,
  type ExecutionSummary,
  type Hello,
  LIMITS,
  type OutriggerError,
  PROTOCOL_VERSIONS,
  type SidecarFrame,
  SUBPROTOCOL,
  type Welcome,
} from '@outrigger/protocol';
import { type RawData, WebSocket } from 'ws';
import { sdkError } from '../errors.js';
import { type Logger } from '../logger.js';
import { keepAlive } from './liveness.js';
import { CLOSE_TIMEOUT_MS, type LinkTiming } from './timing.js';

/** What an agent says when a connection begins. */
export interface Greeting {
  readonly welcome: Welcome;
  /** Every execution not yet acknowledged. */
  readonly snapshot: readonly ExecutionSummary[];
}

export interface ConnectionOptions {
  readonly url: string;
  readonly token: string;
  /** The agent that has to answer; undefined: any. */
  readonly agentId: string | undefined;
  readonly timing: LinkTiming;
  readonly logger: Logger;
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
  readonly #options: ConnectionOptions;
  readonly #webSocket: WebSocket;
  readonly #greetingTimer: NodeJS.Timeout;
  #closeTimer: NodeJS.Timeout | undefined;
  #stopPinging: () => void = () => undefined;
  #welcome: Welcome | null = null;
  #snapshot: ExecutionSummary[] = [];
  #isOpen = false;
  /** The first cause wins; what a dying socket says later is noise. */
  #cause: OutriggerError | null = null;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#webSocket = new WebSocket(options.url, SUBPROTOCOL, {
      headers: { authorization: `Bearer ${options.token}` },
      maxPayload: LIMITS.frameBytesMax,
      perMessageDeflate: false,
    });
    const { connectTimeoutMs } = options.timing;
    this.#greetingTimer = setTimeout(
      () => this.fail(this.#unreachable(`did not greet within ${connectTimeoutMs} ms`)),
      connectTimeoutMs,
    );
    this.#webSocket
      .on('unexpected-response', (_request, response) => this.#onRefused(response))
      .on('upgrade', (response) => this.#watch(response))
      .on('open', () => this.send(options.makeHello()))
      .on('message', (data, isBinary) => this.#onMessage(data, isBinary))
      .on('error', (error) => (this.#cause ??= this.#unreachable(error.message, error)))
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
    const { timing } = this.#options;
    const onSilence = () => this.fail(this.#unreachable(`sent nothing for ${timing.inboundDeadlineMs} ms`));
    this.#stopPinging = keepAlive({ webSocket: this.#webSocket, socket: response.socket, timing, onSilence });
  }

  #onRefused(response: IncomingMessage): void {
    const status = response.statusCode ?? 0;
    this.fail(
      status === 401
        ? sdkError('unauthorized', `${this.#who()} refused the control token; check that it is the agent's own`)
        : this.#unreachable(`answered the upgrade with HTTP ${status}`),
    );
  }

  #onMessage(data: RawData, isBinary: boolean): void {
    if (this.#cause !== null) return;
    if (isBinary) {
      this.fail(this.#broken('sent a binary message'));
      return;
    }
    // With the default binaryType a message is one Buffer.
    const decoded = decodeSidecarFrame((data as Buffer).toString());
    if (decoded.ok) this.#onFrame(decoded.frame);
    else if (decoded.error.code === 'unknown_type') this.#options.logger.debug({ err: decoded.error }, 'frame ignored');
    else this.fail(this.#broken(decoded.error.message));
  }

  #onFrame(frame: SidecarFrame): void {
    if (frame.type === 'error') this.fail(this.#explain(frame));
    else if (this.#isOpen) this.#options.onFrame(frame);
    else if (frame.type === 'welcome' && this.#welcome === null) this.#onWelcome(frame);
    else if (frame.type === 'snapshot' && this.#welcome !== null) this.#onSnapshot(this.#welcome, frame);
    else this.fail(this.#broken(`sent "${frame.type}" before the end of the snapshot`));
  }

  #onWelcome(welcome: Welcome): void {
    const { agentId } = this.#options;
    if (!PROTOCOL_VERSIONS.includes(welcome.version)) {
      this.fail(
        sdkError('unsupported_version', `${this.#who()} chose version ${welcome.version}, which was not offered`),
      );
    } else if (agentId !== undefined && agentId !== welcome.agentId) {
      this.fail(
        sdkError(
          'agent_mismatch',
          `${this.#who()} is agent ${welcome.agentId}, not ${agentId}; nothing was reconciled`,
          {
            data: { expected: agentId, actual: welcome.agentId },
          },
        ),
      );
    } else this.#welcome = welcome;
  }

  #onSnapshot(welcome: Welcome, { executions, more }: SidecarFrame<'snapshot'>): void {
    this.#snapshot.push(...executions);
    if (more) return;
    clearTimeout(this.#greetingTimer);
    this.#isOpen = true;
    const snapshot = this.#snapshot;
    this.#snapshot = [];
    this.#options.onGreeted({ welcome, snapshot });
  }

  #onClose(code: number): void {
    clearTimeout(this.#greetingTimer);
    clearTimeout(this.#closeTimer);
    this.#stopPinging();
    const meaning = closeMeaning(code)?.meaning ?? 'the connection broke';
    this.#options.onOver(
      this.#cause ??
        (code === CLOSE_CODES.unsupportedVersion.code
          ? sdkError('unsupported_version', `${this.#who()} speaks none of versions ${PROTOCOL_VERSIONS.join(', ')}`)
          : this.#unreachable(`closed the connection with code ${code}: ${meaning}`)),
    );
  }

  #explain({ code, message }: SidecarFrame<'error'>): OutriggerError {
    const isVersion = code === 'unsupported_version';
    return sdkError(isVersion ? code : 'protocol_error', `${this.#who()} closes the connection: ${code}: ${message}`);
  }

  #unreachable(what: string, cause?: unknown): OutriggerError {
    return sdkError('agent_unreachable', `${this.#who()} cannot be reached: ${what}`, { cause });
  }

  #broken(what: string): OutriggerError {
    return sdkError('protocol_error', `${this.#who()} broke the protocol: ${what}`);
  }

  #who(): string {
    const { agentId, url } = this.#options;
    const { host } = new URL(url);
    return agentId === undefined ? host : `agent ${agentId} at ${host}`;
  }
}
