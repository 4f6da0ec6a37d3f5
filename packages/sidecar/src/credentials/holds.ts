import { LIMITS, type SidecarFrame } from '@outrigger/protocol';
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

interface Need {
  readonly waiters: Set<Waiter>;
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
  readonly #needs = new Map<string, Need>();

  constructor(slot: CredentialSlot, onNeeded: (notice: Notice) => void) {
    this.#slot = slot;
    this.#onNeeded = onNeeded;
    slot.onChange((current) => this.#release(current));
  }

  /** Waits until a newer credential is in force; there must be none yet. Returns how to stop waiting. */
  enter(waiter: Waiter): () => void {
    const { refusal } = waiter;
    const model = refusal.scope === 'model' ? (refusal.model ?? '') : '';
    const key = `${refusal.generation ?? 'none'} ${refusal.reason} ${model}`;
    const known = this.#needs.get(key);
    // Who comes later is told what the provider said last, such as until when.
    const need = { waiters: known?.waiters ?? new Set(), notice: this.#describe(waiter) };
    need.waiters.add(waiter);
    this.#needs.set(key, need);
    if (known === undefined) this.#onNeeded(toNotice(need));
    return () => need.waiters.delete(waiter);
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
    needs.flatMap((need) => [...need.waiters]).forEach((waiter) => waiter.onRelease(current));
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
  const executions = [...new Set([...waiters].map((waiter) => waiter.executionId))];
  return { ...notice, executions: executions.slice(0, LIMITS.executionsNamedMax) };
}
