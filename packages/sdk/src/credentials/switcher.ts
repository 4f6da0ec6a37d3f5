import { type Credential, WireError } from '@outrigger/protocol';
import { type CredentialSwitched } from '../events.js';
import { type Ledger } from '../ledger.js';
import { type AgentLeases } from '../leases.js';
import { type Logger } from '../logger.js';
import { type SharedPool } from './shared-pool.js';
import { type Vault } from './vault.js';

export interface SwitcherOptions {
  readonly leases: AgentLeases;
  readonly ledgers: ReadonlyMap<string, Ledger>;
  readonly vault: Vault;
  readonly shared: SharedPool;
  /** This host has given an agent another credential. */
  readonly onSwitched: (event: CredentialSwitched) => void;
  readonly logger: Logger;
}

/** How soon it is tried again to give an agent what it is to have, and looked whether another host has found something. */
const AGAIN_MS = 300;

/** Gives agents the credentials that the pool says they are to have. */
export class Switcher {
  readonly #options: SwitcherOptions;
  /** Agents that are being given a credential. */
  readonly #switching = new Map<string, Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: SwitcherOptions) {
    this.#options = options;
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  /** Gives every agent that this host reaches what it is to have. */
  converge(): void {
    clearTimeout(this.#timer);
    let isAgain = false;
    const { shared, ledgers } = this.#options;
    for (const [agentId, { wanted, need, isPinned }] of Object.entries(shared.state.agents)) {
      const ledger = ledgers.get(agentId);
      if (ledger?.isReady !== true || isPinned) continue;
      if (wanted !== undefined) void this.#switch(ledger);
      if (wanted !== undefined || need !== undefined) isAgain = true;
    }
    // Another host may find something for an agent that waits, and this one may be the only one that reaches it.
    if (isAgain && !this.#isClosed) {
      this.#timer = setTimeout(() => void shared.take({ is: 'tick' }), AGAIN_MS * (0.5 + Math.random()));
      this.#timer.unref();
    }
  }

  async #switch(ledger: Ledger): Promise<void> {
    try {
      await this.switchNow(ledger);
    } catch (error) {
      const { agentId } = ledger;
      this.#options.logger.warn({ agentId, err: error }, 'an agent was not given another credential');
    }
  }

  /** Gives an agent what it is to have; resolves when that is done, or cannot be. */
  switchNow(ledger: Ledger): Promise<void> {
    const { agentId } = ledger;
    const present = this.#switching.get(agentId);
    if (present !== undefined) return present;
    const switching = this.#give(ledger).finally(() => this.#switching.delete(agentId));
    this.#switching.set(agentId, switching);
    return switching;
  }

  async #give(ledger: Ledger): Promise<void> {
    const { agentId } = ledger;
    const { shared, vault, logger, onSwitched } = this.#options;
    const { agents, credentials } = shared.state;
    const { wanted, credentialId: from = null } = agents[agentId] ?? {};
    const fingerprint = wanted && credentials[wanted.credentialId]?.fingerprint;
    if (wanted === undefined || fingerprint === undefined) return;
    const credential = await vault.find(wanted.credentialId, fingerprint);
    if (credential === undefined) {
      // Another host has it.
      logger.debug({ agentId, credentialId: wanted.credentialId }, 'this host has not got the secret');
      return;
    }
    const swapped = await this.#swap(ledger, credential, wanted.replaces);
    if (swapped === null) return;
    const { journalId = '' } = ledger;
    const inForce = { agentId, journalId, generation: swapped.generation, credentialId: credential.id };
    await shared.take({ is: 'agent', ...inForce, fingerprint });
    if (!swapped.changed) return;
    const event = { agentId, from, to: credential.id, generation: swapped.generation, reason: wanted.why };
    logger.info(event, 'an agent was given another credential');
    onSwitched(event);
  }

  /** @returns null when somebody else was faster, or has the lease */
  async #swap(
    ledger: Ledger,
    credential: Credential,
    ifGeneration: number | null,
    above = 0,
  ): Promise<{ generation: number; changed: boolean } | null> {
    const { leases, shared } = this.#options;
    const { agentId, link } = ledger;
    try {
      const swapped = await leases.run(
        agentId,
        (fence) => link.callNow('swap_credential', { credential, ifGeneration, fence }),
        above,
      );
      return swapped?.result ?? null;
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      const { fence } = error.data;
      // A store that was set back issues fences the agent has seen higher ones of.
      if (error.code === 'stale_fence' && above === 0 && typeof fence === 'number') {
        return this.#swap(ledger, credential, ifGeneration, fence);
      }
      if (error.code !== 'stale_generation') throw error;
      const { generation, credentialId } = await link.callNow('status', {});
      const { journalId = '' } = ledger;
      await shared.take({ is: 'agent', agentId, journalId, generation, credentialId });
      return null;
    }
  }
}
