import {
  type ExecutionSummary,
  LIMITS,
  type OutriggerError,
  PROTOCOL_VERSIONS,
  type RequestType,
  type Result,
  type SidecarFrame,
  type Welcome,
} from '@outrigger/protocol';
import { fullJitterMs } from '../core/backoff.js';
import { defer } from '../deferred.js';
import { sdkError } from '../errors.js';
import { type Logger } from '../logger.js';
import { Connection, type Greeting } from './connection.js';
import { type Fields, type PreparedRequest, Requests } from './requests.js';
import { type Subscriber, Subscriptions } from './subscriptions.js';
import { type LinkTiming, RECONNECT_BACKOFF } from './timing.js';
import { fetchToken, type Token } from './token.js';

/** Who is told what a link learns. */
export interface LinkOwner {
  /** A connection has begun; in the same turn, so that no notice is missed. */
  onReady(greeting: Greeting): void;
  onNotice(frame: SidecarFrame<'state' | 'outcome'>): void;
  /** How an execution stands, as the answer to a subscription says. */
  onSummary(summary: ExecutionSummary): void;
  /** A connection that was ready is lost. */
  onLost(error: OutriggerError): void;
}

export interface LinkOptions {
  readonly url: string;
  readonly token: Token;
  /** Undefined: whichever answers. */
  readonly agentId: string | undefined;
  readonly clientName: string;
  readonly timing: LinkTiming;
  readonly logger: Logger;
  /** The first greeting tells which agent this is. @throws to turn it down, which ends the link */
  readonly admit: (agentId: string) => LinkOwner;
}

/**
 * The link to one agent: a row of connections, and what outlives each of them.
 *
 * ```
 *   connecting ──greeted──► ready ──lost──► waiting ──backoff──► connecting
 *       │                     │                │          (for ever, once greeted)
 *       └─ first one failed ──┴─── close() ────┴──► closed
 * ```
 */
