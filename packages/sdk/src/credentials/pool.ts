import { type CredentialKind } from '@outrigger/protocol';
import { needsConfirmation } from '../core/pool/fold.js';
import { type Standing, standingOf, utilizationOf } from '../core/pool/choose.js';
import { type Fault, type PoolEvent, type PoolPolicy, type PoolState } from '../core/pool/state.js';
import { sdkError } from '../errors.js';
import { type CredentialNotice, type FleetEvents } from '../events.js';
import { type Ledger } from '../ledger.js';
import { type AgentLeases } from '../leases.js';
import { type Logger } from '../logger.js';
import { type Store } from '../store/store.js';
import { ExpiryWarnings } from './expiry-warnings.js';
import { SharedPool } from './shared-pool.js';
import { Switcher } from './switcher.js';
import { fingerprintOf, type PooledCredential, type ResolveCredential, Vault } from './vault.js';

/** A credential of the pool, without its secret. Times are epoch ms. */
export interface CredentialInfo {
  id: string;
  kind: CredentialKind;
  expiresAt?: number;
  standing: Standing;
  /** What is held against it. */
  fault?: Fault;
  /** The fraction used of the limit that is used most. */
  utilization: number;
  /** Agents that have it, or are about to. */
  agents: string[];
}

/** A credential by its name alone: `resolveCredential` has the rest. */
export interface CredentialName {
  id: string;
  maxExecutions?: number;
}

export interface CredentialPoolOptions {
  readonly store: Store;
  readonly leases: AgentLeases;
  readonly ledgers: ReadonlyMap<string, Ledger>;
  readonly policy: PoolPolicy;
  readonly warnBeforeMs: readonly number[];
  readonly resolveCredential: ResolveCredential | undefined;
  readonly logger: Logger;
  readonly emit: <K extends PoolEventName>(name: K, event: FleetEvents[K][0]) => void;
}

type PoolEventName = 'credentialSwitched' | 'credentialsExhausted' | 'credentialExpiring';

/** How long who changes the pool waits for the store. */
const WRITTEN_WITHIN_MS = 10_000;

/** The credentials of a fleet, and which agent has which; shared with every host of the same store, but for the secrets. */
export class CredentialPool {
  readonly #options: CredentialPoolOptions;
  readonly #vault: Vault;
  readonly #shared: SharedPool;
  readonly #warnings: ExpiryWarnings;
  readonly #switcher: Switcher;

