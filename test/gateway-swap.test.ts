import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type OutriggerError } from '@outrigger/sdk';
import { type ApiRequest, refusal, type Step, text } from '@outrigger/sdk/testing';
import { expect, it, vi } from 'vitest';
import { collect, connectFleet, script, signal } from './support/fleet.js';
import {
  API_KEY,
  ask,
  Heard,
  openWay,
  startGateway,
  TOKEN_A,
  TOKEN_B,
  TOKEN_C,
  type TestGateway,
} from './support/gateway.js';
import { RawClient } from './support/raw-client.js';
import { temporaryFolder } from './support/runs.js';

const secretsSent = ({ api }: TestGateway) => api.requests.map(({ secret }) => secret);

it('tries a refusal of a credential that is in force no more again at once, and asks for nothing (C4)', async () => {
  const isSwapped = signal();
  const respond: Step = async ({ secret }) => {
    if (secret !== TOKEN_A) return text('Done.');
    await isSwapped.given;
    return refusal.expired();
  };
  await using gateway = await startGateway({ respond });
  const way = await openWay(gateway);
  const answer = ask(way);
  await gateway.api.waitForRequest(() => true);
  await gateway.agent.swapCredential(TOKEN_B);
  isSwapped.give();
  expect((await answer).status).toBe(200);
  expect(secretsSent(gateway)).toEqual([TOKEN_A, TOKEN_B.secret]);
  await gateway.agent.status();
  expect(gateway.needed.all).toEqual([]);
});

it('has one outcome and the new generation in force after a swap while a kill is under way (C10)', async () => {
  await using gateway = await startGateway();
  gateway.api.refuse(TOKEN_A, refusal.expired());
  const { execution, ...way } = await openWay(gateway, {
    before: [{ do: 'ignoreSignals', signals: ['SIGTERM'] }],
    graceMs: 300,
  });
  const answer = ask(way);
  await gateway.needed.waitFor();
  await execution.cancel();
  expect(await execution.decided).toMatchObject({ status: 'cancelled' });
  expect(await gateway.agent.swapCredential(TOKEN_B)).toBe(2);
  expect((await answer).status).toBe(200);
  expect(await execution.outcome).toMatchObject({ status: 'cancelled', reason: 'requested', survivors: 0 });
  expect((await collect(execution)).filter(({ type }) => type === 'outcome')).toHaveLength(1);
  expect(await gateway.agent.status()).toMatchObject({ generation: 2, credentialId: 'token-b' });
});

it('has one outcome after a swap while the result is being written (C10)', async () => {
  await using gateway = await startGateway();
  const folder = temporaryFolder();
  const [half, go] = [join(folder, 'half'), join(folder, 'go')];
  const result = JSON.stringify({ type: 'result', subtype: 'success', is_error: false, result: 'Done.', num_turns: 1 });
  const prompt = script(
    { do: 'init' },
    { do: 'request' },
    { do: 'write', text: result.slice(0, 30) },
    { do: 'touch', path: half },
    { do: 'waitForFile', path: go },
    { do: 'write', text: `${result.slice(30)}\n` },
  );
  const execution = await gateway.dispatch({ prompt });
  await vi.waitFor(() => expect(existsSync(half)).toBe(true));
  await gateway.agent.swapCredential(TOKEN_B);
  writeFileSync(go, '');
  const outcome = await execution.outcome;
  expect(outcome).toMatchObject({
    status: 'succeeded',
    result: 'Done.',
    credential: { id: 'standing', generation: 1 },
  });
  expect((await collect(execution)).filter(({ type }) => type === 'outcome')).toHaveLength(1);
});

it('goes on with the latest of two swaps made at once (C10)', async () => {
  await using gateway = await startGateway({ accept: [TOKEN_C.secret] });
  const execution = await gateway.dispatch({
    prompt: script({ do: 'init' }, { do: 'request' }, { do: 'result' }),
  });
  await gateway.needed.waitFor();
  const swaps = [gateway.agent.swapCredential(TOKEN_B), gateway.agent.swapCredential(TOKEN_C)];
  expect(await Promise.all(swaps)).toEqual([2, 3]);
  expect(await execution.outcome).toMatchObject({ status: 'succeeded', credential: { id: 'token-c', generation: 3 } });
  expect(secretsSent(gateway)).toEqual([TOKEN_A, TOKEN_B.secret, TOKEN_C.secret]);
  expect(await gateway.agent.status()).toMatchObject({ generation: 3, credentialId: 'token-c' });
});

