import { type ReasonOf } from '@outrigger/protocol';

/**
 * What Claude Code says about a failure, gathered from events that are marked as errors. A model's answer, a tool's
 * output or a file never gets here, whatever they say.
 */
export interface FailureEvidence {
  /** HTTP status of the provider's answer. */
  readonly status?: number | undefined;
  /** The CLI's own name for the failure, e.g. `authentication_failed`. */
  readonly error?: string | undefined;
  /** The provider's error type, e.g. `permission_error`. */
  readonly apiType?: string | undefined;
  /** The CLI's own, finer name for a failed request, e.g. `connection_failed`. */
  readonly apiError?: string | undefined;
  /** Why the turn ended, e.g. `prompt_too_long`. */
  readonly terminalReason?: string | undefined;
  /** Subtype of the event, e.g. `error_max_turns`, `api_retry`. */
  readonly subtype?: string | undefined;
  readonly text?: string | undefined;
}

interface Rule {
  readonly reason: ReasonOf<'failed'>;
  readonly when: { readonly [K in keyof FailureEvidence]?: FailureEvidence[K] | RegExp };
  /** CLI versions whose output was seen to say this; `field`: reported by users of others. */
  readonly seenOn: readonly string[];
}

/**
 * The first rule that fits decides, so what is exact stands before what is vague, and what the text alone can tell
 * (an organisation that is disabled answers 400) before the status.
 */
