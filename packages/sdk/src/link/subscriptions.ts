import { type Cursor, type Hello, LIMITS, type OutriggerError, type SidecarFrame } from '@outrigger/protocol';
import { sdkError } from '../errors.js';

export type SubscriptionFrame = SidecarFrame<'output' | 'stderr' | 'gap'>;

/** Who reads a log through a subscription. */
export interface Subscriber {
  readonly executionId: string;
  /** A connection begins, or a new one: where to read from, and how much may come. */
  restart(): { from: Cursor; creditBytes: number };
  onFrame(frame: SubscriptionFrame): void;
  /** The subscription cannot go on. */
  fail(error: OutriggerError): void;
}

interface Entry {
  readonly subscriber: Subscriber;
  /** The connection it was opened on last. */
  connection: object | null;
  /** Whether a sidecar has taken it. Only such a one is re-opened in `hello`, where nothing could be refused. */
  isAccepted: boolean;
}

/** The subscriptions of a link, by name. They outlive its connections. */
export class Subscriptions {
  readonly #entries = new Map<string, Entry>();
  readonly #names = new Map<Subscriber, string>();
  #nextName = 1;

  /** @throws `limit_exceeded` */
  add(subscriber: Subscriber): void {
    if (this.#entries.size >= LIMITS.subscriptionsPerConnectionMax) {
      throw sdkError('limit_exceeded', `more than ${LIMITS.subscriptionsPerConnectionMax} iterators of one agent`, {
        data: { limit: 'subscriptionsPerConnectionMax' },
      });
    }
    const name = `s${this.#nextName++}`;
    this.#entries.set(name, { subscriber, connection: null, isAccepted: false });
    this.#names.set(subscriber, name);
  }

  /** @returns the name, if it is open on this connection and has to be closed there */
  remove(subscriber: Subscriber, connection: object | null): string | null {
    const name = this.openName(subscriber, connection);
    const known = this.#names.get(subscriber);
    if (known !== undefined) this.#entries.delete(known);
    this.#names.delete(subscriber);
    return name;
  }

  /** The name under which it is open on this connection. */
  openName(subscriber: Subscriber, connection: object | null): string | null {
    const name = this.#names.get(subscriber);
    if (name === undefined || connection === null) return null;
    return this.#entries.get(name)?.connection === connection ? name : null;
  }

  /** Re-opens what was open before. */
  cursors(connection: object): NonNullable<Hello['cursors']> {
    return [...this.#entries].filter(([, entry]) => entry.isAccepted).map(([name]) => this.#restart(name, connection));
  }

  /** Opens on this connection what is not open there yet. */
  openMissing(connection: object): NonNullable<Hello['cursors']> {
    return [...this.#entries]
      .filter(([, entry]) => entry.connection !== connection)
      .map(([name]) => this.#restart(name, connection));
  }

  accepted(name: string): void {
    const entry = this.#entries.get(name);
    if (entry) entry.isAccepted = true;
  }

  /** Hands a frame on. One for a subscription that was just closed goes nowhere. */
  route(frame: SubscriptionFrame): void {
    this.#entries.get(frame.subscription)?.subscriber.onFrame(frame);
  }

  failNamed(name: string, error: OutriggerError): void {
    this.#entries.get(name)?.subscriber.fail(error);
  }

  failExecution(executionId: string, error: OutriggerError): void {
    for (const { subscriber } of [...this.#entries.values()]) {
      if (subscriber.executionId === executionId) subscriber.fail(error);
    }
  }

  failAll(error: OutriggerError): void {
    for (const { subscriber } of [...this.#entries.values()]) subscriber.fail(error);
  }

  #restart(name: string, connection: object): NonNullable<Hello['cursors']>[number] {
    const entry = this.#entries.get(name);
    if (entry === undefined) throw new Error(`no subscription ${name}`);
    entry.connection = connection;
    return { subscription: name, executionId: entry.subscriber.executionId, ...entry.subscriber.restart() };
  }
}
