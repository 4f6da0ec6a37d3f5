import { EventEmitter } from 'node:events';
import { type Credential, LIMITS, type Preflight, type SidecarFrame } from '@outrigger/protocol';
import { Fence, type FenceMemory } from './fence.js';
import { Holds, type HoldsHooks } from './holds.js';
import { CredentialSlot, type Generations } from './slot.js';

export type CredentialNotice = SidecarFrame<'credential_needed' | 'credential_changed' | 'rate_limit'>;

/** The agent's credential, and everything hosts are told about it. */
export class Credentials extends EventEmitter<{ notice: [notice: CredentialNotice] }> {
  /** Whether Claude Code's requests go through the gateway, or it is given the credential itself. */
  readonly mode: 'gateway' | 'env';
  readonly slot: CredentialSlot;
  readonly holds: Holds;
  readonly fence: Fence;
  #askPreflight: (maxAgeMs: number) => Promise<Preflight> = () => Promise.resolve({ verdict: 'unknown' });

  constructor(
    mode: 'gateway' | 'env',
    standing: Credential | null,
    {
      generations,
      fence = { highest: 0, note: () => undefined },
      onHoldEnded: onEnded = () => undefined,
    }: { generations?: Generations; fence?: FenceMemory; onHoldEnded?: HoldsHooks['onEnded'] } = {},
  ) {
    super();
    this.setMaxListeners(0);
    this.mode = mode;
    this.slot = new CredentialSlot(standing, generations);
    this.fence = new Fence(fence);
    this.slot.onChange(({ generation, credential: { id, kind } }) => {
      this.emit('notice', { type: 'credential_changed', at: Date.now(), generation, credentialId: id, kind });
    });
    this.holds = new Holds(this.slot, (notice) => this.emit('notice', notice), { onEnded });
  }

  /** What `welcome` and `status` say. */
  get identity(): { credentialMode: 'gateway' | 'env'; generation: number | null; credentialId: string | null } {
    const { current, generation } = this.slot;
    return { credentialMode: this.mode, generation, credentialId: current?.credential.id ?? null };
  }

  /** @param ask Finds out whether the credential in force is good. Must not reject. */
  onPreflight(ask: (maxAgeMs: number) => Promise<Preflight>): void {
    this.#askPreflight = ask;
  }

  /** Whether the credential in force is good, as far as can be told within seconds. Never rejects. */
  preflight(maxAgeMs: number = LIMITS.preflightMaxAgeMs): Promise<Preflight> {
    return this.#askPreflight(maxAgeMs);
  }
}
