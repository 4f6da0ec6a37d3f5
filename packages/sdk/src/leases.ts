import { type Store } from './store/store.js';

/** How long a host may take for what it does on an agent. */
const LEASE_MS = 30_000;

/** Leases of agents, taken by one thing at a time within this host. */
export class AgentLeases {
  readonly #store: Store;
  readonly #holder: string;
  readonly #last = new Map<string, Promise<unknown>>();

  /** @param holder Names this host. */
  constructor(store: Store, holder: string) {
    this.#store = store;
    this.#holder = holder;
  }

  /**
   * Does `work` while no other host acts on the agent.
   *
   * @param above A fence that an agent has seen, if this host's was too low for it.
   * @returns null: another host has the lease, and nothing was done
   */
  async run<T>(agentId: string, work: (fence: number) => Promise<T>, above = 0): Promise<{ result: T } | null> {
    const before = this.#last.get(agentId) ?? Promise.resolve();
    const done = before.then(() => this.#run(agentId, work, above));
    const settled = done.catch(() => undefined);
    this.#last.set(agentId, settled);
    void settled.then(() => {
      if (this.#last.get(agentId) === settled) this.#last.delete(agentId);
    });
    return done;
  }

  async #run<T>(agentId: string, work: (fence: number) => Promise<T>, above: number): Promise<{ result: T } | null> {
    const fence = await this.#store.acquireLease(agentId, { holder: this.#holder, ttlMs: LEASE_MS }, above);
    if (fence === null) return null;
    try {
      return { result: await work(fence) };
    } finally {
      // One that is not given back passes by itself.
      await this.#store.releaseLease(agentId, fence).catch(() => undefined);
    }
  }
}
