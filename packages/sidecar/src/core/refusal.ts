import { type HoldReason } from '@outrigger/protocol';
import { type HeaderLookup, readRetryAfter } from './header-values.js';
import { messageOf, type ProviderError, readError } from './provider-error.js';
import { type LimitScope, type RateLimits, readRateLimits, scopeOf } from './rate-limits.js';

export { type HeaderLookup } from './header-values.js';

export interface AnswerHead {
  status: number;
  headers: HeaderLookup;
}

type RefusedFor = Exclude<HoldReason, 'credential_missing'>;

/**
 * What to do with a provider's answer. `message` is the provider's own where it gave one, fit to be shown; see {@link messageOf}.
 *
 * `pass`: good, or nothing to do with the credential: on to the CLI byte for byte. `wait`: a short throttle or an overload:
 * the same request again after that. `credential`: another credential would help; `retryAt` (epoch ms, never in the past)
 * and `window` as the provider says, `scope: 'model'` when it is good for other models.
 */
export type Judgement =
  | { kind: 'pass' }
  | { kind: 'wait'; afterMs: number; message: string }
  | {
      kind: 'credential';
      reason: RefusedFor;
      message: string;
      retryAt?: number;
      window?: string;
      scope: LimitScope;
    };

export interface JudgePolicy {
  /** `avoid`: a good answer that paid overage served counts as a limit that is used up. */
  overage: 'allow' | 'avoid';
  /** The longest `retry-after` that is waited out. */
  retryAfterMaxMs: number;
  /** The most that is waited first, without a `retry-after`; it doubles with each try. */
  overloadBackoffMs: number;
  overloadBackoffMaxMs: number;
}

export interface JudgeContext {
  nowEpochMs: number;
  /** How often this request was waited for before. */
  triesBefore: number;
  /** From 0 to 1. */
  random: number;
}

interface Rule {
  readonly statuses: readonly number[];
  readonly types: readonly string[];
  readonly message: RegExp;
  readonly reason: RefusedFor;
}

const AUTH = { statuses: [401, 403], types: ['authentication_error', 'permission_error'] };
// Errors of this type can quote the request, so only what stands at the start of the message counts.
const ACCOUNT = { statuses: [400], types: ['invalid_request_error'] };

/** Agrees with what the CLI's own words for the same refusals are taken for; see `claude/failures.ts`. */
const RULES: readonly Rule[] = [
  { ...AUTH, message: /OAuth authentication is currently not (allowed|supported)/, reason: 'auth_invalid' },
  { ...AUTH, message: /OAuth token (has been )?revoked/, reason: 'auth_revoked' },
  { ...AUTH, message: /no longer a member of the organization/, reason: 'auth_revoked' },
  { ...AUTH, message: /OAuth token has expired/, reason: 'auth_expired' },
  { ...ACCOUNT, message: /^This organization has been disabled/, reason: 'billing' },
  { ...ACCOUNT, message: /^Your credit balance is too low/, reason: 'billing' },
];

/** `body`: the text of a refusal, at most its first 64 KiB; null for an answer with a status below 400. */
export function judge(
  answer: AnswerHead & { body: string | null },
  policy: JudgePolicy,
  context: JudgeContext,
): Judgement {
  const { status, headers } = answer;
  if (status < 400) return judgeGood(answer, policy, context);

  const error = readError(answer.body);
  const message = messageOf(error) || `The provider answered ${status}.`;
  const after = readRetryAfter(headers, context.nowEpochMs);
  const afterMs = after === undefined ? undefined : after - context.nowEpochMs;
  const isWithin = afterMs !== undefined && afterMs <= policy.retryAfterMaxMs;
  // A `retry-after` of nothing would have it sent again without pause.
  const waitMs = isWithin && afterMs > 0 ? afterMs : backoffMs(policy, context);
  const wait: Judgement = { kind: 'wait', afterMs: waitMs, message };

  if (status === 529 || error?.type === 'overloaded_error') return wait;
  if (status === 429) {
    if (isWithin) return wait;
    const limits = readRateLimits(headers);
    if (limits?.status === 'rejected') return limited(limits, { message, after, nowEpochMs: context.nowEpochMs });
    // Neither one without a word about when (what the subscription does not admit), nor one that leaves the limits as good.
    if (after === undefined || limits !== null) return { kind: 'pass' };
    return { kind: 'credential', reason: 'rate_limited', message, retryAt: after, scope: 'credential' };
  }
  const reason = reasonOf(status, error);
  return reason === null ? { kind: 'pass' } : { kind: 'credential', reason, message, scope: 'credential' };
}

function judgeGood({ status, headers }: AnswerHead, policy: JudgePolicy, { nowEpochMs }: JudgeContext): Judgement {
  if (policy.overage === 'allow' || status >= 300) return { kind: 'pass' };
  const limits = readRateLimits(headers);
  if (limits?.status !== 'rejected' || limits.isOverageInUse !== true) return { kind: 'pass' };
  const message = 'The included quota is used up; paid overage served the request.';
  return limited(limits, { message, after: undefined, nowEpochMs });
}

function limited(
  limits: RateLimits,
  { message, after, nowEpochMs }: { message: string; after: number | undefined; nowEpochMs: number },
): Judgement {
  // A time that has passed says nothing: trying at once would meet the same limit, over and over.
  const retryAt = [limits.resetsAt, after].find((at) => at !== undefined && at > nowEpochMs);
  return {
    kind: 'credential',
    reason: 'rate_limited',
    message,
    ...(retryAt !== undefined && { retryAt }),
    ...(limits.window !== undefined && { window: limits.window }),
    scope: scopeOf(limits.window),
  };
}

function reasonOf(status: number, error: ProviderError | null): RefusedFor | null {
  const fits = ({ statuses, types, message }: Rule) =>
    error !== null && statuses.includes(status) && types.includes(error.type) && message.test(error.message);
  return RULES.find(fits)?.reason ?? (status === 401 ? 'auth_invalid' : null);
}

/** More of them make a number too large to reckon with. */
const DOUBLINGS_MAX = 40;

/** Exponential with full jitter, so that requests refused together do not come back together. At least 1. */
function backoffMs(policy: JudgePolicy, { triesBefore, random }: JudgeContext): number {
  const most = Math.min(
    policy.overloadBackoffMaxMs,
    policy.overloadBackoffMs * 2 ** Math.min(triesBefore, DOUBLINGS_MAX),
  );
  return Math.max(1, Math.ceil(random * most));
}
