import { type Preflight, type SidecarFrame } from '@outrigger/protocol';
import { isNews, type RateLimits, readRateLimits } from '../core/rate-limits.js';
import { type HeaderLookup, type Judgement } from '../core/refusal.js';
import { type CredentialInForce } from '../credentials/slot.js';

type RateLimitNotice = SidecarFrame<'rate_limit'>;

/** What the provider's answers have shown of the credential in force: whether it is good, and how much of it is used. */
export class Witness {
  readonly #onRateLimits: (notice: RateLimitNotice) => void;
  #generation = 0;
  #limits: RateLimits | null = null;
  #seen: Preflight = { verdict: 'unknown' };

  constructor(onRateLimits: (notice: RateLimitNotice) => void) {
    this.#onRateLimits = onRateLimits;
  }

  /** What is known of a generation. */
  of(generation: number): Preflight {
    return generation === this.#generation ? this.#seen : { verdict: 'unknown' };
  }

  see(used: CredentialInForce, answer: { status: number; headers: HeaderLookup }, judgement: Judgement): void {
    // What an older one was told is of no use to anybody.
    if (used.generation < this.#generation) return;
    if (used.generation > this.#generation) {
      this.#generation = used.generation;
      this.#limits = null;
      this.#seen = { verdict: 'unknown' };
    }
    const seenAt = Date.now();
    if (judgement.kind === 'credential' && judgement.scope === 'credential') {
      const { reason, message, retryAt } = judgement;
      this.#seen = { verdict: 'refused', reason, message, seenAt, ...(retryAt === undefined ? {} : { retryAt }) };
    } else if (answer.status < 300) this.#seen = { verdict: 'good', seenAt };
    this.#seeLimits(used, readRateLimits(answer.headers), seenAt);
  }

  #seeLimits({ credential, generation }: CredentialInForce, limits: RateLimits | null, at: number): void {
    if (limits === null || !isNews(this.#limits, limits)) return;
    this.#limits = limits;
    this.#onRateLimits({ type: 'rate_limit', at, generation, credentialId: credential.id, ...limits });
  }
}
