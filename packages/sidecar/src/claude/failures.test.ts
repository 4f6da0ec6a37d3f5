import { describe, expect, it } from 'vitest';
import {
  classifyFailure,
  classifyStderr,
  type FailureEvidence,
  isCredentialFailure,
  resetTimeInText,
} from './failures.js';

type Row = [reason: string, evidence: FailureEvidence];

const api = (status: number, type: string, message: string): FailureEvidence => ({
  text: `API Error: ${status} {"type":"error","error":{"type":"${type}","message":"${message}"}}`,
});

/** One row for each way in which a failure is told; those of one version first, then of the other, then from the field. */
const TOLD: Row[] = [
  ['max_turns', { subtype: 'error_max_turns' }],
  ['prompt_too_long', { text: 'Prompt is too long' }],
  ['prompt_too_long', api(400, 'invalid_request_error', 'prompt is too long: 210000 tokens > 200000 maximum')],
  ['prompt_too_long', { terminalReason: 'prompt_too_long', status: 400, error: 'invalid_request' }],
  ['resume_not_found', { text: 'No conversation found with session ID: x' }],
  ['model_unavailable', api(404, 'not_found_error', 'model: claude-none')],
  ['model_unavailable', { error: 'model_not_found', status: 404 }],
  ['model_unavailable', { text: "There's an issue with the selected model (x). It may not exist." }],
  ['billing', { text: 'Credit balance is too low' }],
  ['billing', { error: 'billing_error', status: 400 }],
  ['billing', { text: 'API Error: 400 This organization has been disabled.', status: 400 }],
  ['permission_denied', api(403, 'permission_error', 'OAuth token does not meet scope requirement user:profile')],
  ['permission_denied', { error: 'authentication_failed', status: 403 }],
  ['permission_denied', { status: 403 }],
  ['permission_denied', api(403, 'permission_error', 'Request not allowed')],
  ['auth_invalid', { text: 'Your account does not have access to Claude Code. Please run /login.' }],
  ['auth_invalid', { error: 'oauth_org_not_allowed', status: 403 }],
  ['auth_invalid', api(401, 'x', 'OAuth authentication is currently not allowed for this organization.')],
  ['auth_invalid', { text: 'OAuth authentication is currently not supported.', status: 403 }],
  ['auth_invalid', { apiError: 'invalid_credential_header', error: 'invalid_request' }],
  ['auth_invalid', { text: 'API Error: Headers.append: "Bearer a\nb" is an invalid header value.' }],
  ['auth_invalid', { text: "Header 'authorization' has invalid value: 'Bearer a\n'" }],
  ['auth_invalid', { text: "API Error: Header 'authorization' has invalid value" }],
  ['auth_revoked', { text: 'OAuth token revoked · Please run /login' }],
  ['auth_revoked', { text: 'API Error: 403 OAuth token has been revoked.', status: 403 }],
  ['auth_revoked', { text: '403 Account is no longer a member of the organization associated with this token.' }],
  ['auth_revoked', { subtype: 'api_retry', error: 'authentication_failed', status: 403 }],
  ['auth_expired', { text: 'API Error: 401 OAuth token has expired.', error: 'authentication_failed', status: 401 }],
  ['auth_expired', api(401, 'authentication_error', 'OAuth token has expired. Please obtain a new token.')],
  ['auth_invalid', { text: '401 Invalid bearer token' }],
  ['auth_invalid', { text: 'Invalid authentication credentials' }],
  ['auth_invalid', { text: 'Invalid API key · Fix external API key' }],
  ['auth_invalid', { text: 'invalid x-api-key' }],
  ['auth_invalid', { error: 'authentication_failed' }],
  ['auth_invalid', { status: 401 }],
  ['auth_invalid', api(401, 'authentication_error', 'something new')],
  ['overloaded', { status: 429, error: 'rate_limit', text: 'API Error: busy (not your usage limit) · Error' }],
  ['rate_limited', { status: 429 }],
  ['rate_limited', { error: 'rate_limit' }],
  ['rate_limited', { text: 'Session limit reached ∙ resets 8pm' }],
  ['rate_limited', { text: 'Weekly limit reached · resets 8pm' }],
  ['rate_limited', { text: 'Claude AI usage limit reached|1762952400' }],
  ['rate_limited', api(429, 'rate_limit_error', 'Error')],
  ['overloaded', { status: 529, error: 'server_error' }],
  ['overloaded', { apiType: 'overloaded_error', error: 'server_error' }],
  ['overloaded', { text: 'API Error: 529 Overloaded.' }],
  ['overloaded', api(500, 'overloaded_error', 'Overloaded')],
  ['overloaded', { text: 'Repeated 529 Overloaded errors' }],
  ['overloaded', { text: 'Repeated server overload with Opus model' }],
  ['network', { apiError: 'connection_failed', error: 'server_error' }],
  ['network', { text: 'API Error: Connection error.' }],
  ['network', { text: 'Request timed out', error: 'server_error' }],
  ['network', { text: 'API Error: Unable to connect to API (ECONNRESET)' }],
  ['network', { text: 'API Error: Unable to connect to API' }],
  ...['ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'ETIMEDOUT'].map((code): Row => [
    'network',
    { text: `API Error: ${code}` },
  ]),
  ['provider_error', { error: 'server_error', status: 500 }],
  ['provider_error', api(500, 'api_error', 'Internal server error')],
  ['provider_error', { text: 'API Error: 503 no healthy upstream' }],
];

