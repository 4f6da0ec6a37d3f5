/** What tells whether a run still does something. Times are monotonic milliseconds. */
export interface SignsOfLife {
  /** Of the last output, whatever it was. */
  readonly lastOutputAt: number;
  /** Since when a tool has been running without a break; null: none is. */
  readonly toolSince: number | null;
}

export interface IdleLimits {
  readonly idleTimeoutMs: number;
  /** How long a running tool counts as a sign of life. */
  readonly toolStallMs: number;
}

/** When a run counts as idle unless it gives another sign of life. A tool that runs is one, for so long. */
export function idleDeadline(signs: SignsOfLife, limits: IdleLimits): number {
  const toolUntil = signs.toolSince === null ? signs.lastOutputAt : signs.toolSince + limits.toolStallMs;
  return Math.max(signs.lastOutputAt, toolUntil) + limits.idleTimeoutMs;
}
