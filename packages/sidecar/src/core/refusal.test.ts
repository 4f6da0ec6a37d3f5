import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { classifyFailure } from '../claude/failures.js';
import { judge, type JudgeContext, type Judgement, type JudgePolicy } from './refusal.js';

const NOW = Date.parse('2026-03-01T12:00:00Z');
const HOUR = 3_600_000;
const POLICY: JudgePolicy = {
  overage: 'allow',
  retryAfterMaxMs: 60_000,
  overloadBackoffMs: 1000,
  overloadBackoffMaxMs: 30_000,
};
const CONTEXT: JudgeContext = { nowEpochMs: NOW, triesBefore: 0, random: 0.5 };

interface Given {
  headers?: Record<string, string>;
  policy?: Partial<JudgePolicy>;
  context?: Partial<JudgeContext>;
}

function judged(status: number, body: string | null, { headers = {}, policy, context }: Given = {}): Judgement {
  const answer = { status, body, headers: (name: string) => headers[name] };
  return judge(answer, { ...POLICY, ...policy }, { ...CONTEXT, ...context });
}

const json = (type: string, message: unknown) => JSON.stringify({ type: 'error', error: { type, message } });
const unified = (headers: Record<string, string>) =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [`anthropic-ratelimit-unified-${name}`, value]));
const PASS = { kind: 'pass' };

// As the provider answered.
const EXPIRED = 'OAuth token has expired. Please obtain a new token or refresh your existing token.';
const NOT_ALLOWED = 'OAuth authentication is currently not allowed for this organization.';
const NOT_SUPPORTED = 'OAuth authentication is currently not supported.';
const REVOKED = 'OAuth token has been revoked. Please obtain a new token.';
const NOT_A_MEMBER = 'Account is no longer a member of the organization associated with this token.';
const SCOPE = 'OAuth token does not meet scope requirement user:profile';
const DISABLED = 'This organization has been disabled.';
const NO_CREDIT =
  'Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.';
const WINDOW_USED_UP = "This request would exceed your account's rate limit. Please try again later.";

describe('refusals of the credential', () => {
  const recorded: [status: number, type: string, message: string, reason: string][] = [
    [401, 'authentication_error', EXPIRED, 'auth_expired'],
    [401, 'authentication_error', 'Invalid bearer token', 'auth_invalid'],
    [401, 'authentication_error', 'Invalid authentication credentials', 'auth_invalid'],
    [401, 'authentication_error', 'invalid x-api-key', 'auth_invalid'],
    [401, 'authentication_error', NOT_ALLOWED, 'auth_invalid'],
    [403, 'permission_error', NOT_ALLOWED, 'auth_invalid'],
    [401, 'authentication_error', NOT_SUPPORTED, 'auth_invalid'],
    [403, 'permission_error', NOT_SUPPORTED, 'auth_invalid'],
    [401, 'authentication_error', 'Something new', 'auth_invalid'],
    [403, 'permission_error', REVOKED, 'auth_revoked'],
    [403, 'permission_error', 'OAuth token revoked', 'auth_revoked'],
    [401, 'authentication_error', REVOKED, 'auth_revoked'],
    [403, 'permission_error', NOT_A_MEMBER, 'auth_revoked'],
    [400, 'invalid_request_error', DISABLED, 'billing'],
    [400, 'invalid_request_error', NO_CREDIT, 'billing'],
  ];

  it.each(recorded)('%i %s: %s → %s', (status, type, message, reason) => {
    expect(judged(status, json(type, message))).toStrictEqual({
      kind: 'credential',
      reason,
      message,
      scope: 'credential',
    });
  });

  it.each(recorded)('%i %s: %s is not read otherwise in the words of the CLI', (status, type, text, reason) => {
    expect([reason, null]).toContain(classifyFailure({ status, apiType: type, text }));
  });

  it.each([
    ['<html>Unauthorized: OAuth token has expired</html>'],
    [''],
    [null],
    ['null'],
    ['{"error":"OAuth token has expired"}'],
    ['{"error":{"message":"OAuth token has expired"}}'],
    ['['.repeat(65_536)],
    ['{"error":'.repeat(7000)],
  ])('401 without an error in the provider’s shape says that the credential is invalid (%#)', (body) => {
    const message = 'The provider answered 401.';
    expect(judged(401, body)).toStrictEqual({
      kind: 'credential',
      reason: 'auth_invalid',
      message,
      scope: 'credential',
    });
  });

  it('401 of an error type that has nothing to do with it is not read for its text', () => {
    expect(judged(401, json('api_error', EXPIRED))).toMatchObject({ reason: 'auth_invalid', message: EXPIRED });
  });
});

