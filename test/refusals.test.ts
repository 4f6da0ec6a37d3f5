import {
  fromOverage,
  type MessageAnswer,
  type RateLimitClaim,
  type Refusal,
  refusal,
  startStandInApi,
  withStatus,
} from '@outrigger/sdk/testing';
import { expect, it } from 'vitest';
// The decision alone; the package does not offer it.
import { judge } from '../packages/sidecar/src/core/refusal.js';

const PASS = { kind: 'pass' };
const refused = (reason: string) => ({ kind: 'credential', reason, scope: 'credential' });

/** What each of the stand-in's refusals comes down to. A new one has no place to hide: the type wants them all. */
const EXPECTED: Record<keyof typeof refusal, object> = {
  expired: refused('auth_expired'),
  invalid: refused('auth_invalid'),
  invalidCredentials: refused('auth_invalid'),
  invalidApiKey: refused('auth_invalid'),
  notAllowedForOrganization: refused('auth_invalid'),
  notSupported: refused('auth_invalid'),
  revoked: refused('auth_revoked'),
  notAMember: refused('auth_revoked'),
  missingScope: PASS,
  organizationDisabled: refused('billing'),
  billing: refused('billing'),
  thinkingSignature: PASS,
  promptTooLong: PASS,
  modelNotFound: PASS,
  rateLimited: { ...refused('rate_limited'), window: 'five_hour', retryAt: expect.any(Number) as number },
  throttled: { kind: 'wait', afterMs: 1000 },
  headerless429: PASS,
  overloaded: { kind: 'wait', afterMs: 500 },
  serverError: PASS,
};

/** The judgement of an answer as it comes over the wire. */
async function judged(answer: Refusal | MessageAnswer, overage: 'allow' | 'avoid' = 'allow') {
  await using api = await startStandInApi({ respond: answer });
  const response = await fetch(`${api.url}/v1/messages`, {
    method: 'POST',
    headers: { authorization: 'Bearer token' },
    body: JSON.stringify({ model: 'claude-x', messages: [{ role: 'user', content: 'Hi' }] }),
  });
  const text = await response.text();
  return judge(
    {
      status: response.status,
      headers: (name) => response.headers.get(name) ?? undefined,
      body: response.status < 400 ? null : text,
    },
    { overage, retryAfterMaxMs: 60_000, overloadBackoffMs: 1000, overloadBackoffMaxMs: 30_000 },
    { nowEpochMs: Date.now(), triesBefore: 0, random: 0.5 },
  );
}

it.each(Object.keys(refusal) as (keyof typeof refusal)[])('refusal.%s is judged for what it is', async (name) => {
  const answer = refusal[name]();
  const judgement = await judged(answer);
  expect(judgement).toMatchObject(EXPECTED[name]);
  if (judgement.kind !== 'pass') expect(judgement.message).toBe(answer.message);
});

it.each<[status: number, name: keyof typeof refusal]>([
  [401, 'notAllowedForOrganization'],
  [403, 'notSupported'],
  [401, 'revoked'],
])('as %i, refusal.%s is what it is', async (status, name) => {
  expect(await judged(withStatus(status, refusal[name]()))).toMatchObject(EXPECTED[name]);
});

const resetsAt = Math.ceil(Date.now() / 1000) * 1000 + 7_200_000;

it.each<[RateLimitClaim, scope: string]>([
  ['five_hour', 'credential'],
  ['seven_day', 'credential'],
  ['seven_day_opus', 'model'],
  ['seven_day_sonnet', 'model'],
  ['seven_day_overage_included', 'model'],
])('a limit of %s is one of the %s, until it resets', async (claim, scope) => {
  const limit = { kind: 'credential', reason: 'rate_limited', window: claim, retryAt: resetsAt, scope };
  expect(await judged(refusal.rateLimited({ claim, resetsAt }))).toMatchObject(limit);
  expect(await judged(fromOverage(undefined, { claim, resetsAt }), 'avoid')).toMatchObject(limit);
  expect(await judged(fromOverage(undefined, { claim, resetsAt }))).toEqual(PASS);
});

it('a throttle is waited out for as long as it says, unless that is too long', async () => {
  expect(await judged(refusal.throttled({ retryAfterSeconds: 2 }))).toMatchObject({ kind: 'wait', afterMs: 2000 });
  expect(await judged(refusal.throttled({ retryAfterSeconds: 600 }))).toMatchObject(refused('rate_limited'));
});
