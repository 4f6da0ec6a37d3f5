import { type HoldReason, LIMITS, type SidecarFrame } from '@outrigger/protocol';
import { monotonicMs } from '../clock.js';
import { type Refusal } from '../core/lifecycle-state.js';
import { type CredentialInForce, type CredentialSlot } from './slot.js';

/** Why a credential is refused, and for what. */
export interface DetailedRefusal extends Refusal {
  readonly window?: string | undefined;
  /** `model`: the credential is good for other models. */
  readonly scope: 'credential' | 'model';
  readonly model?: string | undefined;
}

/** Something of an execution that waits for another credential than the one that was refused. */
export interface Waiter {
  readonly executionId: string;
  readonly refusal: DetailedRefusal;
  readonly onRelease: (current: CredentialInForce) => void;
}

type Notice = SidecarFrame<'credential_needed'>;

export interface HoldsHooks {
  /** Something does not wait any more, be it that it was released or that it has given up. */
  readonly onEnded: (reason: HoldReason, afterMs: number) => void;
}

interface Need {
  /** Each with since when it waits. */
  readonly waiters: Map<Waiter, number>;
  readonly notice: Omit<Notice, 'executions'>;
}

export const NO_CREDENTIAL: DetailedRefusal = {
  generation: null,
  reason: 'credential_missing',
  message: 'the agent has no credential',
  scope: 'credential',
};

/** Who waits for a credential, and what the hosts are told of it: once for each generation and reason. */
export class Holds {
  readonly #slot: CredentialSlot;
  readonly #onNeeded: (notice: Notice) => void;
  readonly #onEnded: HoldsHooks['onEnded'];
  readonly #needs = new Map<string, Need>();

  constructor(slot: CredentialSlot, onNeeded: (notice: Notice) => void, { onEnded }: Partial<HoldsHooks> = {}) {
    this.#slot = slot;
    this.#onNeeded = onNeeded;
    this.#onEnded = onEnded ?? (() => undefined);
    slot.onChange((current) => this.#release(current));
  }

  /** Waits until a newer credential is in force; there must be none yet. Returns how to stop waiting. */
  enter(waiter: Waiter): () => void {
    const { refusal } = waiter;
    const model = refusal.scope === 'model' ? (refusal.model ?? '') : '';
    const key = `${refusal.generation ?? 'none'} ${refusal.reason} ${model}`;
    const known = this.#needs.get(key);
    // Who comes later is told what the provider said last, such as until when.
    const need = { waiters: known?.waiters ?? new Map<Waiter, number>(), notice: this.#describe(waiter) };
    need.waiters.set(waiter, monotonicMs());
    this.#needs.set(key, need);
    if (known === undefined) this.#onNeeded(toNotice(need));
    return () => this.#leave(need, waiter);
  }

  /** What a host that has just come is to be told. */
  pending(): Notice[] {
    return [...this.#needs.values()].filter((need) => need.waiters.size > 0).map(toNotice);
  }

  /** How many wait. */
  get size(): number {
    return [...this.#needs.values()].reduce((sum, need) => sum + need.waiters.size, 0);
  }

  #release(current: CredentialInForce): void {
    const needs = [...this.#needs.values()];
    this.#needs.clear();
    for (const need of needs) {
      for (const waiter of [...need.waiters.keys()]) {
        this.#leave(need, waiter);
        waiter.onRelease(current);
      }
    }
  }

  #leave({ waiters }: Need, waiter: Waiter): void {
    const since = waiters.get(waiter);
    if (since === undefined) return;
    waiters.delete(waiter);
    this.#onEnded(waiter.refusal.reason, monotonicMs() - since);
  }

  #describe({ refusal }: Waiter): Need['notice'] {
    const { generation, reason, message, retryAt, window, scope, model } = refusal;
    return {
      type: 'credential_needed',
      at: Date.now(),
      generation,
      credentialId: this.#slot.current?.credential.id ?? null,
      reason,
      message,
      scope,
      ...(retryAt === undefined ? {} : { retryAt }),
      ...(window === undefined ? {} : { window }),
      ...(model === undefined ? {} : { model }),
    };
  }
}

function toNotice({ waiters, notice }: Need): Notice {
  const executions = [...new Set([...waiters.keys()].map((waiter) => waiter.executionId))];
  return { ...notice, executions: executions.slice(0, LIMITS.executionsNamedMax) };
}