it('lets one of two hosts have its way that answer the same need (C19)', async () => {
  await using gateway = await startGateway({ accept: [TOKEN_B.secret, TOKEN_C.secret] });
  await using other = await connectFleet(gateway.sidecar);
  const changed = new Heard(other.fleet, 'credentialChanged');
  const otherNeeded = new Heard(other.fleet, 'credentialNeeded');
  const way = await openWay(gateway);
  const answer = ask(way);
  const { generation } = await gateway.needed.waitFor();
  expect((await otherNeeded.waitFor()).generation).toBe(generation);
  const swaps = await Promise.allSettled([
    gateway.agent.swapCredential(TOKEN_B, { ifGeneration: generation }),
    other.agent.swapCredential(TOKEN_C, { ifGeneration: generation }),
  ]);
  const refused = swaps.flatMap((swap) => (swap.status === 'rejected' ? [swap.reason as OutriggerError] : []));
  expect(swaps.flatMap((swap) => (swap.status === 'fulfilled' ? [swap.value] : []))).toEqual([2]);
  expect(refused).toMatchObject([{ code: 'stale_generation', data: { generation: 2 } }]);
  expect((await answer).status).toBe(200);
  expect(await changed.waitFor()).toMatchObject({ generation: 2 });
  expect(gateway.changed.all).toHaveLength(1);
});

it('tells each host that comes of a need that stands, with all that wait, until it is met', async () => {
  await using gateway = await startGateway();
  gateway.api.refuse(TOKEN_A, refusal.expired());
  const ways = [await openWay(gateway), await openWay(gateway)];
  const answers = ways.map((way) => ask(way));
  await gateway.api.waitForRequest(() => gateway.api.requests.filter(({ ended }) => ended !== null).length === 2);
  for (const { execution } of ways) for await (const event of execution) if (event.type === 'hold') break;
  await using late = await RawClient.connect(gateway.sidecar);
  const notice = await late.waitFor('credential_needed');
  expect(notice).toMatchObject({ generation: 1, reason: 'auth_expired' });
  expect([...notice.executions].sort()).toEqual(ways.map(({ execution }) => execution.id).sort());
  await gateway.agent.swapCredential(TOKEN_B);
  expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200]);
  await using later = await RawClient.connect(gateway.sidecar);
  await later.settled();
  expect(later.frames.filter(({ type }) => type === 'credential_needed')).toEqual([]);
});

const shown = ({ headers }: ApiRequest) => ({
  authorization: headers.authorization,
  key: headers['x-api-key'],
  beta: headers['anthropic-beta'],
});
const AS_OAUTH = { authorization: `Bearer ${TOKEN_B.secret}`, key: undefined, beta: 'a-flag,oauth-2025-04-20' };
const AS_KEY = { authorization: undefined, key: API_KEY.secret, beta: 'a-flag' };

it('exchanges the headers and the beta flag when the kind of credential changes', async () => {
  await using gateway = await startGateway({
    credential: null,
    env: { ANTHROPIC_API_KEY: API_KEY.secret },
  });
  const keyed = await openWay(gateway);
  const asKey = { headers: { authorization: null, 'x-api-key': keyed.placeholder, 'anthropic-beta': 'a-flag' } };
  await ask(keyed, asKey);
  await gateway.agent.swapCredential(TOKEN_B);
  await ask(keyed, asKey);
  // Its placeholder is of the other kind.
  const bearing = await openWay(gateway);
  const asToken = { headers: { 'anthropic-beta': 'a-flag, oauth-2025-04-20' } };
  await ask(bearing, asToken);
  await gateway.agent.swapCredential(API_KEY);
  await ask(bearing, asToken);
  expect(gateway.api.requests.map(shown)).toEqual([AS_KEY, AS_OAUTH, AS_OAUTH, AS_KEY]);
});

it('carries a turn of the real Claude Code over a change of kind', async () => {
  await using gateway = await startGateway({ version: '2.1.329', accept: [API_KEY.secret] });
  const execution = await gateway.dispatch({ prompt: 'Hello' });
  await gateway.needed.waitFor();
  await gateway.agent.swapCredential(API_KEY);
  expect(await execution.outcome).toMatchObject({ status: 'succeeded', credential: { id: 'api-key' } });
});
