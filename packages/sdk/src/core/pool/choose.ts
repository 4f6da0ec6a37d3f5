import { type PoolAgent, type PoolCredential, type PoolState } from './state.js';

/** How a credential stands. Times are epoch ms; `until` null: it does not come back by itself. */
export type Standing =
  | { readonly is: 'healthy' }
  | { readonly is: 'expiring'; readonly expiresAt: number }
  | { readonly is: 'cooling'; readonly until: number }
  | { readonly is: 'expired'; readonly expiresAt: number }
  | { readonly is: 'invalid' };

/** Before its end a credential is said to be expiring for so long. Milliseconds. */
const EXPIRING_MS = 60 * 60 * 1000;

export function standingOf({ fault, expiresAt }: PoolCredential, nowMs: number): Standing {
  if (expiresAt !== undefined && expiresAt <= nowMs) return { is: 'expired', expiresAt };
  if (fault !== null && fault.until === null) return { is: 'invalid' };
  if (fault?.until != null && fault.until > nowMs) return { is: 'cooling', until: fault.until };
  if (expiresAt !== undefined && expiresAt - nowMs <= EXPIRING_MS) return { is: 'expiring', expiresAt };
  return { is: 'healthy' };
}

/** What a credential has to be good for. */
export interface Wish {
  readonly agentId: string;
  readonly model?: string | undefined;
  /** The secret that will not do, by its fingerprint. */
  readonly not?: string | undefined;
  /** It has to be used less than this. */
  readonly utilizationBelow?: number | undefined;
}

/**
 * The credential for an agent: of those that are good the one with the fewest agents, so that many agents which lose theirs at
 * once spread over what is left; then the least used, then the one that lasts longest.
 *
 * @returns null when there is none
 */
export function chooseCredential(pool: PoolState, wish: Wish, nowMs: number): string | null {
  const { agentId, model, not, utilizationBelow = Infinity } = wish;
  const agents = agentsByCredential(pool, agentId);
  const [best] = Object.entries(pool.credentials)
    .filter(([, credential]) => isGood(credential, model, nowMs) && credential.fingerprint !== not)
    .filter(([, credential]) => utilizationOf(credential, nowMs) < utilizationBelow)
    .sort(
      ([idA, a], [idB, b]) =>
        (agents.get(idA) ?? 0) - (agents.get(idB) ?? 0) ||
        utilizationOf(a, nowMs) - utilizationOf(b, nowMs) ||
        (b.expiresAt ?? Infinity) - (a.expiresAt ?? Infinity) ||
        (idA < idB ? -1 : 1),
    );
  return best?.[0] ?? null;
}

/** The fraction used of the limit that is used most; 0 where nothing is known, or the limit has begun anew. */
export function utilizationOf({ windows }: PoolCredential, nowMs: number): number {
  const used = Object.values(windows).filter(({ resetsAt }) => resetsAt === undefined || resetsAt > nowMs);
  return Math.max(0, ...used.map(({ utilization }) => utilization));
}

/** The earliest time at which some credential is good again that is not now; null: none is by itself. */
export function earliestGood(pool: PoolState, model: string | undefined, nowMs: number): number | null {
  const times = Object.values(pool.credentials).flatMap((credential) => {
    const { is, ...standing } = standingOf(credential, nowMs);
    if (is === 'cooling') return 'until' in standing ? [standing.until] : [];
    if (is === 'invalid' || is === 'expired' || model === undefined) return [];
    const until = credential.models[model];
    return until === undefined || until <= nowMs ? [] : [until];
  });
  return times.length === 0 ? null : Math.min(...times);
}

export function isGood(credential: PoolCredential, model: string | undefined, nowMs: number): boolean {
  const { is } = standingOf(credential, nowMs);
  if (is !== 'healthy' && is !== 'expiring') return false;
  return model === undefined || (credential.models[model] ?? 0) <= nowMs;
}

/** What an agent has, or is about to. */
function credentialOf({ wanted, credentialId }: PoolAgent): string | null {
  return wanted?.credentialId ?? credentialId;
}

function agentsByCredential({ agents }: PoolState, except: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const [agentId, agent] of Object.entries(agents)) {
    const id = credentialOf(agent);
    if (agentId !== except && id !== null) counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  return counts;
}
