import { type Refusal } from './answers.js';
import { refusal } from './refusals.js';
import { type ApiRequest } from './request.js';
import { type Step } from './script.js';

/** Which credentials are good: `'any'` (a missing one too), or a list of secrets. */
export type Accepted = 'any' | readonly string[];

interface Refused {
  readonly step: Step;
  left: number;
}

/** Says for each request whether its credential is turned away, and with what. */
export class Credentials {
  accepted: Accepted;
  readonly #refused = new Map<string, Refused>();
  #everything: Refused | undefined;

  constructor(accepted: Accepted) {
    this.accepted = accepted;
  }

  refuse(secret: string, step: Step, times: number): void {
    const refused = { step, left: times };
    if (secret === 'all') this.#everything = refused;
    else this.#refused.set(secret, refused);
  }

  stopRefusing(secret: string): void {
    this.#refused.delete(secret);
    if (secret !== 'all') return;
    this.#refused.clear();
    this.#everything = undefined;
  }

  /** The refusal for this request; undefined when its credential is good. A refusal by name comes before one of all. */
  check({ secret, headers }: ApiRequest): Step | undefined {
    const named = secret === undefined ? undefined : this.#refused.get(secret);
    for (const refused of [named, this.#everything]) {
      if (!refused || refused.left <= 0) continue;
      refused.left -= 1;
      return refused.step;
    }
    if (this.accepted === 'any' || (secret !== undefined && this.accepted.includes(secret))) return undefined;
    return unknownCredential(secret, headers['x-api-key'] !== undefined);
  }
}

function unknownCredential(secret: string | undefined, isApiKey: boolean): Refusal {
  if (secret === undefined) return refusal.invalidApiKey({ message: 'x-api-key header is required' });
  return isApiKey ? refusal.invalidApiKey() : refusal.invalid();
}
