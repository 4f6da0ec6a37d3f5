import { refusal } from '@outrigger/sdk/testing';
import { expect, it } from 'vitest';
import { ask, openWay, startGateway, TOKEN_A, TOKEN_B } from './support/gateway.js';

it('each line of the log names the agent, each about an execution that execution, and none a secret', async () => {
  await using gateway = await startGateway({ args: ['--agent-id=named-agent', '--log-level=trace'] });
  const { sidecar, api, agent } = gateway;
  const way = await openWay(gateway);
  const { id: executionId } = way.execution;
  expect((await ask(way, { path: '/v1/elsewhere' })).status).toBe(403);
  api.refuse(TOKEN_A, refusal.expired({ message: `OAuth token has expired: ${TOKEN_A}` }));
  const held = ask(way);
  await gateway.needed.waitFor();
  await agent.swapCredential(TOKEN_B);
  expect((await held).status).toBe(200);
  await way.execution.cancel();
  await way.execution.outcome;
  await sidecar.stop();

  expect(sidecar.log.filter(({ agentId }) => agentId !== 'named-agent')).toEqual([]);
  const named = new Set(sidecar.log.filter((line) => line['executionId'] === executionId).map(({ msg }) => msg));
  expect([...named]).toEqual(
    expect.arrayContaining([
      ...['execution started', 'request to the gateway refused', 'execution held', 'execution goes on'],
      ...['execution decided', 'execution ended'],
    ]),
  );
  const unnamed = sidecar.log.filter((line) => line['executionId'] === undefined).map(({ msg }) => msg);
  expect(unnamed.filter((message) => named.has(message))).toEqual([]);
  const text = JSON.stringify(sidecar.log);
  for (const secret of [TOKEN_A, TOKEN_B.secret, sidecar.token, way.placeholder]) expect(text).not.toContain(secret);
});
