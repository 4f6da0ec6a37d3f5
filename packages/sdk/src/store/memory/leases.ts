import { sdkError } from '../../errors.js';
import { type Claimant, type Store } from '../store.js';

interface Lease {
  readonly fence: number;
  readonly holder: string;
  readonly untilMs: number;
}

/** Leases on agents, and when they were seen, within the process. */
export class Leases implements Pick<
  Store,
  'touchAgent' | 'unseenForMs' | 'agents' | 'dropAgent' | 'acquireLease' | 'releaseLease'
> {
  readonly #leases = new Map<string, Lease>();
  readonly #seenAtMs = new Map<string, number>();
  /** As high as a store made earlier can have issued; sidecars remember. */
  #lastFence = Date.now() * 1000;

  touchAgent(agentId: string): Promise<void> {
    this.#seenAtMs.set(agentId, performance.now());
    return Promise.resolve();
  }

  unseenForMs(agentId: string): Promise<number | null> {
    const seenAtMs = this.#seenAtMs.get(agentId);
    return Promise.resolve(seenAtMs === undefined ? null : performance.now() - seenAtMs);
  }

  agents(): Promise<string[]> {
    return Promise.resolve([...this.#seenAtMs.keys()]);
  }

  dropAgent(agentId: string): Promise<void> {
    this.#seenAtMs.delete(agentId);
    return Promise.resolve();
  }

  acquireLease(agentId: string, { holder, ttlMs }: Claimant, above = 0): Promise<number | null> {
    const present = this.#current(agentId);
    if (present !== undefined && present.holder !== holder) return Promise.resolve(null);
    const isProlonged = present !== undefined && present.fence > above;
    if (!isProlonged) this.#lastFence = Math.max(this.#lastFence, above) + 1;
    const fence = isProlonged ? present.fence : this.#lastFence;
    this.#leases.set(agentId, { fence, holder, untilMs: performance.now() + ttlMs });
    return Promise.resolve(fence);
  }

  releaseLease(agentId: string, fence: number): Promise<void> {
    if (this.#leases.get(agentId)?.fence === fence) this.#leases.delete(agentId);
    return Promise.resolve();
  }

  /** @throws `stale_fence` when the lease is not held under it any more */
  check(agentId: string, fence: number): void {
    if (this.#current(agentId)?.fence === fence) return;
    throw sdkError('stale_fence', `the lease on agent ${agentId} is not held under fence ${fence} any more`);
  }

  #current(agentId: string): Lease | undefined {
    const lease = this.#leases.get(agentId);
    return lease !== undefined && lease.untilMs > performance.now() ? lease : undefined;
  }
}
