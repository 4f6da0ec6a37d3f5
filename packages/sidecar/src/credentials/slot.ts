import { type Credential, WireError } from '@outrigger/protocol';

/** Secrets of earlier credentials that are still redacted: what was printed under them may be read later. */
const PAST_SECRETS_MAX = 32;

/** A credential and its place in the row of those the agent was given. */
export interface CredentialInForce {
  readonly credential: Credential;
  readonly generation: number;
}

/** The generations that were given away. They are remembered when no credential is. */
export interface Generations {
  /** The last one; 0: there was none. */
  readonly last: number;
  /** Whether the last one was that of this credential. */
  isLast(credential: Credential): boolean;
  /** Called with each one before anybody hears of it. */
  note(generation: number, credential: Credential): void;
}

const FROM_THE_FIRST: Generations = { last: 0, isLast: () => false, note: () => undefined };

/** The one credential the agent works with. Kept in memory and nowhere else. */
export class CredentialSlot {
  #current: CredentialInForce | null = null;
  #secrets: readonly string[];
  #lastGeneration: number;
  readonly #generations: Generations;
  readonly #listeners = new Set<(current: CredentialInForce) => void>();

  /** @param standing Has a generation of its own unless it was in force last: who was refused it waits for another one. */
  constructor(standing: Credential | null, generations = FROM_THE_FIRST) {
    this.#generations = generations;
    this.#lastGeneration = generations.last;
    this.#secrets = standing === null ? [] : [standing.secret];
    if (standing === null) return;
    const isKnown = generations.last > 0 && generations.isLast(standing);
    this.#current = isKnown ? { credential: standing, generation: generations.last } : this.#next(standing);
  }

  get current(): CredentialInForce | null {
    return this.#current;
  }

  get generation(): number | null {
    return this.#current?.generation ?? null;
  }

  /** Every secret that must not be seen, the newest first. */
  get secrets(): readonly string[] {
    return this.#secrets;
  }

  /**
   * Puts a credential in force. The same secret again changes nothing but what is known about it.
   *
   * @param ifGeneration Applies only while this generation is in force; null: only while there is no credential.
   * @throws WireError `stale_generation`
   */
  swap(credential: Credential, ifGeneration?: number | null): { generation: number; changed: boolean } {
    const { generation } = this;
    if (this.#current?.credential.secret === credential.secret) {
      this.#current = { credential, generation: this.#current.generation };
      return { generation: this.#current.generation, changed: false };
    }
    if (ifGeneration !== undefined && ifGeneration !== generation) {
      const message = `generation ${generation ?? 'none'} is in force, not ${ifGeneration ?? 'none'}`;
      throw new WireError('stale_generation', message, { generation });
    }
    const current = this.#next(credential);
    this.#current = current;
    const { secret } = credential;
    this.#secrets = [secret, ...this.#secrets.filter((past) => past !== secret)].slice(0, PAST_SECRETS_MAX);
    this.#listeners.forEach((listener) => listener(current));
    return { generation: current.generation, changed: true };
  }

  #next(credential: Credential): CredentialInForce {
    this.#lastGeneration += 1;
    this.#generations.note(this.#lastGeneration, credential);
    return { credential, generation: this.#lastGeneration };
  }

  /** Calls `listener` with each credential that comes into force. Returns how to stop that. */
  onChange(listener: (current: CredentialInForce) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
