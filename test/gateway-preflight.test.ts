import { hang, refusal } from '@outrigger/sdk/testing';
import { expect, it } from 'vitest';
import { ask, openWay, startGateway, TOKEN_B } from './support/gateway.js';

const RESETS_AT = Math.ceil(Date.now() / 1000) * 1000 + 3_600_000;
const ASKED = { preflight: true };

it.each(['gateway', 'env'] as const)(
  'finds a credential good by one cheap request, however many ask, in %s mode',
  async (mode) => {
    await using gateway = await startGateway({ mode });
    const before = Date.now();
    const answers = await Promise.all(Array.from({ length: 5 }, () => gateway.agent.status(ASKED)));
    for (const { preflight } of answers) {
      expect(preflight).toMatchObject({ verdict: 'good' });
      expect(preflight?.seenAt).toBeGreaterThanOrEqual(before);
    }
    const execution = await gateway.dispatch({ prompt: 'Hello', preflight: true });
    expect(execution.id).toBeDefined();
    expect(gateway.api.requests.map(({ method, path }) => `${method} ${path}`)).toEqual(['GET /v1/models?limit=1']);
    expect((await gateway.agent.status()).preflight).toBeUndefined();
  },
);

it('refuses a dispatch on a credential that the provider refuses, until there is another one', async () => {
  await using gateway = await startGateway({ accept: [TOKEN_B.secret] });
  gateway.api.refuse('all', refusal.expired(), { times: 1 });
  const told = { code: 'credential_refused', data: { reason: 'auth_expired' } };
  await expect(gateway.dispatch({ prompt: 'Hello', preflight: true })).rejects.toMatchObject(told);
  const { preflight } = await gateway.agent.status(ASKED);
  expect(preflight).toMatchObject({ verdict: 'refused', reason: 'auth_expired' });
  expect(preflight?.message).toContain('OAuth token has expired');
  expect(gateway.api.requests).toHaveLength(1);
  await gateway.agent.swapCredential(TOKEN_B);
  await gateway.dispatch({ prompt: 'Hello', preflight: true });
  expect(gateway.api.requests).toHaveLength(2);
});

it('knows of a limit from the requests of a run, and says until when', async () => {
  await using gateway = await startGateway();
  gateway.api.refuse('all', refusal.rateLimited({ resetsAt: RESETS_AT }));
  void ask(await openWay(gateway)).catch(() => undefined);
  await gateway.needed.waitFor();
  const told = { code: 'credential_refused', data: { reason: 'rate_limited', retryAt: RESETS_AT } };
  await expect(gateway.dispatch({ prompt: 'Hello', preflight: true })).rejects.toMatchObject(told);
  expect(gateway.api.requests).toHaveLength(1);
});

it('condemns no credential for the limit of one model, nor for a fault of the provider', async () => {
  await using gateway = await startGateway();
  gateway.api.refuse('all', refusal.rateLimited({ claim: 'seven_day_opus', resetsAt: RESETS_AT }), { times: 1 });
  void ask(await openWay(gateway)).catch(() => undefined);
  expect(await gateway.needed.waitFor()).toMatchObject({ scope: 'model' });
  gateway.api.refuse('all', refusal.serverError(), { times: 1 });
  expect((await gateway.agent.status(ASKED)).preflight).toEqual({ verdict: 'unknown' });
  expect((await gateway.agent.status(ASKED)).preflight).toMatchObject({ verdict: 'good' });
});

it('leaves open within seconds what a provider that does not answer thinks, and refuses nothing', async () => {
  await using gateway = await startGateway();
  gateway.api.refuse('all', hang());
  const [{ preflight }, execution] = await Promise.all([
    gateway.agent.status(ASKED),
    gateway.dispatch({ prompt: 'Hello', preflight: true }),
  ]);
  expect(preflight).toEqual({ verdict: 'unknown' });
  expect(execution.id).toBeDefined();
  await gateway.api.waitForRequest(({ ended }) => ended === 'aborted');
  expect(gateway.api.requests).toHaveLength(1);
});