describe('what has nothing to do with the credential passes', () => {
  it.each<[number, string, string]>([
    [403, 'permission_error', SCOPE],
    [403, 'permission_error', 'You may not use this.'],
    [403, 'invalid_request_error', REVOKED],
    [400, 'invalid_request_error', 'messages.1.content.0: Invalid `signature` in `thinking` block'],
    [400, 'invalid_request_error', 'prompt is too long: 210000 tokens > 200000 maximum'],
    [400, 'invalid_request_error', `messages.0.content: "${DISABLED}"`],
    [400, 'invalid_request_error', `messages.0.content: "${NO_CREDIT}"`],
    [400, 'invalid_request_error', EXPIRED],
    [400, 'api_error', DISABLED],
    [400, 'authentication_error', EXPIRED],
    [404, 'not_found_error', 'model: claude-none'],
    [404, 'authentication_error', EXPIRED],
    [403, 'permission_error', DISABLED],
    [500, 'api_error', 'Internal server error'],
    [502, 'authentication_error', EXPIRED],
    [503, 'api_error', 'overloaded_error'],
  ])('%i %s: %s', (status, type, message) => {
    expect(judged(status, json(type, message))).toStrictEqual(PASS);
  });

  it.each([
    [400, 'This organization has been disabled.'],
    [403, 'OAuth token has been revoked'],
    [403, json('permission_error', { text: REVOKED })],
    [500, '{"type":"overloaded_error"}'],
    [500, null],
  ])('%i %j', (status, body) => {
    expect(judged(status, body)).toStrictEqual(PASS);
  });

  it.each([200, 299, 300, 307, 399])('%i, whatever the policy', (status) => {
    const headers = { ...unified({ status: 'allowed', 'overage-in-use': 'false' }), 'retry-after': '5' };
    expect(judged(status, null, { headers })).toStrictEqual(PASS);
    expect(judged(status, null, { headers, policy: { overage: 'avoid' } })).toStrictEqual(PASS);
    expect(judged(status, null)).toStrictEqual(PASS);
    expect(judged(status, null, { policy: { overage: 'avoid' } })).toStrictEqual(PASS);
  });
});