const RULES: readonly Rule[] = [
  { reason: 'max_turns', when: { subtype: 'error_max_turns' }, seenOn: ['1.0.128', '2.1.329'] },
  { reason: 'prompt_too_long', when: { terminalReason: 'prompt_too_long' }, seenOn: ['2.1.329'] },
  { reason: 'prompt_too_long', when: { text: /^Prompt is too long/i }, seenOn: ['1.0.128', '2.1.329'] },
  { reason: 'prompt_too_long', when: { text: /prompt is too long: \d+ tokens/ }, seenOn: ['field'] },
  {
    reason: 'resume_not_found',
    when: { text: /No conversation found with session ID/ },
    seenOn: ['2.1.329'],
  },

  { reason: 'model_unavailable', when: { error: 'model_not_found' }, seenOn: ['2.1.329'] },
  { reason: 'model_unavailable', when: { text: /"type":"not_found_error","message":"model: / }, seenOn: ['1.0.128'] },
  { reason: 'model_unavailable', when: { text: /issue with the selected model/ }, seenOn: ['2.1.329'] },

  { reason: 'billing', when: { error: 'billing_error' }, seenOn: ['2.1.329'] },
  { reason: 'billing', when: { text: /^Credit balance is too low/ }, seenOn: ['1.0.128', '2.1.329'] },
  { reason: 'billing', when: { text: /This organization has been disabled/ }, seenOn: ['1.0.128', '2.1.329'] },

  { reason: 'permission_denied', when: { text: /does not meet scope requirement/ }, seenOn: ['1.0.128', '2.1.329'] },
  { reason: 'auth_invalid', when: { error: 'oauth_org_not_allowed' }, seenOn: ['2.1.329'] },
  { reason: 'auth_invalid', when: { text: /^Your account does not have access to Claude Code/ }, seenOn: ['1.0.128'] },
  {
    reason: 'auth_invalid',
    when: { text: /OAuth authentication is currently not (allowed|supported)/ },
    seenOn: ['1.0.128', '2.1.329'],
  },
  { reason: 'auth_invalid', when: { apiError: 'invalid_credential_header' }, seenOn: ['2.1.329'] },
  {
    reason: 'auth_invalid',
    when: { text: /^API Error: Headers\.append: .* invalid header value/s },
    seenOn: ['1.0.128'],
  },
  { reason: 'auth_invalid', when: { text: /^(API Error: )?Header .* has invalid value/s }, seenOn: ['field'] },
  { reason: 'auth_revoked', when: { text: /OAuth token (has been )?revoked/ }, seenOn: ['1.0.128', '2.1.329'] },
  { reason: 'auth_revoked', when: { text: /no longer a member of the organization/ }, seenOn: ['1.0.128', '2.1.329'] },
  { reason: 'auth_expired', when: { text: /OAuth token has expired/ }, seenOn: ['1.0.128', '2.1.329'] },
  {
    reason: 'auth_invalid',
    when: { text: /Invalid (bearer token|authentication credentials|API key)|invalid x-api-key/ },
    seenOn: ['1.0.128', '2.1.329'],
  },
  // Of all it may not do, the CLI tries again only what a revoked token asked for; its name for the rest is the same.
  {
    reason: 'auth_revoked',
    when: { subtype: 'api_retry', error: 'authentication_failed', status: 403 },
    seenOn: ['2.1.329'],
  },
  { reason: 'permission_denied', when: { status: 403 }, seenOn: ['2.1.329'] },
  { reason: 'permission_denied', when: { text: /^API Error: 403\b/ }, seenOn: ['1.0.128'] },
  { reason: 'auth_invalid', when: { error: 'authentication_failed' }, seenOn: ['2.1.329'] },
  { reason: 'auth_invalid', when: { status: 401 }, seenOn: ['2.1.329'] },
  { reason: 'auth_invalid', when: { text: /^API Error: 401\b/ }, seenOn: ['1.0.128'] },

  // A throttle, which another credential would meet as well.
  { reason: 'overloaded', when: { status: 429, text: /\(not your usage limit\)/ }, seenOn: ['2.1.329'] },
  { reason: 'rate_limited', when: { status: 429 }, seenOn: ['2.1.329'] },
  { reason: 'rate_limited', when: { error: 'rate_limit' }, seenOn: ['2.1.329'] },
  { reason: 'rate_limited', when: { text: /limit reached [∙·] resets/ }, seenOn: ['1.0.128'] },
  { reason: 'rate_limited', when: { text: /^Claude AI usage limit reached/ }, seenOn: ['1.0.128'] },
  { reason: 'rate_limited', when: { text: /^API Error: 429\b/ }, seenOn: ['field'] },

  { reason: 'overloaded', when: { status: 529 }, seenOn: ['2.1.329'] },
  { reason: 'overloaded', when: { apiType: 'overloaded_error' }, seenOn: ['2.1.329'] },
  { reason: 'overloaded', when: { text: /^API Error: 529\b|"type":"overloaded_error"/ }, seenOn: ['1.0.128'] },
  { reason: 'overloaded', when: { text: /^Repeated (server overload|529 Overloaded)/ }, seenOn: ['field'] },
  { reason: 'network', when: { apiError: 'connection_failed' }, seenOn: ['2.1.329'] },
  { reason: 'network', when: { text: /^API Error: Connection error/ }, seenOn: ['1.0.128'] },
  { reason: 'network', when: { text: /^Request timed out/ }, seenOn: ['1.0.128', '2.1.329'] },
  { reason: 'network', when: { text: /^API Error: Unable to connect to API/ }, seenOn: ['field'] },
  {
    reason: 'network',
    when: { text: /^API Error: .*\b(ECONNREFUSED|ECONNRESET|ENOTFOUND|ETIMEDOUT)\b/ },
    seenOn: ['field'],
  },
  { reason: 'provider_error', when: { error: 'server_error' }, seenOn: ['2.1.329'] },
  { reason: 'provider_error', when: { text: /^API Error: 5\d\d\b/ }, seenOn: ['1.0.128', '2.1.329'] },
];

/** What failed, or null when the evidence fits no rule: never a guess. */
export function classifyFailure(evidence: FailureEvidence): ReasonOf<'failed'> | null {
  return RULES.find((rule) => fits(rule, evidence))?.reason ?? null;
}

function fits(rule: Rule, evidence: FailureEvidence): boolean {
  return Object.entries(rule.when).every(([field, expected]) => {
    const value = evidence[field as keyof FailureEvidence];
    if (expected instanceof RegExp) return typeof value === 'string' && expected.test(value);
    return value === expected;
  });
}

/** Reasons that lie with the credential: the CLI's own tries at it are in vain. */
const CREDENTIAL_REASONS: readonly ReasonOf<'failed'>[] = ['auth_expired', 'auth_revoked', 'auth_invalid'];

export function isCredentialFailure(reason: ReasonOf<'failed'>): boolean {
  return CREDENTIAL_REASONS.includes(reason);
}

/** Lines on stderr of a CLI that ended without a result. Only what stands at the start of a line counts. */
const STDERR_RULES: readonly { reason: ReasonOf<'failed'>; pattern: RegExp; seenOn: readonly string[] }[] = [
  {
    reason: 'resume_not_found',
    pattern: /^No conversation found with session ID: /m,
    seenOn: ['1.0.128', '2.1.329'],
  },
  { reason: 'auth_invalid', pattern: /^(Error: )?Invalid API key · /m, seenOn: ['field'] },
  { reason: 'auth_invalid', pattern: /^(TypeError: |Error: )?Header .* has invalid value/m, seenOn: ['field'] },
];

export function classifyStderr(text: string): ReasonOf<'failed'> | null {
  return STDERR_RULES.find((rule) => rule.pattern.test(text))?.reason ?? null;
}

/** Older CLIs append the reset time to the text, in epoch seconds; 0 means they know none. */
export function resetTimeInText(text: string): number | null {
  const seconds = Number(/^Claude AI usage limit reached\|(\d{1,12})(?!\d)/.exec(text)?.[1] ?? 0);
  return seconds > 0 ? seconds * 1000 : null;
}