export class AgentLink {
  readonly #options: LinkOptions;
  readonly #requests: Requests;
  readonly #subscriptions = new Subscriptions();
  readonly #first = defer<Welcome>();
  readonly #over = defer<undefined>();
  #state: 'connecting' | 'ready' | 'waiting' | 'closed' = 'connecting';
  #closedBy: OutriggerError | null = null;
  #owner: LinkOwner | null = null;
  #agentId: string | undefined;
  #connection: Connection | null = null;
  #retryTimer: NodeJS.Timeout | undefined;
  #failures = 0;
  #lineBytesMax: number = LIMITS.lineBytesMax;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#agentId = options.agentId;
    this.#requests = new Requests(options.timing.requestTimeoutMs);
  }

  get isReady(): boolean {
    return this.#state === 'ready';
  }

  /** Resolves when no socket and no timer is left. */
  get over(): Promise<unknown> {
    return this.#over.promise;
  }

  /** The longest line this agent delivers as one. */
  get lineBytesMax(): number {
    return this.#lineBytesMax;
  }

  /** Makes the first connection. If that fails, nothing is tried again. */
  open(): Promise<Welcome> {
    void this.#connect();
    return this.#first.promise;
  }

  /** @throws `invalid`, `frame_too_large` */
  prepare<T extends RequestType>(type: T, fields: Fields<T>): PreparedRequest<T> {
    return this.#requests.prepare(type, fields);
  }

  /** Sends an idempotent request, on as many connections as it takes to get its answer in time. */
  async request<T extends RequestType>(request: PreparedRequest<T>): Promise<Result<T>> {
    if (this.#closedBy !== null) throw this.#closedBy;
    const answer = this.#requests.add(request, { isResent: true });
    if (this.isReady) this.#connection?.sendText(request.text);
    return answer;
  }

  async call<T extends RequestType>(type: T, fields: Fields<T>): Promise<Result<T>> {
    return this.request(this.prepare(type, fields));
  }

  /** Sends a request that means nothing on another connection than this one. @throws `agent_unreachable` */
  async callNow<T extends RequestType>(type: T, fields: Fields<T>): Promise<Result<T>> {
    if (!this.isReady) throw this.#closedBy ?? sdkError('agent_unreachable', `${type}: not connected`);
    const request = this.prepare(type, fields);
    const answer = this.#requests.add(request, { isResent: false });
    this.#connection?.sendText(request.text);
    return answer;
  }

  /** @throws `limit_exceeded` */
  subscribe(subscriber: Subscriber): void {
    if (this.#closedBy !== null) throw this.#closedBy;
    this.#subscriptions.add(subscriber);
    this.#openSubscriptions();
  }

  unsubscribe(subscriber: Subscriber): void {
    const subscription = this.#subscriptions.remove(subscriber, this.#connection);
    if (subscription !== null && this.isReady) this.#tell('unsubscribe', { subscription });
  }

  grant(subscriber: Subscriber, bytes: number): void {
    const subscription = this.#subscriptions.openName(subscriber, this.#connection);
    if (subscription !== null && this.isReady) this.#tell('credit', { subscription, bytes });
  }

  /** What the sidecar sent cannot be right: reads it again on a new connection. */
  abort(error: OutriggerError): void {
    this.#connection?.fail(error);
  }

  /** Ends everything with this error. Resolves when no socket and no timer is left. */
  async close(error: OutriggerError): Promise<void> {
    if (this.#closedBy === null) {
      this.#closedBy = error;
      this.#state = 'closed';
      clearTimeout(this.#retryTimer);
      this.#first.reject(error);
      this.#requests.close(error);
      this.#subscriptions.failAll(error);
      if (this.#connection === null) this.#over.resolve(undefined);
      else this.#connection.close(error);
    }
    await this.#over.promise;
  }

  async #connect(): Promise<void> {
    this.#state = 'connecting';
    const { url, timing, logger } = this.#options;
    let token: string;
    try {
      token = await fetchToken(this.#options.token, timing.connectTimeoutMs);
    } catch (error) {
      this.#onOver(error as OutriggerError);
      return;
    }
    if (this.#closedBy !== null) return;
    const connection: Connection = new Connection({
      url,
      token,
      agentId: this.#agentId,
      timing,
      logger,
      makeHello: () => ({
        type: 'hello',
        versions: [...PROTOCOL_VERSIONS],
        client: { name: this.#options.clientName },
        cursors: this.#subscriptions.cursors(connection),
      }),
      onGreeted: (greeting) => this.#onGreeted(connection, greeting),
      onFrame: (frame) => this.#onFrame(frame),
      onOver: (error) => this.#onOver(error),
    });
    this.#connection = connection;
  }

  #onGreeted(connection: Connection, greeting: Greeting): void {
    const { welcome } = greeting;
    try {
      this.#owner ??= this.#options.admit(welcome.agentId);
    } catch (error) {
      connection.fail(error as OutriggerError);
      return;
    }
    this.#agentId = welcome.agentId;
    this.#lineBytesMax = welcome.limits['lineBytesMax'] ?? LIMITS.lineBytesMax;
    this.#state = 'ready';
    for (const executionId of welcome.unknown)
      this.#subscriptions.failExecution(executionId, unknown(executionId, welcome));
    for (const request of this.#requests.unanswered()) connection.sendText(request.text);
    this.#openSubscriptions();
    this.#owner.onReady(greeting);
    this.#first.resolve(welcome);
  }

  #onFrame(frame: SidecarFrame): void {
    switch (frame.type) {
      case 'reply':
        this.#requests.answer(frame);
        return;
      case 'state':
      case 'outcome':
        this.#owner?.onNotice(frame);
        return;
      case 'output':
      case 'stderr':
      case 'gap':
        this.#subscriptions.route(frame);
        return;
      case 'welcome':
      case 'snapshot':
      case 'error':
        this.abort(sdkError('protocol_error', `"${frame.type}" came in the middle of a connection`));
    }
  }

  #onOver(error: OutriggerError): void {
    const wasReady = this.#state === 'ready';
    this.#connection = null;
    if (this.#closedBy === null && this.#owner === null) {
      // Never greeted: the caller is told and may try again.
      this.#closedBy = error;
      this.#state = 'closed';
      this.#first.reject(error);
    }
    if (this.#closedBy !== null) {
      this.#over.resolve(undefined);
      return;
    }
    this.#retryLater(wasReady, error);
    this.#requests.connectionLost(error);
    if (wasReady) this.#owner?.onLost(error);
  }

  #retryLater(wasReady: boolean, error: OutriggerError): void {
    this.#state = 'waiting';
    // An agent that greets and then breaks the protocol would do so again at once, so its failures add up.
    const isFresh = wasReady && error.code !== 'protocol_error';
    this.#failures = isFresh ? 1 : this.#failures + 1;
    const delayMs = fullJitterMs(RECONNECT_BACKOFF, this.#failures, Math.random());
    this.#options.logger.warn(
      { agentId: this.#agentId, err: error, failures: this.#failures, delayMs },
      'reconnecting',
    );
    this.#retryTimer = setTimeout(() => void this.#connect(), delayMs);
  }

  #openSubscriptions(): void {
    if (!this.isReady || this.#connection === null) return;
    for (const cursor of this.#subscriptions.openMissing(this.#connection)) {
      this.callNow('subscribe', cursor).then(
        (summary) => {
          this.#subscriptions.accepted(cursor.subscription);
          this.#owner?.onSummary(summary);
        },
        // A connection that was lost opens it anew.
        (error: unknown) => {
          if (this.isReady) this.#subscriptions.failNamed(cursor.subscription, error as OutriggerError);
        },
      );
    }
  }

  #tell(
    type: 'credit' | 'unsubscribe',
    fields: { subscription: string; bytes: number } | { subscription: string },
  ): void {
    this.callNow(type, fields as Fields<typeof type>).catch((error: unknown) => {
      this.#options.logger.debug({ agentId: this.#agentId, err: error }, `${type} was not taken`);
    });
  }
}

function unknown(executionId: string, welcome: Welcome): OutriggerError {
  return sdkError('unknown_execution', `agent ${welcome.agentId} does not know execution ${executionId} any more`, {
    data: { executionId, agentId: welcome.agentId },
  });
}