describe('429', () => {
  const BODY = json('rate_limit_error', WINDOW_USED_UP);
  const limited = (headers: Record<string, string>) => judged(429, BODY, { headers });
  const rateLimited = { kind: 'credential', reason: 'rate_limited', message: WINDOW_USED_UP };

  it.each([
    ['2', 2000],
    ['60', 60_000],
    ['2, 2', 2000],
    ['Sun, 01 Mar 2026 12:00:10 GMT', 10_000],
  ])('with `retry-after: %s` is waited out', (retryAfter, afterMs) => {
    const wait = { kind: 'wait', afterMs, message: WINDOW_USED_UP };
    expect(limited({ 'retry-after': retryAfter })).toStrictEqual(wait);
    expect(limited({ 'retry-after': retryAfter, ...unified({ status: 'rejected', reset: '1' }) })).toStrictEqual(wait);
  });

  it.each(['0', 'Sun, 01 Mar 2026 11:00:00 GMT'])('with `retry-after: %s` is not tried without pause', (retryAfter) => {
    expect(limited({ 'retry-after': retryAfter })).toMatchObject({ kind: 'wait', afterMs: 500 });
  });

  it.each([
    ['five_hour', 'credential'],
    ['seven_day', 'credential'],
    ['seven_day_opus', 'model'],
    ['seven_day_sonnet', 'model'],
    ['seven_day_overage_included', 'model'],
    ['a_new_one', 'credential'],
  ])('of %s is one of the %s', (window, scope) => {
    const reset = String(NOW / 1000 + 7200);
    const headers = unified({ status: 'rejected', 'representative-claim': window, reset });
    expect(limited({ ...headers, 'retry-after': '7300' })).toStrictEqual({
      ...rateLimited,
      window,
      scope,
      retryAt: NOW + 2 * HOUR,
    });
  });

  it('is to be tried again when the window begins anew, or else after `retry-after`', () => {
    const claim = { status: 'rejected', 'representative-claim': 'five_hour' };
    const own = { '5h-reset': String(NOW / 1000 + 1800) };
    const past = { reset: String(NOW / 1000) };
    const after = { 'retry-after': '3600' };
    expect(limited({ ...unified({ ...claim, ...own }), ...after })).toMatchObject({ retryAt: NOW + HOUR / 2 });
    expect(limited({ ...unified({ ...claim, ...past }), ...after })).toMatchObject({ retryAt: NOW + HOUR });
    expect(limited({ ...unified(claim), ...after })).toMatchObject({ retryAt: NOW + HOUR });
    expect(limited(unified({ ...claim, ...past }))).toStrictEqual({
      ...rateLimited,
      window: 'five_hour',
      scope: 'credential',
    });
  });

  it('that names no window is one of the credential', () => {
    expect(limited(unified({ status: 'rejected' }))).toStrictEqual({ ...rateLimited, scope: 'credential' });
  });

  it('without unified headers that is too long to be waited out is one of the credential', () => {
    const expected = { ...rateLimited, retryAt: NOW + 61_000, scope: 'credential' };
    expect(limited({ 'retry-after': '61' })).toStrictEqual(expected);
    expect(limited({ 'retry-after': '60.001' })).toMatchObject({ kind: 'credential' });
  });

  it.each<[string, Record<string, string>]>([
    ['no headers', {}],
    ['limits that are not used up', unified({ status: 'allowed', '5h-utilization': '0.1' })],
    [
      'a long `retry-after` and limits that are not used up',
      { ...unified({ status: 'allowed' }), 'retry-after': '3600' },
    ],
    ['a `retry-after` that no date can be', { 'retry-after': '9'.repeat(20) }],
    ['a negative `retry-after`', { 'retry-after': '-1' }],
    ['a `retry-after` that is none', { 'retry-after': 'NaN' }],
  ])('with %s passes', (_what, headers) => {
    expect(limited(headers)).toStrictEqual(PASS);
  });

  it('that is not JSON is judged by its headers', () => {
    expect(judged(429, 'Too many', { headers: unified({ status: 'rejected' }) })).toStrictEqual({
      kind: 'credential',
      reason: 'rate_limited',
      message: 'The provider answered 429.',
      scope: 'credential',
    });
  });

  it('limits on an answer with another status condemn nothing', () => {
    const headers = { ...unified({ status: 'rejected', 'overage-in-use': 'true' }), 'retry-after': '5' };
    for (const status of [300, 307, 400, 403, 404, 500]) {
      const given: Given = { headers, policy: { overage: 'avoid' } };
      expect(judged(status, status < 400 ? null : BODY, given)).toStrictEqual(PASS);
    }
  });
});

describe('a good answer from overage', () => {
  const headers = unified({
    status: 'rejected',
    'representative-claim': 'seven_day_opus',
    'overage-in-use': 'true',
    reset: String(NOW / 1000 + 3600),
  });

  it('passes where overage is allowed', () => {
    expect(judged(200, null, { headers })).toStrictEqual(PASS);
  });

  it('is a limit used up where it is to be avoided', () => {
    expect(judged(200, null, { headers, policy: { overage: 'avoid' } })).toStrictEqual({
      kind: 'credential',
      reason: 'rate_limited',
      message: 'The included quota is used up; paid overage served the request.',
      window: 'seven_day_opus',
      retryAt: NOW + HOUR,
      scope: 'model',
    });
  });

  it.each([{ status: 'allowed' }, { 'overage-in-use': 'false' }])('is none with %j', (other) => {
    const given = { headers: { ...headers, ...unified(other) }, policy: { overage: 'avoid' } } as const;
    expect(judged(200, null, given)).toStrictEqual(PASS);
  });
});

