/** A subscription's limits, as the provider's `representative-claim` names them. */
export type RateLimitClaim =
  'five_hour' | 'seven_day' | 'seven_day_opus' | 'seven_day_sonnet' | 'seven_day_overage_included';

/** One window's state. */
export interface RateLimitWindow {
  /** Fraction used, 0 to 1 (more than 1 is possible). */
  utilization: number;
  /** Epoch milliseconds; sent as epoch seconds, rounded up. */
  resetsAt?: number;
  status?: 'allowed' | 'allowed_warning' | 'rejected';
}

/** What the unified rate-limit headers shall say. */
export interface RateLimitState {
  /** @default 'allowed' */
  status?: 'allowed' | 'allowed_warning' | 'rejected';
  /** The limit that decides. */
  claim?: RateLimitClaim;
  /** When the deciding limit resets. Epoch milliseconds; sent as epoch seconds, rounded up. */
  resetsAt?: number;
  /** Windows by the names the headers use: `5h`, `7d`, `7d_opus`, `7d_sonnet` … */
  windows?: Record<string, RateLimitWindow>;
  /** True: this request was paid from overage. */
  isOverageInUse?: boolean;
  overageStatus?: 'allowed' | 'allowed_warning' | 'rejected';
}

const PREFIX = 'anthropic-ratelimit-unified';

/**
 * The provider's `anthropic-ratelimit-unified-…` headers, for a refusal or a good answer.
 * @example text('Hi', { headers: rateLimitHeaders({ status: 'allowed_warning', windows: { '5h': { utilization: 0.91 } } }) })
 */
export function rateLimitHeaders(state: RateLimitState): Record<string, string> {
  const headers: Record<string, string | undefined> = {
    [`${PREFIX}-status`]: state.status ?? 'allowed',
    [`${PREFIX}-representative-claim`]: state.claim,
    [`${PREFIX}-reset`]: epochSeconds(state.resetsAt),
    [`${PREFIX}-overage-in-use`]: state.isOverageInUse?.toString(),
    [`${PREFIX}-overage-status`]: state.overageStatus,
  };
  for (const [name, window] of Object.entries(state.windows ?? {})) {
    headers[`${PREFIX}-${name}-status`] = window.status ?? 'allowed';
    headers[`${PREFIX}-${name}-utilization`] = String(window.utilization);
    headers[`${PREFIX}-${name}-reset`] = epochSeconds(window.resetsAt);
  }
  return Object.fromEntries(
    Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

function epochSeconds(epochMs: number | undefined): string | undefined {
  return epochMs === undefined ? undefined : String(Math.ceil(epochMs / 1000));
}
