import {
  decodeClientFrame,
  LIMITS,
  type OutriggerError,
  type Reply,
  type Request,
  type RequestType,
  type Result,
  RESULT_SCHEMAS,
  WireError,
} from '@outrigger/protocol';
import { sdkError } from '../errors.js';

/** The fields of a request, without what every request has. */
export type Fields<T extends RequestType> = Omit<Request<T>, 'id' | 'type'>;

/** A request that was checked and has its text, which may hold a secret: never to be logged. */
export interface PreparedRequest<T extends RequestType = RequestType> {
  readonly id: string;
  readonly type: T;
  readonly text: string;
  /** Connections it was sent on. */
  timesSent: number;
}

interface Pending {
  readonly request: PreparedRequest;
  /** Whether it goes on with the next connection. */
  readonly isResent: boolean;
  readonly timer: NodeJS.Timeout;
  readonly resolve: (result: never) => void;
  readonly reject: (error: OutriggerError) => void;
}

/** Requests that have no answer yet. Each gets exactly one: the reply, its deadline, or the end of the link. */
export class Requests {
  readonly #pending = new Map<string, Pending>();
  readonly #timeoutMs: number;
  #nextId = 1;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Checks a request as the sidecar will. One that cannot even be decoded there would cost the connection, and every
   * connection after it, as it would be sent again.
   *
   * @throws `invalid`, `frame_too_large`
   */
  prepare<T extends RequestType>(type: T, fields: Fields<T>): PreparedRequest<T> {
    const id = `r${this.#nextId++}`;
    const text = stringify({ type, id, ...fields });
    const bytes = Buffer.byteLength(text);
    if (bytes > LIMITS.frameBytesMax) {
      throw sdkError('frame_too_large', `${type}: ${bytes} bytes, at most ${LIMITS.frameBytesMax} fit a frame`, {
        data: { bytes, bytesMax: LIMITS.frameBytesMax },
      });
    }
    const decoded = decodeClientFrame(text);
    if (!decoded.ok) throw sdkError('invalid', decoded.error.message, { data: { ...decoded.error.data } });
    return { id, type, text, timesSent: 0 };
  }

  /** Waits for the answer. Sending is the caller's. */
  add<T extends RequestType>(request: PreparedRequest<T>, { isResent }: { isResent: boolean }): Promise<Result<T>> {
    return new Promise((resolve, reject) => {
      const late = () => {
        this.#take(request.id);
        reject(sdkError('agent_unreachable', `${request.type}: no answer within ${this.#timeoutMs} ms`));
      };
      const timer = setTimeout(late, this.#timeoutMs);
      this.#pending.set(request.id, { request, isResent, timer, resolve, reject });
    });
  }

  answer(reply: Reply): void {
    const pending = this.#take(reply.id);
    // The deadline has passed and its caller was told.
    if (pending === undefined) return;
    if (!reply.ok) {
      pending.reject(new WireError(reply.error.code, reply.error.message, reply.error.data));
      return;
    }
    const { type } = pending.request;
    const result = RESULT_SCHEMAS[type].safeParse(reply.result);
    if (result.success) pending.resolve(result.data as never);
    else pending.reject(sdkError('protocol_error', `${type}: the answer is malformed: ${result.error.message}`));
  }

  /** What is to be sent again on a new connection, oldest first. */
  unanswered(): PreparedRequest[] {
    return [...this.#pending.values()].map((pending) => pending.request);
  }

  /** Fails what belongs to the connection that was lost. */
  connectionLost(error: OutriggerError): void {
    for (const { request, isResent } of [...this.#pending.values()]) {
      if (!isResent) this.#take(request.id)?.reject(error);
    }
  }

  close(error: OutriggerError): void {
    for (const id of [...this.#pending.keys()]) this.#take(id)?.reject(error);
  }

  #take(id: string): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    clearTimeout(pending?.timer);
    return pending;
  }
}

function stringify(frame: object): string {
  try {
    return JSON.stringify(frame);
  } catch (error) {
    // A cycle, a BigInt, or nesting deeper than the stack.
    throw sdkError('invalid', 'the request cannot be written as JSON', { cause: error });
  }
}
