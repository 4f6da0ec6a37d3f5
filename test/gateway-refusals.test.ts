import { LIMITS } from '@outrigger/protocol';
import {
  fromOverage,
  inOrder,
  rateLimitHeaders,
  type Refusal,
  refusal,
  silent,
  text,
  withStatus,
} from '@outrigger/sdk/testing';
import { describe, expect, it } from 'vitest';
import { CLAUDE_VERSIONS } from './support/claude.js';
import { collect } from './support/fleet.js';
import { ask, MESSAGE, openWay, startGateway, TOKEN_A, TOKEN_B } from './support/gateway.js';
import { RawClient } from './support/raw-client.js';

describe.each(CLAUDE_VERSIONS)('the real Claude Code %s', (version) => {
  it('hears nothing of a short throttle and of an overload, which are waited out in place (C13)', async () => {
    const respond = inOrder([refusal.throttled({ retryAfterSeconds: 1 }), refusal.overloaded(), text('Done.')]);
    await using gateway = await startGateway({ version, respond });
    const execution = await gateway.dispatch({ prompt: 'Hello' });
    expect(await execution.outcome).toMatchObject({ status: 'succeeded', heldMs: 0 });
    expect(JSON.stringify(await collect(execution))).not.toContain('api_retry');
    const turns = gateway.api.requests.filter(({ kind }) => kind === 'main');
    expect(turns.map(({ status }) => status)).toEqual([429, 529, 200]);
    // A timer may be one millisecond early.
    expect((turns[1]?.at ?? 0) - (turns[0]?.firstByteAt ?? 0)).toBeGreaterThanOrEqual(999);
    expect(gateway.needed.all).toEqual([]);
  });

  it('tries again and succeeds when the provider falls silent in mid-stream (C14)', async () => {
    const respond = inOrder([silent(2), text('Done.')]);
    await using gateway = await startGateway({ version, respond, args: ['--upstream-idle-timeout-ms=100'] });
    const execution = await gateway.dispatch({ prompt: 'Hello' });
    expect(await execution.outcome).toMatchObject({ status: 'succeeded', result: 'Done.' });
    const turns = gateway.api.requests.filter(({ kind }) => kind === 'main');
    expect(turns.map(({ ended }) => ended)).toEqual(['aborted', 'answered']);
  });
});

it('gives up waiting in place after so many times, and holds a throttle until it is over (C13)', async () => {
  const respond = inOrder([refusal.throttled({ retryAfterSeconds: 1 }), text('Done.')]);
  await using gateway = await startGateway({ respond, args: ['--waits-max=0'] });
  const before = Date.now();
  const answer = ask(await openWay(gateway));
  const notice = await gateway.needed.waitFor();
  expect(notice).toMatchObject({ reason: 'rate_limited', generation: 1 });
  expect(notice.retryAt).toBeGreaterThanOrEqual(before + 1000);
  expect((await answer).status).toBe(200);
  expect(gateway.changed.all).toEqual([]);
});

it('tells a host that comes later until when a limit lasts by what the provider said last', async () => {
  const soon = Math.ceil(Date.now() / 1000) * 1000 + 1000;
  const again = soon + 3_600_000;
  const respond = inOrder([refusal.rateLimited({ resetsAt: soon }), refusal.rateLimited({ resetsAt: again })]);
  await using gateway = await startGateway({ respond, args: ['--retry-after-max-ms=0'] });
  const { execution, ...way } = await openWay(gateway);
  void ask(way).catch(() => undefined);
  expect((await gateway.needed.waitFor()).retryAt).toBe(soon);
  for await (const event of execution) if (event.type === 'hold' && event.retryAt === again) break;
  await using late = await RawClient.connect(gateway.sidecar);
  expect(await late.waitFor('credential_needed')).toMatchObject({ retryAt: again, executions: [execution.id] });
  expect(gateway.needed.all).toHaveLength(1);
});

it('tells of a need though the request that meets it first names a model longer than any frame (C21)', async () => {
  await using gateway = await startGateway();
  gateway.api.refuse(TOKEN_A, refusal.expired());
  const answered = ask(await openWay(gateway), { body: { ...MESSAGE, model: 'm'.repeat(LIMITS.frameBytesMax) } });
  expect(await gateway.needed.waitFor()).not.toHaveProperty('model');
  await gateway.agent.swapCredential(TOKEN_B);
  expect((await answered).status).toBe(200);
});

it('tells the client of an overload that does not end', async () => {
  await using gateway = await startGateway({ respond: refusal.overloaded(), args: ['--waits-max=1'] });
  expect(await ask(await openWay(gateway))).toMatchObject({ status: 529, error: { type: 'overloaded_error' } });
  expect(gateway.api.requests).toHaveLength(2);
});

const RESETS_AT = Math.ceil(Date.now() / 1000) * 1000 + 3_600_000;
const CREDENTIAL = { scope: 'credential' };

