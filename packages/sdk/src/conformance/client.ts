import {
  type ClientFrame,
  decodeSidecarFrame,
  type Hello,
  type Reply,
  type RequestType,
  type Result,
  RESULT_SCHEMAS,
  type SidecarFrame,
  type SidecarFrameType,
  type WireErrorCode,
} from '@outrigger/protocol';
import { type RawData, type WebSocket } from 'ws';
import { demand, show, Violation } from './check.js';
import { ANSWER_MS_MAX } from './limits.js';

export { type Hello };

/** The type of a request with the fields it needs; `id` is chosen here. */
type Fields<T extends RequestType> = Omit<Extract<ClientFrame, { type: T }>, 'type' | 'id'>;

/** A connection that speaks frames as they are. A frame that breaks its schema is a violation of whatever is waited for. */
export class WireClient {
  /** Everything received so far, oldest first, but for frames of types this version does not know. */
  readonly frames: SidecarFrame[] = [];
  readonly #socket: WebSocket;
  readonly #checks = new Set<() => void>();
  /** Undefined: it is open. */
  #closedWith: number | undefined;
  #broken: Violation | undefined;
  #requests = 0;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('error', () => undefined);
    socket.on('message', (data: RawData, isBinary) => this.#onMessage(data, isBinary));
    socket.on('close', (code) => {
      this.#closedWith = code;
      this.#look();
    });
  }

  get subprotocol(): string {
    return this.#socket.protocol;
  }

  get extensions(): string {
    return this.#socket.extensions;
  }

  send(message: object | string | Buffer): void {
    this.#socket.send(typeof message === 'string' || Buffer.isBuffer(message) ? message : JSON.stringify(message));
  }

  async greet(hello: Partial<Hello> = {}): Promise<void> {
    this.send({ type: 'hello', versions: [1], client: { name: 'outrigger-conformance' }, ...hello });
    await this.waitFor('snapshot', 'the last page of the snapshot', (page) => !page.more);
  }

  /** The first frame of a type, past or to come, that is `wanted`. @throws Violation when none comes */
  async waitFor<T extends SidecarFrameType>(
    type: T,
    what: string,
    wanted: (frame: SidecarFrame<T>) => boolean = () => true,
    withinMs = ANSWER_MS_MAX,
  ): Promise<SidecarFrame<T>> {
    const isIt = (frame: SidecarFrame): frame is SidecarFrame<T> =>
      frame.type === type && wanted(frame as SidecarFrame<T>);
    const isThere = () => this.frames.some(isIt);
    await this.#until(() => isThere() || this.#closedWith !== undefined, what, withinMs);
    const found = this.frames.find(isIt);
    demand(found !== undefined, `the connection was closed with ${this.#closedWith ?? 0} instead of ${what}`);
    return found;
  }

  /** Resolves when `isMet`, which is asked after every frame. @throws Violation when that does not come about */
  async until(what: string, isMet: () => boolean, withinMs = ANSWER_MS_MAX): Promise<void> {
    await this.#until(() => isMet() || this.#closedWith !== undefined, what, withinMs);
    demand(isMet(), `the connection was closed with ${this.#closedWith ?? 0} before ${what}`);
  }

  /** @throws Violation when it is not closed with this code, after an `error` with this one */
  async isClosed(code: number, errorCode: string): Promise<void> {
    await this.#until(() => this.#closedWith !== undefined, `a close with ${code}`, ANSWER_MS_MAX);
    demand(this.#closedWith === code, `it was closed with ${this.#closedWith ?? 0}, not with ${code}`);
    const last = this.frames.at(-1);
    const isSaid = last?.type === 'error' && last.code === errorCode;
    demand(isSaid, `no error "${errorCode}" came before the close, but ${show(last)}`);
  }

  /** Sends a request of any kind and waits for the reply under its id. */
  async ask(type: string, fields: object = {}): Promise<Reply> {
    const id = `c${++this.#requests}`;
    this.send({ type, id, ...fields });
    return this.waitFor('reply', `a reply to ${type}`, (reply) => reply.id === id);
  }

  /** The result of a request that is to succeed. */
  async request<T extends RequestType>(type: T, fields: Fields<T>): Promise<Result<T>> {
    const reply = await this.ask(type, fields);
    demand(reply.ok, `${type} was refused: ${show(reply)}`);
    const result = RESULT_SCHEMAS[type].safeParse(reply.result);
    demand(result.success, `the result of ${type} is not as section 4 has it: ${show(reply.result)}`);
    return result.data as Result<T>;
  }

  /** The error of a request that is to be refused with this code. */
  async refused(code: WireErrorCode, type: string, fields: object = {}) {
    const reply = await this.ask(type, fields);
    demand(!reply.ok && reply.error.code === code, `${type} was not refused with ${code}: ${show(reply)}`);
    return reply.error;
  }

  async pong(): Promise<void> {
    let hasCome = false;
    this.#socket.once('pong', () => {
      hasCome = true;
      this.#look();
    });
    this.#socket.ping();
    await this.until('a pong', () => hasCome);
  }

  drop(): void {
    this.#socket.terminate();
  }

  #onMessage(data: RawData, isBinary: boolean): void {
    const text = (data as Buffer).toString();
    const decoded = decodeSidecarFrame(text);
    if (decoded.ok && !isBinary) this.frames.push(decoded.frame);
    else if (decoded.ok || decoded.error.code !== 'unknown_type') {
      const why = decoded.ok ? 'it is binary' : decoded.error.message;
      this.#broken ??= new Violation(`a frame breaks section 5: ${why}: ${show(text)}`);
    }
    this.#look();
  }

  #look(): void {
    this.#checks.forEach((check) => check());
  }

  async #until(isMet: () => boolean, what: string, withinMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    let check = (): void => undefined;
    await new Promise<void>((resolve, reject) => {
      check = () => {
        if (this.#broken !== undefined) reject(this.#broken);
        try {
          if (isMet()) resolve();
        } catch (violation) {
          // Found while waiting: it is thrown where it is waited for, not where the frame came in.
          reject(violation instanceof Error ? violation : new Error(String(violation)));
        }
      };
      timer = setTimeout(() => reject(new Violation(`${what} did not come within ${withinMs} ms`)), withinMs);
      this.#checks.add(check);
      check();
    }).finally(() => {
      clearTimeout(timer);
      this.#checks.delete(check);
    });
  }
}