  /** @internal */
  constructor(options: CredentialPoolOptions) {
    this.#options = options;
    const { store, policy, logger, emit } = options;
    this.#vault = new Vault(options.resolveCredential);
    this.#warnings = new ExpiryWarnings(options.warnBeforeMs, (warning) => emit('credentialExpiring', warning));
    this.#shared = new SharedPool({
      ...{ store, policy, logger },
      ownCredentials: () => this.#vault.known.map(putOf),
      onChange: (before, after, isOwn) => this.#onChange(before, after, isOwn),
    });
    const { leases, ledgers } = options;
    this.#switcher = new Switcher({
      ...{ leases, ledgers, logger, vault: this.#vault, shared: this.#shared },
      onSwitched: (event) => emit('credentialSwitched', event),
    });
  }

  /**
   * Adds a credential, or replaces the one of that id. Agents that have its old secret are given the new one, and whatever waits
   * for a credential goes on. The secret stays in this host's memory, and goes to agents alone.
   *
   * @throws `invalid`; `unknown_credential` for a name alone that `resolveCredential` does not know, or what that throws;
   * `store_unavailable`: it counts once the store is back
   */
  async put(credential: PooledCredential | CredentialName): Promise<void> {
    const known = 'secret' in credential ? this.#vault.put(credential) : await this.#fetch(credential);
    await this.#inTime(this.#shared.take(putOf(known)));
  }

  /**
   * Adds those a fleet begins with. Resolves when those that are kept elsewhere were fetched. @internal
   *
   * @throws `invalid` at once; rejects with `unknown_credential`, or what `resolveCredential` throws
   */
  load(credentials: readonly (PooledCredential | CredentialName)[]): Promise<void> {
    const names: CredentialName[] = [];
    for (const credential of credentials) {
      if ('secret' in credential) void this.#shared.take(putOf(this.#vault.put(credential)));
      else names.push(credential);
    }
    return this.#loadNamed(names);
  }

  /** Takes a credential out. Agents that have it are given another one, as far as there is one. */
  async remove(id: string): Promise<void> {
    this.#vault.remove(id);
    await this.#inTime(this.#shared.take({ is: 'removed', id }));
  }

  /** Every credential, as it stands. */
  async list(): Promise<CredentialInfo[]> {
    await this.#inTime(this.#shared.take({ is: 'tick' }));
    return this.known();
  }

  /** The same as this host has heard last: it asks nobody, so it is cheap and never fails. */
  known(): CredentialInfo[] {
    const { credentials, agents } = this.#shared.state;
    return Object.entries(credentials).map(([id, credential]) => {
      const { kind, expiresAt, fault } = credential;
      const nowMs = Date.now();
      const having = Object.entries(agents).filter(
        ([, agent]) => (agent.wanted?.credentialId ?? agent.credentialId) === id,
      );
      return {
        ...{ id, kind, standing: standingOf(credential, nowMs), utilization: utilizationOf(credential, nowMs) },
        ...(expiresAt !== undefined && { expiresAt }),
        ...(fault !== null && { fault }),
        agents: having.map(([agentId]) => agentId),
      };
    });
  }

  /** How many executions may use the credential in force on an agent. @internal */
  limitOf(agentId: string): { id: string; max: number } | null {
    const id = this.#options.ledgers.get(agentId)?.credential.credentialId ?? null;
    const max = id === null ? undefined : this.#vault.maxOf(id);
    return id === null || max === undefined ? null : { id, max };
  }

  /** Ids of the credentials that have such a limit. @internal */
  limited(): string[] {
    return this.#vault.known.filter(({ maxExecutions }) => maxExecutions !== undefined).map(({ id }) => id);
  }

  /** A connection has begun. @internal */
  async onReady(ledger: Ledger): Promise<void> {
    if (!this.#vault.isEmpty) await this.#shared.take(agentEvent(ledger));
  }

  /** @internal */
  async onNotice(ledger: Ledger, notice: CredentialNotice): Promise<void> {
    if (this.#vault.isEmpty) return;
    switch (notice.type) {
      case 'credential_changed':
        await this.#shared.take(agentEvent(ledger));
        return;
      case 'rate_limit':
        await this.#shared.take({ is: 'limits', credentialId: notice.credentialId, windows: windowsOf(notice) });
        return;
      case 'credential_needed':
        await this.#onNeeded(ledger, notice);
    }
  }

  /** Keeps the pool from changing an agent's credential, or lets it. @internal */
  async pin(agentId: string, isPinned: boolean): Promise<void> {
    if (!this.#vault.isEmpty) await this.#inTime(this.#shared.take({ is: 'pinned', agentId, isPinned }));
  }

  /**
   * Refuses what would be dispatched on a credential that is known to be past its end, unless there is another one. @internal
   *
   * @throws `credential_expired` with `data.credentialId` and `data.expiresAt`
   */
  async checkExpiry(ledger: Ledger): Promise<void> {
    if (this.#expired(ledger) === null) return;
    await this.#shared.take({ is: 'tick' });
    await this.#switcher.switchNow(ledger);
    const expired = this.#expired(ledger);
    if (expired === null) return;
    const { credentialId, expiresAt } = expired;
    const when = new Date(expiresAt).toISOString();
    const message = `credential ${credentialId} of agent ${ledger.agentId} expired at ${when}, and no other is good`;
    throw sdkError('credential_expired', message, { data: { credentialId, expiresAt } });
  }

  /** Time has passed. @internal */
  async tick(): Promise<void> {
    if (this.#vault.isEmpty) return;
    await this.#shared.take({ is: 'tick' });
    this.#warnings.look(this.#shared.state, Date.now());
  }

  /** An agent is gone for good. @internal */
  async onGone(agentId: string): Promise<void> {
    if (!this.#vault.isEmpty) await this.#shared.take({ is: 'gone', agentId });
  }

  /** @internal */
  close(): void {
    this.#switcher.close();
    this.#shared.close();
  }

  async #loadNamed(names: readonly CredentialName[]): Promise<void> {
    for (const name of names) void this.#shared.take(putOf(await this.#fetch(name)));
  }

  async #fetch({ id, maxExecutions }: CredentialName): Promise<PooledCredential> {
    const credential = await this.#vault.fetch(id, maxExecutions);
    if (credential !== undefined) return credential;
    throw sdkError('unknown_credential', `resolveCredential knows no credential ${id}`, { data: { id } });
  }

  /** @throws `store_unavailable`; it is done all the same once the store is back */
  async #inTime(taken: Promise<void>): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const error = sdkError('store_unavailable', `the pool was not written within ${WRITTEN_WITHIN_MS} ms`);
      timer = setTimeout(() => reject(error), WRITTEN_WITHIN_MS);
    });
    await Promise.race([taken, late]).finally(() => clearTimeout(timer));
  }

  async #onNeeded(ledger: Ledger, notice: CredentialNotice & { type: 'credential_needed' }): Promise<void> {
    const { agentId, journalId = '' } = ledger;
    const { generation, credentialId, reason, message, at, retryAt, model, scope } = notice;
    const need: PoolEvent & { is: 'needed' } = {
      ...{ is: 'needed', agentId, journalId, generation, credentialId, reason, message, at, retryAt, model },
      isOfModel: scope === 'model',
    };
    if (credentialId !== null) await this.#refresh(credentialId);
    if (!needsConfirmation(this.#shared.state, need)) return this.#shared.take(need);
    await this.#shared.take({ ...need, confirmed: await this.#confirm(ledger) });
  }

  /** A secret that is kept elsewhere may have been renewed there. */
  async #refresh(id: string): Promise<void> {
    try {
      const renewed = await this.#vault.fetch(id);
      if (renewed !== undefined) await this.#shared.take(putOf(renewed));
    } catch (error) {
      this.#options.logger.warn({ credentialId: id, err: error }, 'resolveCredential failed');
    }
  }

  /** Asks the provider, through the agent, whether a refusal that names no cause stands. */
  async #confirm({ link }: Ledger): Promise<'refused' | 'good' | 'unknown'> {
    try {
      const { preflight } = await link.callNow('status', { preflight: true, preflightMaxAgeMs: 0 });
      return preflight?.verdict ?? 'unknown';
    } catch {
      return 'unknown';
    }
  }

  #expired({ agentId, credential: { credentialId } }: Ledger): { credentialId: string; expiresAt: number } | null {
    const { credentials, agents } = this.#shared.state;
    const known = credentialId === null ? undefined : credentials[credentialId];
    if (credentialId === null || known === undefined || agents[agentId]?.isPinned === true) return null;
    const standing = standingOf(known, Date.now());
    return standing.is === 'expired' ? { credentialId, expiresAt: standing.expiresAt } : null;
  }

  #onChange(before: PoolState, after: PoolState, isOwn: boolean): void {
    if (isOwn && before.exhausted === null && after.exhausted !== null) {
      this.#options.emit('credentialsExhausted', { ...after.exhausted });
    }
    this.#warnings.look(after, Date.now());
    this.#switcher.converge();
  }
}

function putOf(credential: PooledCredential): PoolEvent {
  const { id, kind, expiresAt } = credential;
  return { is: 'put', id, kind, fingerprint: fingerprintOf(credential), expiresAt };
}

function agentEvent({ agentId, journalId = '', credential: { generation, credentialId } }: Ledger): PoolEvent {
  return { is: 'agent', agentId, journalId, generation, credentialId };
}

function windowsOf({ windows }: CredentialNotice & { type: 'rate_limit' }) {
  const told = Object.entries(windows).flatMap(([name, { utilization, resetsAt }]) =>
    utilization === undefined ? [] : [[name, { utilization, resetsAt }] as const],
  );
  return Object.fromEntries(told);
}
