import { once } from 'node:events';
import { type IncomingMessage } from 'node:http';
import { json } from 'node:stream/consumers';
import {
  decodeSidecarFrame,
  type DispatchRequest,
  type Outcome,
  type Reply,
  type RequestType,
  type Result,
  RESULT_SCHEMAS,
  type SidecarFrame,
  type SidecarFrameType,
  SUBPROTOCOL,
  type WireErrorCode,
} from '@outrigger/protocol';
import { fakeScript, type FakeStep } from '@outrigger/sdk/testing';
import { WebSocket } from 'ws';

export interface Upgrade {
  path?: string;
  token?: string | null;
  subprotocols?: string[];
  headers?: Record<string, string>;
}

/** Where to connect: a test sidecar, or its address and token. */
export interface Target {
  readonly url: string;
  readonly token: string;
}

export interface Closed {
  readonly code: number;
  readonly reason: string;
}

function openSocket(target: Target, { path = '/', token = target.token, subprotocols, headers }: Upgrade): WebSocket {
  return new WebSocket(`${target.url}${path}`, subprotocols ?? [SUBPROTOCOL], {
    headers: { ...(token === null ? {} : { authorization: `Bearer ${token}` }), ...headers },
    perMessageDeflate: false,
  });
}

/** How an upgrade is refused: the HTTP status and the body's `error`. */
export async function refusedUpgrade(target: Target, upgrade: Upgrade) {
  const socket = openSocket(target, upgrade).on('error', () => undefined);
  const answer = once(socket, 'unexpected-response') as Promise<[unknown, IncomingMessage]>;
  const opened = once(socket, 'open').then(() => {
    socket.terminate();
    throw new Error('the upgrade was not refused');
  });
  opened.catch(() => undefined);
  const [, response] = await Promise.race([answer, opened]);
  const { error } = (await json(response)) as { error: { code: string; message: string } };
  return { status: response.statusCode, headers: response.headers, ...error };
}

/**
 * A connection that speaks frames as they are. Every frame that comes in is held against its schema, so that a sidecar
 * that breaks the protocol fails the test that notices.
 */
export class RawClient implements AsyncDisposable {
  /** Everything received so far, oldest first. */
  readonly frames: SidecarFrame[] = [];
  readonly closed: Promise<Closed>;
  readonly #socket: WebSocket;
  readonly #listeners = new Set<(frame: SidecarFrame) => void>();
  readonly #broken: Promise<never>;
  #fail: (error: Error) => void = () => undefined;
  #requests = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('error', () => undefined);
    socket.on('message', (data) => this.#onMessage((data as Buffer).toString()));
    this.closed = new Promise((resolve) => {
      socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() }));
    });
    this.#broken = new Promise<never>((_resolve, reject) => (this.#fail = reject));
    this.#broken.catch(() => undefined);
    void this.closed.then(({ code, reason }) =>
      this.#fail(new Error(`closed with ${code} ${reason}; the last frame: ${JSON.stringify(this.frames.at(-1))}`)),
    );
  }

  /** Connects without saying hello. */
  static async open(target: Target, upgrade: Upgrade = {}): Promise<RawClient> {
    const client = new RawClient(openSocket(target, upgrade));
    await Promise.race([once(client.#socket, 'open'), client.#broken]);
    return client;
  }

  /** Connects and shakes hands. `hello`: fields on top of the usual ones. */
  static async connect(target: Target, hello: object = {}): Promise<RawClient> {
    const client = await RawClient.open(target);
    client.send({ type: 'hello', versions: [1], client: { name: 'test' }, ...hello });
    await client.waitFor('snapshot', (snapshot) => !snapshot.more);
    return client;
  }

  /** The subprotocol the sidecar chose. */
  get subprotocol(): string {
    return this.#socket.protocol;
  }

  /** Sends an object as JSON, a text or bytes as they are. */
  send(message: object | string): void {
    const isRaw = typeof message === 'string' || Buffer.isBuffer(message);
    this.#socket.send(isRaw ? message : JSON.stringify(message));
  }

  /** The first frame of a type, past or to come, for which `wanted` holds. Rejects when the connection ends before. */
  async waitFor<T extends SidecarFrameType>(
    type: T,
    wanted: (frame: SidecarFrame<T>) => boolean = () => true,
  ): Promise<SidecarFrame<T>> {
    const isIt = (frame: SidecarFrame): frame is SidecarFrame<T> =>
      frame.type === type && wanted(frame as SidecarFrame<T>);
    const past = this.frames.find(isIt);
    if (past !== undefined) return past;
    let listener = (_frame: SidecarFrame): void => undefined;
    const found = new Promise<SidecarFrame<T>>((resolve) => {
      listener = (frame) => {
        if (isIt(frame)) resolve(frame);
      };
    });
    this.#listeners.add(listener);
    return Promise.race([found, this.#broken]).finally(() => this.#listeners.delete(listener));
  }

  /** Calls `listener` with every frame, those already received first. Returns how to stop that. */
  onFrame(listener: (frame: SidecarFrame) => void): () => void {
    this.frames.forEach(listener);
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Sends a request under an id of its own and waits for its reply. */
  async ask(type: RequestType, fields: object = {}): Promise<Reply> {
    const id = `r${++this.#requests}`;
    this.send({ type, id, ...fields });
    return this.waitFor('reply', (reply) => reply.id === id);
  }

  /** The result of a request that is to succeed. */
  async request<T extends RequestType>(type: T, fields: object = {}): Promise<Result<T>> {
    const reply = await this.ask(type, fields);
    if (!reply.ok) throw new Error(`${type} was refused: ${reply.error.code}: ${reply.error.message}`);
    return RESULT_SCHEMAS[type].parse(reply.result) as Result<T>;
  }

  /** The error of a request that is to fail. */
  async refused(type: RequestType, fields: object = {}) {
    const reply = await this.ask(type, fields);
    if (reply.ok) throw new Error(`${type} was not refused`);
    return reply.error;
  }

  /** Dispatches a script for the fake CLI, or a prompt. */
  async dispatch(executionId: string, prompt: string | FakeStep[], options: Partial<DispatchRequest> = {}) {
    return this.request('dispatch', { executionId, request: { prompt: promptOf(prompt), ...options } });
  }

  /** The code a dispatch is refused with. */
  async refusedDispatch(
    executionId: string,
    prompt: string | FakeStep[],
    options: Partial<DispatchRequest> = {},
  ): Promise<WireErrorCode> {
    const request = { prompt: promptOf(prompt), ...options };
    return (await this.refused('dispatch', { executionId, request })).code;
  }

  async outcome(executionId: string): Promise<Outcome> {
    return (await this.waitFor('outcome', (frame) => frame.outcome.executionId === executionId)).outcome;
  }

  async close(code = 1000): Promise<Closed> {
    this.#socket.close(code);
    return this.closed;
  }

  /** Resolves when everything sent so far has been dealt with, though perhaps not answered: that is done in order. */
  async settled(): Promise<void> {
    await this.request('status');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.terminate();
    await this.closed;
  }

  #onMessage(text: string): void {
    const decoded = decodeSidecarFrame(text);
    if (!decoded.ok) {
      this.#fail(new Error(`a frame breaks the protocol: ${decoded.error.message}: ${text.slice(0, 500)}`));
      return;
    }
    this.frames.push(decoded.frame);
    this.#listeners.forEach((listener) => listener(decoded.frame));
  }
}

function promptOf(prompt: string | FakeStep[]): string {
  return typeof prompt === 'string' ? prompt : fakeScript(prompt);
}
