import { type HeaderLookup, readNumber, readTime, readWord } from './header-values.js';

/** What the provider says of a credential's limits, on refusals and on good answers. */
export interface RateLimits {
  /** `allowed`, `allowed_warning`, `rejected`, or what the provider may yet say. */
  status: string;
  /** The window that decides, by the provider's name, e.g. `five_hour`. */
  window?: string;
  /** When that window begins anew. Epoch ms; may lie in the past. */
  resetsAt?: number;
  /** Whether paid overage served the request. */
  isOverageInUse?: boolean;
  /** By the provider's names in the headers, e.g. `5h`; some are there only for requests to the models they are for. */
  windows: Record<string, RateLimitWindow>;
}

interface RateLimitWindow {
  status?: string;
  /** Fraction used; more than 1 is possible. */
  utilization?: number;
  /** Epoch ms. */
  resetsAt?: number;
}

/** Whom a limit is for: all of the credential's requests, or those to some models. */
export type LimitScope = 'credential' | 'model';

const PREFIX = 'anthropic-ratelimit-unified-';

/** What the headers call a window, what `representative-claim` calls it, and whom it is for. */
const WINDOWS: readonly { header: string; claim: string; scope: LimitScope }[] = [
  { header: '5h', claim: 'five_hour', scope: 'credential' },
  { header: '7d', claim: 'seven_day', scope: 'credential' },
  { header: '7d_opus', claim: 'seven_day_opus', scope: 'model' },
  { header: '7d_sonnet', claim: 'seven_day_sonnet', scope: 'model' },
  // So read by the CLI 2.1.329, and reported by users.
  { header: '7d_oi', claim: 'seven_day_overage_included', scope: 'model' },
];

/** Whom the limit that `representative-claim` names is for. One that is not known condemns the credential. */
export function scopeOf(claim: string | undefined): LimitScope {
  return WINDOWS.find((window) => window.claim === claim)?.scope ?? 'credential';
}

/** From the provider's unified headers; null: the answer carries none. */
export function readRateLimits(headers: HeaderLookup): RateLimits | null {
  const status = readWord(headers, `${PREFIX}status`);
  const windows = readWindows(headers);
  if (status === undefined && Object.keys(windows).length === 0) return null;

  const claim = readWord(headers, `${PREFIX}representative-claim`);
  const own = WINDOWS.find((window) => window.claim === claim)?.header ?? '';
  const resetsAt = readTime(headers, `${PREFIX}reset`) ?? windows[own]?.resetsAt;
  const overage = readWord(headers, `${PREFIX}overage-in-use`);
  return {
    // The CLI, too, takes an absent one for this.
    status: status ?? 'allowed',
    ...(claim !== undefined && { window: claim }),
    ...(resetsAt !== undefined && { resetsAt }),
    ...((overage === 'true' || overage === 'false') && { isOverageInUse: overage === 'true' }),
    windows,
  };
}

function readWindows(headers: HeaderLookup): RateLimits['windows'] {
  const windows: RateLimits['windows'] = {};
  for (const { header } of WINDOWS) {
    const status = readWord(headers, `${PREFIX}${header}-status`);
    const utilization = readNumber(headers, `${PREFIX}${header}-utilization`);
    const resetsAt = readTime(headers, `${PREFIX}${header}-reset`);
    if (status === undefined && utilization === undefined && resetsAt === undefined) continue;
    windows[header] = {
      ...(status !== undefined && { status }),
      ...(utilization !== undefined && { utilization }),
      ...(resetsAt !== undefined && { resetsAt }),
    };
  }
  return windows;
}

/**
 * Whether what is new is worth telling: status, window, reset time, overage, or a whole percent of use in any window.
 * A window that is left out is not news: requests to several models take turns, and each answer carries its model's.
 */
export function isNews(before: RateLimits | null, now: RateLimits): boolean {
  if (before === null) return true;
  if (TOLD.some((key) => before[key] !== now[key])) return true;
  return Object.entries(now.windows).some(([name, window]) => {
    const last = before.windows[name];
    return last?.status !== window.status || percentUsed(last) !== percentUsed(window);
  });
}

const TOLD = ['status', 'window', 'resetsAt', 'isOverageInUse'] as const;

function percentUsed(window: RateLimitWindow | undefined): number | undefined {
  return window?.utilization === undefined ? undefined : Math.round(window.utilization * 100);
}
