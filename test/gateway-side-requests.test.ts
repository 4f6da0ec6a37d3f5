import { inOrder, refusal, text } from '@outrigger/sdk/testing';
import { expect, it } from 'vitest';
import { ask, MESSAGE, openWay, startGateway, TOKEN_A, TOKEN_B } from './support/gateway.js';

/** It asks a small model for one token before it says anything of itself. */
const VERSION = '1.0.128';

it.each([
  { onCredentialFailure: 'fail' },
  { onCredentialFailure: 'fail', model: 'haiku' },
  { onCredentialFailure: 'hold', holdTimeoutMs: 1 },
] as const)('does not end a run for what the CLI asks beside its turns: %j', async (request) => {
  const respondToSide = refusal.expired();
  await using gateway = await startGateway({ version: VERSION, respond: text('Done.'), respondToSide });
  const execution = await gateway.dispatch({ prompt: 'Hello', ...request });
  expect(await execution.outcome).toMatchObject({ status: 'succeeded', heldMs: 0 });
  expect(gateway.api.requests.find(({ kind }) => kind === 'side')).toMatchObject({ status: 401, secret: TOKEN_A });
});

it('knows the turns of a run with a long context, though it names its model in another way than it asks for it', async () => {
  const respond = inOrder([refusal.expired(), text('Done.')]);
  await using gateway = await startGateway({ version: VERSION, respond });
  const execution = await gateway.dispatch({ prompt: 'Hello', model: 'sonnet[1m]' });
  await gateway.needed.waitFor();
  for await (const event of execution) if (event.type === 'hold') break;
  await gateway.agent.swapCredential(TOKEN_B);
  expect(await execution.outcome).toMatchObject({ status: 'succeeded', credential: { generation: 2 } });
});

it('hands a refusal on to what asks beside the turns of a run that is to fail over one', async () => {
  await using gateway = await startGateway();
  gateway.api.refuse('all', refusal.expired());
  const way = await openWay(gateway, { onCredentialFailure: 'fail' });
  const title = { model: 'claude-small', max_tokens: 64, messages: [{ role: 'user', content: 'A title?' }] };
  for (const asked of [
    { method: 'GET', path: '/v1/models', body: null },
    { path: '/v1/messages/count_tokens' },
    { body: title },
  ]) {
    expect(await ask(way, asked)).toMatchObject({ status: 401, error: { type: 'authentication_error' } });
  }
  expect((await gateway.agent.status()).counts.live).toBe(1);
});

it('is not idle while what it asks beside its turns waits for a credential', async () => {
  await using gateway = await startGateway();
  gateway.api.refuse(TOKEN_A, refusal.expired());
  const way = await openWay(gateway, { idleTimeoutMs: 300 });
  const answered = ask(way, { body: { ...MESSAGE, max_tokens: 1 } });
  await gateway.needed.waitFor();
  // A run that only hangs shows that the time is over.
  const { execution } = await openWay(gateway, { idleTimeoutMs: 300 });
  expect(await execution.outcome).toMatchObject({ reason: 'idle' });
  await gateway.agent.swapCredential(TOKEN_B);
  expect(await answered).toMatchObject({ status: 200 });
});