it('tells what is wrong with a credential from how the provider refuses it (C21)', async () => {
  const refusals: readonly [Refusal, object][] = [
    [refusal.expired(), { reason: 'auth_expired', ...CREDENTIAL }],
    [refusal.revoked(), { reason: 'auth_revoked', ...CREDENTIAL }],
    [refusal.notAMember(), { reason: 'auth_revoked', ...CREDENTIAL }],
    [refusal.invalid(), { reason: 'auth_invalid', ...CREDENTIAL }],
    [refusal.notAllowedForOrganization(), { reason: 'auth_invalid', ...CREDENTIAL }],
    [withStatus(401, refusal.notAllowedForOrganization()), { reason: 'auth_invalid', ...CREDENTIAL }],
    [refusal.organizationDisabled(), { reason: 'billing', ...CREDENTIAL }],
    [refusal.billing(), { reason: 'billing', ...CREDENTIAL }],
    [
      refusal.rateLimited({ claim: 'seven_day', resetsAt: RESETS_AT }),
      { reason: 'rate_limited', window: 'seven_day', retryAt: RESETS_AT, ...CREDENTIAL },
    ],
    [
      refusal.rateLimited({ claim: 'seven_day_opus', resetsAt: RESETS_AT }),
      { reason: 'rate_limited', window: 'seven_day_opus', retryAt: RESETS_AT, scope: 'model', model: 'claude-fake' },
    ],
  ];
  await using gateway = await startGateway({ accept: [] });
  const way = await openWay(gateway);
  let secret: string = TOKEN_A;
  for (const [index, [answer, needed]] of refusals.entries()) {
    gateway.api.refuse(secret, answer);
    const answered = ask(way);
    const generation = index + 1;
    const notice = await gateway.needed.waitFor((event) => event.generation === generation);
    expect(notice).toMatchObject({ ...needed, message: answer.message, executions: [way.execution.id] });
    secret = `secret-${generation}`;
    gateway.api.accept([secret]);
    await gateway.agent.swapCredential({ id: secret, kind: 'oauth', secret });
    expect((await answered).status).toBe(200);
  }
  expect(gateway.needed.all).toHaveLength(refusals.length);
});

it('hands on what another credential would not help (C21)', async () => {
  await using gateway = await startGateway();
  const way = await openWay(gateway);
  const answers = [
    refusal.headerless429(),
    refusal.thinkingSignature(),
    refusal.missingScope(),
    refusal.promptTooLong(),
    refusal.modelNotFound(),
    refusal.serverError(),
  ];
  for (const answer of answers) {
    gateway.api.respondWith(answer);
    const { status, errorType: type, message } = answer;
    expect(await ask(way)).toMatchObject({ status, error: { type, message } });
  }
  expect(gateway.api.requests).toHaveLength(answers.length);
  expect(gateway.needed.all).toEqual([]);
});

it.each(['allow', 'avoid'] as const)('can %s answers from paid overage (C21)', async (overage) => {
  const respond = ({ secret }: { secret: string | undefined }) =>
    secret === TOKEN_A ? fromOverage() : text('Included.');
  await using gateway = await startGateway({ respond, args: [`--overage=${overage}`] });
  const answered = ask(await openWay(gateway));
  expect(await gateway.limits.waitFor()).toMatchObject({ status: 'rejected', isOverageInUse: true, generation: 1 });
  if (overage === 'avoid') {
    expect(await gateway.needed.waitFor()).toMatchObject({ reason: 'rate_limited', window: 'five_hour' });
    await gateway.agent.swapCredential(TOKEN_B);
  }
  const expected = overage === 'avoid' ? 'Included.' : 'Served from overage.';
  expect((await answered).body.toString()).toContain(expected);
});

it('takes a secret with a line end for the one it is (C21)', async () => {
  await using gateway = await startGateway({ accept: [TOKEN_B.secret], credential: `${TOKEN_A}\n` });
  const answered = ask(await openWay(gateway));
  await gateway.needed.waitFor();
  await gateway.agent.swapCredential({ ...TOKEN_B, secret: `${TOKEN_B.secret}\n` });
  expect((await answered).status).toBe(200);
  expect(gateway.api.requests.map(({ secret }) => secret)).toEqual([TOKEN_A, TOKEN_B.secret]);
});

it('tells of limits when they change, and only then', async () => {
  await using gateway = await startGateway();
  const way = await openWay(gateway);
  const used = (utilization: number) =>
    text('Hi.', { headers: rateLimitHeaders({ claim: 'five_hour', windows: { '5h': { utilization } } }) });
  for (const answer of [used(0.5), used(0.5), used(0.501), text('Nothing said.'), used(0.52), used(0.52)]) {
    gateway.api.respondWith(answer);
    await ask(way, { body: MESSAGE });
  }
  await gateway.limits.waitFor(({ windows }) => windows['5h']?.utilization === 0.52);
  expect(gateway.limits.all.map(({ windows }) => windows['5h']?.utilization)).toEqual([0.5, 0.52]);
  expect(gateway.limits.all[0]).toMatchObject({ status: 'allowed', window: 'five_hour', credentialId: 'standing' });
});
