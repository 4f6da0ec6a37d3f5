import { createHmac } from 'node:crypto';
import { type Credential, credentialSchema } from '@outrigger/protocol';
import { sdkError } from '../errors.js';

/** A credential for the pool of a fleet. */
export interface PooledCredential extends Credential {
  /** How many executions may use it at the same time, over all hosts. @default no limit */
  maxExecutions?: number;
}

/** Fetches the secret of a credential that is kept elsewhere, by its id; undefined: there is none. */
export type ResolveCredential = (id: string) => Promise<Credential | undefined> | Credential | undefined;

/** The secrets this host knows. In memory only; their texts leave it in the one frame that gives them to an agent. */
export class Vault {
  readonly #credentials = new Map<string, PooledCredential>();
  readonly #resolve: ResolveCredential | undefined;

  constructor(resolve: ResolveCredential | undefined) {
    this.#resolve = resolve;
  }

  /** Whether this host can give agents credentials at all. */
  get isEmpty(): boolean {
    return this.#credentials.size === 0 && this.#resolve === undefined;
  }

  get known(): readonly PooledCredential[] {
    return [...this.#credentials.values()];
  }

  /** @throws `invalid`, without ever repeating the secret */
  put({ maxExecutions, ...credential }: PooledCredential): PooledCredential {
    const parsed = credentialSchema.safeParse(credential);
    if (!parsed.success) {
      const issues = parsed.error.issues.map(({ path, message }) => ({ path: path.join('.'), message }));
      const named = issues.map(({ path, message }) => `${path}: ${message}`).join('; ');
      throw sdkError('invalid', `credential: ${named}`, { data: { issues } });
    }
    if (maxExecutions !== undefined && !(Number.isSafeInteger(maxExecutions) && maxExecutions > 0)) {
      throw sdkError('invalid', 'credential: maxExecutions: expected a positive integer');
    }
    const kept = { ...parsed.data, ...(maxExecutions !== undefined && { maxExecutions }) };
    this.#credentials.set(kept.id, kept);
    return kept;
  }

  remove(id: string): void {
    this.#credentials.delete(id);
  }

  /** How many executions may use a credential; undefined: any number. */
  maxOf(id: string): number | undefined {
    return this.#credentials.get(id)?.maxExecutions;
  }

  /** The credential whose secret has that fingerprint, wherever it is kept; undefined: this host has none such. */
  async find(id: string, fingerprint: string): Promise<Credential | undefined> {
    const known = this.#credentials.get(id);
    if (known !== undefined && fingerprintOf(known) === fingerprint) return withoutLimit(known);
    const credential = await this.fetch(id);
    return credential && fingerprintOf(credential) === fingerprint ? withoutLimit(credential) : undefined;
  }

  /** Asks where the secret is kept. @returns undefined when it is not kept elsewhere; rejects as `resolveCredential` does */
  async fetch(id: string, maxExecutions = this.maxOf(id)): Promise<PooledCredential | undefined> {
    const resolved = await this.#resolve?.(id);
    if (resolved === undefined) return undefined;
    return this.put({ ...resolved, id, ...(maxExecutions !== undefined && { maxExecutions }) });
  }
}

/** Tells secrets apart, and nothing about them: they are long and random, so there is nothing to guess. */
export function fingerprintOf({ secret }: Credential): string {
  return createHmac('sha256', 'outrigger.credential').update(secret).digest('base64url').slice(0, 22);
}

function withoutLimit({ maxExecutions: _max, ...credential }: PooledCredential): Credential {
  return credential;
}