describe('an overload', () => {
  const BODY = json('overloaded_error', 'Overloaded');
  const afterMs = (context: Partial<JudgeContext>, policy?: Partial<JudgePolicy>) => {
    const judgement = judged(529, BODY, { context, ...(policy && { policy }) });
    return judgement.kind === 'wait' ? judgement.afterMs : judgement.kind;
  };

  it.each([
    [529, BODY, 'Overloaded'],
    [529, '<html>', 'The provider answered 529.'],
    [500, BODY, 'Overloaded'],
    [503, json('overloaded_error', 7), 'The provider answered 503.'],
    [429, BODY, 'Overloaded'],
  ])('%i %s is waited out', (status, body, message) => {
    expect(judged(status, body)).toStrictEqual({ kind: 'wait', afterMs: 500, message });
  });

  it('is waited out longer each time, up to a bound', () => {
    expect([0, 1, 2, 4, 5, 50, 5000].map((triesBefore) => afterMs({ triesBefore, random: 1 }))).toStrictEqual([
      1000, 2000, 4000, 16_000, 30_000, 30_000, 30_000,
    ]);
  });

  it('is waited out by chance, never not at all', () => {
    expect([0, 0.0001, 0.25, 1].map((random) => afterMs({ random }))).toStrictEqual([1, 1, 250, 1000]);
    expect(afterMs({ triesBefore: 5000 }, { overloadBackoffMs: 0 })).toBe(1);
  });

  it.each([
    ['7', 7000],
    ['60', 60_000],
    ['61', 500],
    ['0', 500],
    ['-7', 500],
  ])('with `retry-after: %s` is waited out for %i ms', (retryAfter, expected) => {
    expect(judged(529, BODY, { headers: { 'retry-after': retryAfter } })).toMatchObject({ afterMs: expected });
  });
});

describe('the message', () => {
  const shown = (message: string) => {
    const judgement = judged(401, json('authentication_error', message));
    return judgement.kind === 'credential' ? judgement.message : judgement.kind;
  };

  it('is cut to 300 characters, none of them by half', () => {
    expect(shown('x'.repeat(300))).toBe('x'.repeat(300));
    expect(shown('x'.repeat(10_000))).toBe('x'.repeat(300));
    expect(shown(`${'x'.repeat(299)}😀`)).toBe('x'.repeat(299));
    expect(shown(`${'x'.repeat(298)}😀!`)).toBe(`${'x'.repeat(298)}😀`);
  });

  it('has nothing in it that a terminal would obey', () => {
    expect(shown('\u001b[2JBad\r\n\ttoken\u0007 ')).toBe('[2JBad token');
  });

  it('is one of ours where there is none', () => {
    expect(shown(' \n')).toBe('The provider answered 401.');
  });
});

it('whatever is sent, the judgement is one that can be acted on', () => {
  const words = fc.oneof(
    fc.string(),
    fc.double().map(String),
    fc.constantFrom('rejected', 'five_hour', 'true', '3600'),
  );
  const names = ['status', 'reset', 'representative-claim', '5h-reset', 'overage-in-use'];
  const headers = fc.record(
    {
      'retry-after': words,
      ...Object.fromEntries(names.map((name) => [`anthropic-ratelimit-unified-${name}`, words])),
    },
    { requiredKeys: [] },
  );
  const body = fc.oneof(
    fc.string(),
    fc.json(),
    fc.string().map((text) => json('overloaded_error', text)),
  );
  const context = fc.record({ triesBefore: fc.nat(), random: fc.double({ min: 0, max: 1, noNaN: true }) });
  fc.assert(
    fc.property(fc.constantFrom(200, 302, 400, 401, 403, 429, 500, 529), headers, body, context, (...drawn) => {
      const [status, sent, text, given] = drawn;
      const policy = { overage: 'avoid' } as const;
      const judgement = judged(status, status < 400 ? null : text, { headers: sent, context: given, policy });
      if (judgement.kind === 'wait') {
        expect(judgement.afterMs).toBeGreaterThan(0);
        expect(judgement.afterMs).toBeLessThanOrEqual(POLICY.retryAfterMaxMs);
      }
      if (judgement.kind === 'credential' && judgement.retryAt !== undefined) {
        expect(judgement.retryAt).toBeGreaterThan(NOW);
        expect(new Date(judgement.retryAt).getTime()).not.toBeNaN();
      }
      if (judgement.kind !== 'pass') expect(judgement.message.length).toBeLessThanOrEqual(300);
    }),
  );
});
