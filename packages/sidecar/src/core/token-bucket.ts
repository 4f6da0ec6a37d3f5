/** How much may happen at once, and how fast it is given back. */
export interface BucketLimits {
  readonly burst: number;
  readonly perSecond: number;
}

export interface Bucket {
  readonly tokens: number;
  readonly atMs: number;
}

/** Takes one token. `null`: there is none, and the bucket stays as it was. */
export function takeToken(bucket: Bucket | null, limits: BucketLimits, nowMs: number): Bucket | null {
  const before = bucket ?? { tokens: limits.burst, atMs: nowMs };
  const tokens = Math.min(limits.burst, before.tokens + ((nowMs - before.atMs) / 1000) * limits.perSecond);
  return tokens >= 1 ? { tokens: tokens - 1, atMs: nowMs } : null;
}
