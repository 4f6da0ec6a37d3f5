import { type Hello, LIMITS, WireError } from '@outrigger/protocol';
import { type Supervisor } from '../supervision/supervisor.js';
import { Subscription, type SubscriptionOptions } from './subscription.js';

export type SubscriptionRequest = NonNullable<Hello['cursors']>[number];

export interface SubscriptionsOptions extends Pick<SubscriptionOptions, 'redactor' | 'hasRoom' | 'send' | 'onFailed'> {
  readonly supervisor: Supervisor;
}

/** The subscriptions of one connection, by name. */
export class Subscriptions {
  readonly #options: SubscriptionsOptions;
  readonly #byName = new Map<string, Subscription>();

  constructor(options: SubscriptionsOptions) {
    this.#options = options;
  }

  /**
   * A name that is in use is moved to the new cursor, so that a repeated request does no harm.
   *
   * @throws WireError `unknown_execution`, `invalid` for a cursor that lies outside the logs, `limit_exceeded`
   */
  open({ subscription: name, executionId, from, creditBytes }: SubscriptionRequest): void {
    const { supervisor, ...channel } = this.#options;
    const before = this.#byName.get(name);
    if (before === undefined && this.#byName.size >= LIMITS.subscriptionsPerConnectionMax) {
      throw new WireError('limit_exceeded', `more than ${LIMITS.subscriptionsPerConnectionMax} subscriptions`, {
        limit: 'subscriptionsPerConnectionMax',
      });
    }
    const subscription = new Subscription({ ...channel, name, run: supervisor.run(executionId), from, creditBytes });
    before?.close();
    this.#byName.set(name, subscription);
  }

  /** @throws WireError `unknown_subscription` */
  get(name: string): Subscription {
    const subscription = this.#byName.get(name);
    if (subscription === undefined) {
      throw new WireError('unknown_subscription', `the connection has no subscription ${name}`);
    }
    return subscription;
  }

  /** @throws WireError `unknown_subscription` */
  close(name: string): void {
    this.get(name).close();
    this.#byName.delete(name);
  }

  resumeAll(): void {
    this.#byName.forEach((subscription) => subscription.resume());
  }

  closeAll(): void {
    this.#byName.forEach((subscription) => subscription.close());
    this.#byName.clear();
  }
}
