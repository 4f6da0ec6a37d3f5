import { randomUUID } from 'node:crypto';
import { foldPool } from '../core/pool/fold.js';
import { EMPTY_POOL, type PoolEvent, type PoolPolicy, type PoolState } from '../core/pool/state.js';
import { type Logger } from '../logger.js';
import { type Store } from '../store/store.js';

const DOCUMENT = 'credentials';

/** Between tries when the store fails. Milliseconds, up to so much. */
const RETRY_MS = 500;
/** The same when another host was faster: as long as a few more of its writes take. */
const OVERTAKEN_MS = 20;

/** What came of a try: the events are taken, another host was faster, or the store has failed. */
type Try = 'taken' | 'overtaken' | 'failed';

export interface SharedPoolOptions {
  readonly store: Store;
  readonly policy: PoolPolicy;
  readonly logger: Logger;
  /** What this host knows of credentials, for a store that knows nothing any more. */
  readonly ownCredentials: () => readonly PoolEvent[];
  /** What holds now has been read or written; `before` is what this host knew until then. */
  readonly onChange: (before: PoolState, after: PoolState, isOwn: boolean) => void;
}

/** The pool's state in the store. Events are taken in their order, many at once, and none is lost while the host lives. */
export class SharedPool {
  readonly #options: SharedPoolOptions;
  #state: PoolState = EMPTY_POOL;
  #waiting: { event: PoolEvent; done: () => void }[] = [];
  #isBusy = false;
  #isClosed = false;

  constructor(options: SharedPoolOptions) {
    this.#options = options;
  }

  /** As it was read or written last. */
  get state(): PoolState {
    return this.#state;
  }

  /** Resolves when the event is taken. */
  take(event: PoolEvent): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ event, done: resolve });
      void this.#work();
    });
  }

  close(): void {
    this.#isClosed = true;
    for (const { done } of this.#waiting) done();
    this.#waiting = [];
  }

  async #work(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    while (this.#waiting.length > 0 && !this.#isClosed) {
      const batch = [...this.#waiting];
      const came = await this.#try(batch.map(({ event }) => event));
      if (came === 'taken') {
        this.#waiting = this.#waiting.slice(batch.length);
        for (const { done } of batch) done();
      } else {
        const upToMs = came === 'overtaken' ? OVERTAKEN_MS : RETRY_MS;
        await new Promise((resolve) => setTimeout(resolve, upToMs * Math.random()));
      }
    }
    this.#isBusy = false;
  }

  async #try(events: readonly PoolEvent[]): Promise<Try> {
    const { store, policy, ownCredentials, logger, onChange } = this.#options;
    try {
      const { value, version: ifVersion } = await store.readDocument(DOCUMENT);
      const present = isPool(value) ? value : EMPTY_POOL;
      const missed = isPool(value) ? [] : ownCredentials();
      const nowMs = Date.now();
      const next = [...missed, ...events, { is: 'tick' } as const].reduce(
        (pool, event) => foldPool(pool, event, nowMs, policy),
        present,
      );
      const isOwn = next !== present;
      if (isOwn && !(await store.writeDocument(DOCUMENT, { value: next, ifVersion, version: randomUUID() }))) {
        return 'overtaken';
      }
      const before = isOwn ? present : this.#state;
      this.#state = next;
      onChange(before, next, isOwn);
      return 'taken';
    } catch (error) {
      logger.warn({ err: error }, 'the pool of credentials cannot be read or written');
      return 'failed';
    }
  }
}

/** What is garbage counts as nothing, and is replaced. */
function isPool(value: unknown): value is PoolState {
  if (typeof value !== 'object' || value === null) return false;
  return 'credentials' in value && 'agents' in value && 'exhausted' in value;
}
