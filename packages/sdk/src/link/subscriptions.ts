import {
  type Cursor,
  type ExecutionSummary,
  type Hello,
  LIMITS,
  type OutriggerError,
  type Result,
  type SidecarFrame,
  type Welcome,
  WireError,
} from '@outrigger/protocol';
import { sdkError } from '../errors.js';
import { type Logger } from '../logger.js';
import { type Fields } from './requests.js';

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

/** What subscriptions need of the link they belong to. */
export interface SubscriptionChannel {
  readonly logger: Logger;
  /** The connection that is ready; null: there is none. */
  ready(): object | null;
  call<T extends 'subscribe' | 'unsubscribe' | 'credit'>(type: T, fields: Fields<T>): Promise<Result<T>>;
  /** How an execution stands, as the answer to a subscription says. */
  onSummary(summary: ExecutionSummary): void;
}

type NamedCursor = NonNullable<Hello['cursors']>[number];

interface Entry {
  readonly subscriber: Subscriber;
  /** The connection it was opened on last. */
  connection: object | null;
}

/** The subscriptions of a link, by name. They outlive its connections. */
export class Subscriptions {
  readonly #channel: SubscriptionChannel;
  readonly #entries = new Map<string, Entry>();
  readonly #names = new Map<Subscriber, string>();
  /** What the last `hello` has opened. */
  #namedInHello: string[] = [];
  #nextName = 1;

  constructor(channel: SubscriptionChannel) {
    this.#channel = channel;
  }

  /** @throws `limit_exceeded` */
  add(subscriber: Subscriber): void {
    if (this.#entries.size >= LIMITS.subscriptionsPerConnectionMax) {
      throw sdkError('limit_exceeded', `more than ${LIMITS.subscriptionsPerConnectionMax} iterators of one agent`, {
        data: { limit: 'subscriptionsPerConnectionMax' },
      });
    }
    const name = `s${this.#nextName++}`;
    this.#entries.set(name, { subscriber, connection: null });
    this.#names.set(subscriber, name);
    this.#openMissing();
  }

  remove(subscriber: Subscriber): void {
    const open = this.#openName(subscriber);
    const name = this.#names.get(subscriber);
    if (name !== undefined) this.#entries.delete(name);
    this.#names.delete(subscriber);
    if (open !== null) this.#tell('unsubscribe', { subscription: open });
  }

  grant(subscriber: Subscriber, bytes: number): void {
    const open = this.#openName(subscriber);
    if (open !== null) this.#tell('credit', { subscription: open, bytes });
  }

  /** What `hello` opens on a connection that begins. */
  openInHello(connection: object): NamedCursor[] {
    this.#namedInHello = [...this.#entries.keys()];
    return [...this.#entries].map(([name, entry]) => restart(name, entry, connection));
  }

  /** The connection is ready. What could not be opened fails; what came and went meanwhile is made up for. */
  onGreeted(refused: Welcome['refused']): void {
    const refusedNames = new Set(refused.map(({ subscription }) => subscription));
    for (const { subscription, code, message } of refused) {
      this.#entries.get(subscription)?.subscriber.fail(new WireError(code, message));
    }
    for (const name of this.#namedInHello) {
      if (!this.#entries.has(name) && !refusedNames.has(name)) this.#tell('unsubscribe', { subscription: name });
    }
    this.#openMissing();
  }

  /** Hands a frame on. One for a subscription that was just closed goes nowhere. */
  route(frame: SubscriptionFrame): void {
    this.#entries.get(frame.subscription)?.subscriber.onFrame(frame);
  }

  failAll(error: OutriggerError): void {
    for (const { subscriber } of [...this.#entries.values()]) subscriber.fail(error);
  }

  /** Opens on the connection that is ready what is not open there yet. */
  #openMissing(): void {
    const connection = this.#channel.ready();
    if (connection === null) return;
    for (const [name, entry] of this.#entries) {
      if (entry.connection === connection) continue;
      this.#channel.call('subscribe', restart(name, entry, connection)).then(
        (summary) => this.#channel.onSummary(summary),
        // The next connection opens it anew.
        (error: unknown) => {
          if (this.#channel.ready() === connection) entry.subscriber.fail(error as OutriggerError);
        },
      );
    }
  }

  /** The name under which it is open on the connection that is ready. */
  #openName(subscriber: Subscriber): string | null {
    const name = this.#names.get(subscriber);
    const connection = this.#channel.ready();
    if (name === undefined || connection === null) return null;
    return this.#entries.get(name)?.connection === connection ? name : null;
  }

  #tell<T extends 'credit' | 'unsubscribe'>(type: T, fields: Fields<T>): void {
    this.#channel.call(type, fields).catch((error: unknown) => {
      this.#channel.logger.debug({ err: error }, `${type} was not taken`);
    });
  }
}

function restart(name: string, entry: Entry, connection: object): NamedCursor {
  entry.connection = connection;
  return { subscription: name, executionId: entry.subscriber.executionId, ...entry.subscriber.restart() };
}