describe('a failure', () => {
  it.each(TOLD)('is %s where it is told so: %o', (reason, evidence) => {
    expect(classifyFailure(evidence)).toBe(reason);
  });

  it.each<FailureEvidence>([
    {},
    { text: '' },
    { text: 'Something went wrong.' },
    { status: 400, error: 'invalid_request', apiType: 'invalid_request_error', terminalReason: 'api_error' },
    { status: 400, text: 'API Error: 400 messages.1.content.0: Invalid `signature` in `thinking` block' },
    { status: 400, text: 'API Error: 400 temperature is not supported.' },
    { status: 404, text: 'API Error: 404 no such page' },
    { error: 'unknown', subtype: 'error_during_execution' },
    { subtype: 'success' },
    { text: 'The API said: Prompt is too long' },
    { text: 'See: Credit balance is too low' },
    { text: 'Why Your account does not have access to Claude Code' },
    { text: 'it printed API Error: 401' },
    { text: 'API Error: 4010' },
    { text: 'it printed API Error: 403' },
    { text: 'API Error: 4290' },
    { text: 'it printed API Error: 429' },
    { text: 'it printed API Error: 529' },
    { text: 'API Error: 5290' },
    { text: 'API Error: 5000' },
    { text: 'it printed API Error: 500' },
    { text: 'My Claude AI usage limit reached|1' },
    { text: 'the limit reached 5' },
    { text: 'My Header x has invalid value' },
    { text: 'Header x' },
    { text: 'it said API Error: Headers.append: x is an invalid header value' },
    { text: 'it said Repeated 529 Overloaded' },
    { text: 'it said API Error: Connection error' },
    { text: 'it said Request timed out' },
    { text: 'it said API Error: Unable to connect to API' },
    { text: 'connect ECONNREFUSED' },
    { text: 'it said API Error: connect ECONNREFUSED' },
    { text: 'API Error: NOTECONNREFUSED' },
    { text: 'API Error: 400 "model: " is too long' },
    { text: 'it says prompt is too long: many tokens' },
  ])('is nothing known where that cannot be told for sure: %o', (evidence) => {
    expect(classifyFailure(evidence)).toBeNull();
  });

  it.each<[string, FailureEvidence]>([
    [
      'a disabled organisation over its status',
      { text: 'API Error: 401 This organization has been disabled.', status: 401 },
    ],
    ['a low balance over a rate limit', { error: 'billing_error', status: 429 }],
  ])('is told by what is exact before what is vague: %s', (_what, evidence) => {
    expect(classifyFailure(evidence)).toBe('billing');
  });

  it('lies with the credential for three reasons only, so that no other one costs it anything', () => {
    const reasons = [...new Set(TOLD.map(([reason]) => reason))];
    expect(reasons.filter((reason) => isCredentialFailure(reason as 'crashed')).sort()).toEqual([
      'auth_expired',
      'auth_invalid',
      'auth_revoked',
    ]);
  });
});

describe('stderr', () => {
  it.each([
    ['resume_not_found', 'No conversation found with session ID: x'],
    ['resume_not_found', 'a warning\nNo conversation found with session ID: x\n'],
    ['auth_invalid', 'Invalid API key · Please run /login'],
    ['auth_invalid', 'Error: Invalid API key · Fix external API key'],
    ['auth_invalid', "TypeError: Header 'authorization' has invalid value"],
    ['auth_invalid', "Error: Header 'authorization' has invalid value"],
    ['auth_invalid', "Header 'x' has invalid value"],
  ])('says %s with %j', (reason, text) => {
    expect(classifyStderr(text)).toBe(reason);
  });

  it.each([
    '',
    "error: unknown option '--no-such-option'",
    'tool: No conversation found with session ID: x',
    'No conversation found with session',
    'tool: Invalid API key · Please run /login',
    'Invalid API key',
    "tool: Header 'x' has invalid value",
    'Header x',
    'OAuth token has expired',
  ])('says nothing with %j', (text) => {
    expect(classifyStderr(text)).toBeNull();
  });
});

it.each([
  ['Claude AI usage limit reached|1762952400', 1_762_952_400_000],
  ['Claude AI usage limit reached|1762952400\nmore', 1_762_952_400_000],
  ['Claude AI usage limit reached|0', null],
  ['Claude AI usage limit reached|', null],
  ['Claude AI usage limit reached', null],
  ['Claude AI usage limit reached|-5', null],
  ['Claude AI usage limit reached|1762952400123456', null],
  ['My Claude AI usage limit reached|1762952400', null],
])('the time in %j is %s', (text, retryAt) => {
  expect(resetTimeInText(text)).toBe(retryAt);
});
