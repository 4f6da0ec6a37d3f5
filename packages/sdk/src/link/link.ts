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
import { type AdmissionNotice } from '../admission.js';
import { defer } from '../deferred.js';
import { sdkError } from '../errors.js';
import { type CredentialNotice } from '../events.js';
import { type Connection, type Greeting } from './connection.js';
import { Connector, type ConnectorOptions } from './connector.js';
import { type Fields, type PreparedRequest, Requests } from './requests.js';
import { type Subscriber, Subscriptions } from './subscriptions.js';

/** What an agent says of itself and its executions, whoever asked for it. */
export type Notice = SidecarFrame<'state' | 'outcome'> | CredentialNotice | AdmissionNotice;

/** Who is told what a link learns. */
export interface LinkOwner {
  /** A connection has begun; in the same turn, so that no notice is missed. */
  onReady(greeting: Greeting): void;
  onNotice(notice: Notice): void;
  /** How an execution stands, as the answer to a subscription says. */
  onSummary(summary: ExecutionSummary): void;
  /** A connection that was ready is lost. */
  onLost(error: OutriggerError): void;
}

export interface LinkOptions extends ConnectorOptions {
  readonly clientName: string;
  /** What the store of this host goes by; undefined: that could not be found out. */
  readonly storeId: () => string | undefined;
  /** The first greeting tells which agent this is. @throws to turn it down, which ends the link */
  readonly admit: (agentId: string) => LinkOwner;
}

/** The link to one agent: what outlives its connections, and who gets what comes on them. */
export class AgentLink {
  readonly #options: LinkOptions;
  readonly #connector: Connector;
  readonly #requests: Requests;
  readonly #subscriptions: Subscriptions;
  readonly #first = defer<Welcome>();
  #owner: LinkOwner | null = null;
  #lineBytesMax: number = LIMITS.lineBytesMax;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#requests = new Requests(options.timing.requestTimeoutMs);
    this.#subscriptions = new Subscriptions({
      logger: options.logger,
      ready: () => this.#connector.ready,
      call: (type, fields) => this.callNow(type, fields),
      onSummary: (summary) => this.#owner?.onSummary(summary),
    });
    this.#connector = new Connector(options, {
      makeHello: (connection) => ({
        type: 'hello',
        versions: [...PROTOCOL_VERSIONS],
        client: { name: options.clientName },
        storeId: options.storeId(),
        cursors: this.#subscriptions.openInHello(connection),
      }),
      onGreeted: (greeting) => this.#onGreeted(greeting),
      onFrame: (frame) => this.#onFrame(frame),
      onLost: (error, wasReady) => {
        this.#requests.connectionLost(error);
        if (wasReady) this.#owner?.onLost(error);
      },
      onClosed: (error) => {
        this.#first.reject(error);
        this.#requests.close(error);
        this.#subscriptions.failAll(error);
      },
    });
  }

  get isReady(): boolean {
    return this.#connector.ready !== null;
  }

  /** Resolves when no socket and no timer is left. */
  get over(): Promise<unknown> {
    return this.#connector.over;
  }

  /** From a request to its answer, reconnecting included. */
  get requestTimeoutMs(): number {
    return this.#options.timing.requestTimeoutMs;
  }

  /** The longest line this agent delivers as one. */
  get lineBytesMax(): number {
    return this.#lineBytesMax;
  }

  /** Makes the first connection. If that fails, nothing is tried again. */
  open(): Promise<Welcome> {
    void this.#connector.connect();
    return this.#first.promise;
  }

  /** @throws `invalid`, `frame_too_large` */
  prepare<T extends RequestType>(type: T, fields: Fields<T>): PreparedRequest<T> {
    return this.#requests.prepare(type, fields);
  }

  /** Sends an idempotent request, on as many connections as it takes to get its answer in time. */
  async request<T extends RequestType>(request: PreparedRequest<T>): Promise<Result<T>> {
    const { closedBy, ready } = this.#connector;
    if (closedBy !== null) throw closedBy;
    const answer = this.#requests.add(request, { isResent: true });
    if (ready !== null) send(ready, request);
    return answer;
  }

  async call<T extends RequestType>(type: T, fields: Fields<T>): Promise<Result<T>> {
    return this.request(this.prepare(type, fields));
  }

  /** Sends a request that means nothing on another connection than this one. @throws `agent_unreachable` */
  async callNow<T extends RequestType>(type: T, fields: Fields<T>): Promise<Result<T>> {
    const { closedBy, ready } = this.#connector;
    if (ready === null) throw closedBy ?? sdkError('agent_unreachable', `${type}: not connected`);
    const request = this.prepare(type, fields);
    const answer = this.#requests.add(request, { isResent: false });
    send(ready, request);
    return answer;
  }

  /** @throws `limit_exceeded` */
  subscribe(subscriber: Subscriber): void {
    const { closedBy } = this.#connector;
    if (closedBy !== null) throw closedBy;
    this.#subscriptions.add(subscriber);
  }

  unsubscribe(subscriber: Subscriber): void {
    this.#subscriptions.remove(subscriber);
  }

  grant(subscriber: Subscriber, bytes: number): void {
    this.#subscriptions.grant(subscriber, bytes);
  }

  /** What the sidecar sent cannot be right: reads it again on a new connection. */
  abort(error: OutriggerError): void {
    this.#connector.abort(error);
  }

  /** Ends everything with this error. Resolves when no socket and no timer is left. */
  async close(error: OutriggerError): Promise<void> {
    await this.#connector.close(error);
  }

  #onGreeted(greeting: Greeting): string {
    const { agentId, limits, refused } = greeting.welcome;
    this.#owner ??= this.#options.admit(agentId);
    this.#lineBytesMax = limits['lineBytesMax'] ?? LIMITS.lineBytesMax;
    const { ready } = this.#connector;
    if (ready !== null) for (const request of this.#requests.unanswered()) send(ready, request);
    this.#subscriptions.onGreeted(refused);
    this.#owner.onReady(greeting);
    this.#first.resolve(greeting.welcome);
    return agentId;
  }

  #onFrame(frame: SidecarFrame): void {
    switch (frame.type) {
      case 'reply':
        this.#requests.answer(frame);
        return;
      case 'state':
      case 'outcome':
      case 'credential_needed':
      case 'credential_changed':
      case 'rate_limit':
      case 'drain_progress':
      case 'circuit_opened':
      case 'circuit_closed':
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
}

function send(connection: Connection, request: PreparedRequest): void {
  request.timesSent += 1;
  connection.sendText(request.text);
}
