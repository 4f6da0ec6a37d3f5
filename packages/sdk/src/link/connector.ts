import { type Hello, type OutriggerError, type SidecarFrame } from '@outrigger/protocol';
import { fullJitterMs } from '../core/backoff.js';
import { defer } from '../deferred.js';
import { Connection, type ConnectionTarget, type Greeting } from './connection.js';
import { RECONNECT_BACKOFF } from './timing.js';
import { fetchToken, type Token } from './token.js';

/** Who is told how the connections come and go. */
export interface ConnectorOwner {
  makeHello(connection: object): Hello;
  /** A connection has begun. @returns which agent it is, from now on the only right one @throws to turn it down */
  onGreeted(greeting: Greeting): string;
  onFrame(frame: SidecarFrame): void;
  /** A connection is over, or did not even begin, and the next one will be tried. */
  onLost(error: OutriggerError, wasReady: boolean): void;
  /** Nothing will be tried again. Exactly once. */
  onClosed(error: OutriggerError): void;
}

export type ConnectorOptions = Omit<ConnectionTarget, 'token'> & { readonly token: Token };

/**
 * A row of connections to one agent.
 *
 * ```
 *   connecting ──greeted──► ready ──lost──► waiting ──backoff──► connecting
 *       │                     │                │          (for ever, once greeted)
 *       └─ first one failed ──┴─── close() ────┴──► closed
 * ```
 */
export class Connector {
  readonly #options: ConnectorOptions;
  readonly #owner: ConnectorOwner;
  readonly #over = defer<undefined>();
  /** Undefined: whichever answers first. */
  #agentId: string | undefined;
  #connection: Connection | null = null;
  #isReady = false;
  #hasGreeted = false;
  #closedBy: OutriggerError | null = null;
  #retryTimer: NodeJS.Timeout | undefined;
  #failures = 0;

  constructor(options: ConnectorOptions, owner: ConnectorOwner) {
    this.#options = options;
    this.#owner = owner;
    this.#agentId = options.agentId;
  }

  /** The connection that is ready; null: there is none. */
  get ready(): Connection | null {
    return this.#isReady ? this.#connection : null;
  }

  get closedBy(): OutriggerError | null {
    return this.#closedBy;
  }

  /** Resolves when no socket and no timer is left. */
  get over(): Promise<unknown> {
    return this.#over.promise;
  }

  async connect(): Promise<void> {
    const { token: source, ...target } = this.#options;
    let token: string;
    try {
      token = await fetchToken(source, target.timing.connectTimeoutMs);
    } catch (error) {
      this.#onOver(error as OutriggerError);
      return;
    }
    if (this.#closedBy !== null) return;
    const connection: Connection = new Connection(
      { ...target, token, agentId: this.#agentId },
      {
        makeHello: () => this.#owner.makeHello(connection),
        onGreeted: (greeting) => this.#onGreeted(connection, greeting),
        onFrame: (frame) => this.#owner.onFrame(frame),
        onOver: (error) => this.#onOver(error),
      },
    );
    this.#connection = connection;
  }

  /** Ends the connection there is, and makes a new one. */
  abort(error: OutriggerError): void {
    this.#connection?.fail(error);
  }

  /** Ends everything with this error. Resolves when no socket and no timer is left. */
  async close(error: OutriggerError): Promise<void> {
    if (this.#closedBy === null) {
      this.#isReady = false;
      clearTimeout(this.#retryTimer);
      this.#endWith(error);
      if (this.#connection === null) this.#over.resolve(undefined);
      else this.#connection.close(error);
    }
    await this.#over.promise;
  }

  #onGreeted(connection: Connection, greeting: Greeting): void {
    this.#isReady = true;
    try {
      this.#agentId = this.#owner.onGreeted(greeting);
      this.#hasGreeted = true;
    } catch (error) {
      this.#isReady = false;
      connection.fail(error as OutriggerError);
    }
  }

  #onOver(error: OutriggerError): void {
    const wasReady = this.#isReady;
    this.#connection = null;
    this.#isReady = false;
    // Never greeted: the caller is told and may try again.
    if (!this.#hasGreeted && this.#closedBy === null) this.#endWith(error);
    if (this.#closedBy !== null) {
      this.#over.resolve(undefined);
      return;
    }
    this.#retryLater(wasReady, error);
    this.#owner.onLost(error, wasReady);
  }

  #endWith(error: OutriggerError): void {
    this.#closedBy = error;
    this.#owner.onClosed(error);
  }

  #retryLater(wasReady: boolean, error: OutriggerError): void {
    // An agent that greets and then breaks the protocol would do so again at once, so its failures add up.
    const isFresh = wasReady && error.code !== 'protocol_error';
    this.#failures = isFresh ? 1 : this.#failures + 1;
    const delayMs = fullJitterMs(RECONNECT_BACKOFF, this.#failures, Math.random());
    this.#options.logger.warn(
      { agentId: this.#agentId, err: error, failures: this.#failures, delayMs },
      'reconnecting',
    );
    this.#retryTimer = setTimeout(() => void this.connect(), delayMs);
  }
}
