import { WireError } from '@outrigger/protocol';

/** Where the highest fence is remembered. */
export interface FenceMemory {
  readonly highest: number;
  note(fence: number): void;
}

/** Refuses what a host wants that another one has taken the place of: fences of leases only rise. */
export class Fence {
  readonly #memory: FenceMemory;
  #highest: number;

  constructor(memory: FenceMemory) {
    this.#memory = memory;
    this.#highest = memory.highest;
  }

  /** @param fence Undefined: the request is a user's own, and needs no lease. @throws WireError `stale_fence` */
  pass(fence: number | undefined): void {
    if (fence === undefined || fence === this.#highest) return;
    if (fence < this.#highest) {
      const message = `the lease of fence ${fence} is over; one of fence ${this.#highest} was seen`;
      throw new WireError('stale_fence', message, { fence: this.#highest });
    }
    this.#highest = fence;
    this.#memory.note(fence);
  }
}
