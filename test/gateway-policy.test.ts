import { hang, refusal, type Refusal } from '@outrigger/sdk/testing';
import { expect, it } from 'vitest';
import { script } from './support/fleet.js';
import { ask, openWay, startGateway } from './support/gateway.js';
import { processesIn } from './support/outside.js';

const RESETS_AT = Math.ceil(Date.now() / 1000) * 1000 + 3_600_000;
const limited = refusal.rateLimited({ claim: 'five_hour', resetsAt: RESETS_AT });

// 1.0.128 would try an expired token eleven times, and say nothing for three minutes.
it.each<['2.1.329' | '1.0.128', Refusal, object]>([
  ['1.0.128', refusal.expired(), { reason: 'auth_expired', retryable: false }],
  ['2.1.329', limited, { reason: 'rate_limited', retryable: true, retryAt: RESETS_AT }],
])(
  'fails at once where it is not to wait, in the words of the provider: the real Claude Code %s',
  async (version, answer, told) => {
    await using gateway = await startGateway({ version, respond: answer });
    const execution = await gateway.dispatch({ prompt: 'Hello', onCredentialFailure: 'fail' });
    const outcome = await execution.outcome;
    expect(outcome).toMatchObject({ status: 'failed', heldMs: 0, survivors: 0, ...told });
    expect(outcome.message).toContain(answer.message);
    expect(gateway.api.requests.filter(({ kind }) => kind === 'main')).toHaveLength(1);
    expect(gateway.needed.all).toEqual([]);
    expect(processesIn(gateway.home)).toEqual([]);
  },
);

it('holds nothing without a gateway, and says so', async () => {
  await using sidecar = await startGateway({ mode: 'env' });
  await expect(sidecar.dispatch({ prompt: 'Hello', onCredentialFailure: 'hold' })).rejects.toMatchObject({
    code: 'invalid',
    message: expect.stringContaining('--credential-mode gateway') as string,
  });
});

it('ends a run that has an answer of a model without having asked for one (C17)', async () => {
  await using gateway = await startGateway();
  const init = { do: 'init' } as const;
  const answer = { do: 'assistant', text: 'From elsewhere.' } as const;
  const bypassing = await gateway.dispatch({ prompt: script(init, answer, { do: 'hang' }) });
  expect(await bypassing.outcome).toMatchObject({ status: 'failed', reason: 'gateway_bypassed', survivors: 0 });
  const asking = await gateway.dispatch({ prompt: script(init, { do: 'request' }, answer, { do: 'result' }) });
  expect(await asking.outcome).toMatchObject({ status: 'succeeded' });
  // What the CLI says by itself is no answer of a model.
  const failing = { do: 'assistant', text: 'API Error', error: 'unknown' } as const;
  const offline = await gateway.dispatch({ prompt: script(init, failing, { do: 'result', is_error: true }) });
  expect((await offline.outcome).reason).not.toBe('gateway_bypassed');
});

it('takes no more than 256 requests of a run at a time, and says so', async () => {
  await using gateway = await startGateway({ respond: hang() });
  const way = await openWay(gateway);
  const answers = Array.from({ length: 257 }, () => ask(way));
  answers.forEach((answer) => void answer.catch(() => undefined));
  const { status, error } = await Promise.any(answers);
  expect({ status, error }).toMatchObject({ status: 429, error: { type: 'rate_limit_error' } });
  expect((await gateway.agent.status()).counts.live).toBe(1);
});
