import { type MessageAnswer, type Refusal, text } from './answers.js';
import { type RateLimitState, rateLimitHeaders } from './rate-limit-headers.js';

/** What can be changed about any refusal: its words, or headers on top of its own. */
export interface RefusalOptions {
  message?: string;
  headers?: Record<string, string>;
}

type Row = readonly [status: number, errorType: string, message: string];

// What the provider really answers, word for word, from public reports. One row per meaning.
const rows = {
  expired: [
    401,
    'authentication_error',
    'OAuth token has expired. Please obtain a new token or refresh your existing token.',
  ],
  invalid: [401, 'authentication_error', 'Invalid bearer token'],
  invalidCredentials: [401, 'authentication_error', 'Invalid authentication credentials'],
  invalidApiKey: [401, 'authentication_error', 'invalid x-api-key'],
  notAllowedForOrganization: [
    403,
    'permission_error',
    'OAuth authentication is currently not allowed for this organization.',
  ],
  notSupported: [401, 'authentication_error', 'OAuth authentication is currently not supported.'],
  revoked: [403, 'permission_error', 'OAuth token has been revoked. Please obtain a new token.'],
  notAMember: [
    403,
    'permission_error',
    'Account is no longer a member of the organization associated with this token.',
  ],
  missingScope: [403, 'permission_error', 'OAuth token does not meet scope requirement user:profile'],
  organizationDisabled: [400, 'invalid_request_error', 'This organization has been disabled.'],
  billing: [
    400,
    'invalid_request_error',
    'Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.',
  ],
  thinkingSignature: [400, 'invalid_request_error', 'messages.1.content.0: Invalid `signature` in `thinking` block'],
  promptTooLong: [400, 'invalid_request_error', 'prompt is too long: 210000 tokens > 200000 maximum'],
  modelNotFound: [404, 'not_found_error', 'model: claude-none'],
  rateLimited: [
    429,
    'rate_limit_error',
    "This request would exceed your account's rate limit. Please try again later.",
  ],
  throttled: [429, 'rate_limit_error', 'Number of concurrent connections has exceeded your rate limit.'],
  headerless429: [429, 'rate_limit_error', 'Error'],
  overloaded: [529, 'overloaded_error', 'Overloaded'],
  serverError: [500, 'api_error', 'Internal server error'],
} as const satisfies Record<string, Row>;

function row(name: keyof typeof rows, options: RefusalOptions = {}, headers: Record<string, string> = {}): Refusal {
  const [status, errorType, message] = rows[name];
  return {
    type: 'refusal',
    status,
    errorType,
    message: options.message ?? message,
    headers: { ...headers, ...options.headers },
  };
}

/** The provider's refusals, with the status, error type, words and headers seen in the field. */
export const refusal = {
  /** 401: the OAuth token's time is up. */
  expired: (options?: RefusalOptions): Refusal => row('expired', options),
  /** 401 `Invalid bearer token`. A single one can be a passing fault. */
  invalid: (options?: RefusalOptions): Refusal => row('invalid', options),
  /** 401 `Invalid authentication credentials`. */
  invalidCredentials: (options?: RefusalOptions): Refusal => row('invalidCredentials', options),
  /** 401 `invalid x-api-key`. */
  invalidApiKey: (options?: RefusalOptions): Refusal => row('invalidApiKey', options),
  /** 403: OAuth tokens are not accepted for this organization. Seen as 401 too; see `withStatus`. */
  notAllowedForOrganization: (options?: RefusalOptions): Refusal => row('notAllowedForOrganization', options),
  /** 401: OAuth tokens are not supported here. */
  notSupported: (options?: RefusalOptions): Refusal => row('notSupported', options),
  /** 403: the OAuth token was revoked. */
  revoked: (options?: RefusalOptions): Refusal => row('revoked', options),
  /** 403: the account left the organization; as good as revoked. */
  notAMember: (options?: RefusalOptions): Refusal => row('notAMember', options),
  /** 403: the token lacks a scope. In the field only for side requests. */
  missingScope: (options?: RefusalOptions): Refusal => row('missingScope', options),
  /** 400, yet the account is gone. */
  organizationDisabled: (options?: RefusalOptions): Refusal => row('organizationDisabled', options),
  /** 400: the credit balance is too low. */
  billing: (options?: RefusalOptions): Refusal => row('billing', options),
  /** 400 that has nothing to do with the credential. */
  thinkingSignature: (options?: RefusalOptions): Refusal => row('thinkingSignature', options),
  /** 400: the conversation does not fit. */
  promptTooLong: (options?: RefusalOptions): Refusal => row('promptTooLong', options),
  /** 404: no such model for this credential. */
  modelNotFound: (options?: RefusalOptions): Refusal => row('modelNotFound', options),
  /**
   * 429 with unified headers: a window is used up.
   * `claim` defaults to `five_hour`, `resetsAt` (epoch ms) to one hour from now, `windows` to the claimed one used up.
   */
  rateLimited: (options: RefusalOptions & RateLimitState = {}): Refusal => {
    const state = usedUp(options);
    const seconds = Math.max(1, Math.ceil((state.resetsAt - Date.now()) / 1000));
    return row('rateLimited', options, { ...rateLimitHeaders(state), 'retry-after': String(seconds) });
  },
  /** 429 with `retry-after` and no unified headers: a short throttle. `retryAfterSeconds` @default 1 */
  throttled: (options: RefusalOptions & { retryAfterSeconds?: number } = {}): Refusal =>
    row('throttled', options, { 'retry-after': String(options.retryAfterSeconds ?? 1) }),
  /** 429 without any header: a request that the subscription does not admit. */
  headerless429: (options?: RefusalOptions): Refusal => row('headerless429', options),
  /** 529. */
  overloaded: (options?: RefusalOptions): Refusal => row('overloaded', options),
  /** 500. */
  serverError: (options?: RefusalOptions): Refusal => row('serverError', options),
};

/** The same refusal under another status, e.g. `withStatus(401, refusal.notAllowedForOrganization())`. */
export function withStatus(status: number, answer: Refusal): Refusal {
  return { ...answer, status };
}

/**
 * A **good** answer whose headers say that the included quota is used up and paid overage served it: status 200,
 * unified `status: rejected`, `overage-in-use: true`.
 */
export function fromOverage(
  answer: MessageAnswer = text('Served from overage.'),
  state: RateLimitState = {},
): MessageAnswer {
  const headers = rateLimitHeaders({ ...usedUp(state), isOverageInUse: true, overageStatus: 'allowed' });
  return { ...answer, headers: { ...answer.headers, ...headers } };
}

// The header name of the window behind each claim.
const windowOf: Record<NonNullable<RateLimitState['claim']>, string> = {
  five_hour: '5h',
  seven_day: '7d',
  seven_day_opus: '7d_opus',
  seven_day_sonnet: '7d_sonnet',
  seven_day_overage_included: '7d_overage_included',
};

function usedUp(state: RateLimitState): RateLimitState & { resetsAt: number } {
  const claim = state.claim ?? 'five_hour';
  const resetsAt = state.resetsAt ?? Date.now() + 3_600_000;
  const windows = { [windowOf[claim]]: { status: 'rejected' as const, utilization: 1, resetsAt }, ...state.windows };
  return { ...state, status: state.status ?? 'rejected', claim, resetsAt, windows };
}
