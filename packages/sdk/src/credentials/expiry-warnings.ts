import { type PoolState } from '../core/pool/state.js';

/** A credential comes to its end. */
export interface ExpiryWarning {
  credentialId: string;
  /** Epoch ms. */
  expiresAt: number;
  /** Which of the warnings this is: so long before the end, in ms. */
  beforeMs: number;
}

/** Warns ahead of the end of a credential, once for each of some times before it. */
export class ExpiryWarnings {
  readonly #beforeMs: readonly number[];
  readonly #warn: (warning: ExpiryWarning) => void;
  /** The shortest time before its end that was warned of, by credential and end. */
  readonly #warned = new Map<string, number>();

  constructor(beforeMs: readonly number[], warn: (warning: ExpiryWarning) => void) {
    this.#beforeMs = beforeMs;
    this.#warn = warn;
  }

  /** Of several that are due at once, the last one is given. */
  look({ credentials }: PoolState, nowMs: number): void {
    for (const [credentialId, { expiresAt }] of Object.entries(credentials)) {
      if (expiresAt === undefined || expiresAt <= nowMs) continue;
      const due = this.#beforeMs.filter((beforeMs) => expiresAt - nowMs <= beforeMs);
      const beforeMs = Math.min(...due);
      const key = `${credentialId} ${expiresAt}`;
      if (due.length === 0 || beforeMs >= (this.#warned.get(key) ?? Infinity)) continue;
      this.#warned.set(key, beforeMs);
      this.#warn({ credentialId, expiresAt, beforeMs });
    }
  }
}
