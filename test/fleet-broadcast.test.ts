import { createFleet } from '@outrigger/sdk';
import { expect, it } from 'vitest';
import { turn } from './support/conversation.js';
import { collect, script } from './support/fleet.js';
import { startSidecar } from './support/sidecar.js';
import { TcpProxy } from './support/tcp-proxy.js';

it('a broadcast reaches each running execution that carries the labels, itself or by its agent, once, and says who was not', async () => {
  await using here = await startSidecar({ args: ['--agent-id=here'], maxExecutions: 9 });
  await using there = await startSidecar({ args: ['--agent-id=there'] });
  await using away = await startSidecar({ args: ['--agent-id=away'] });
  await using proxy = await TcpProxy.to(away.url);
  await using first = createFleet();
  await using second = createFleet();
  const [agent] = await Promise.all([
    first.connect({ ...here, labels: { zone: 'a' } }),
    first.connect({ ...there, labels: { zone: 'b' } }),
    first.connect({ url: proxy.url, token: away.token, labels: { zone: 'a' } }),
    second.connect({ ...here, labels: { zone: 'a' } }),
  ]);
  const elsewhere = await first.dispatch({
    ...{ executionId: 'elsewhere', prompt: script(...turn('zero')), interactive: true, labels: { team: 'x' } },
    agentLabels: { zone: 'b' },
  });
  const start = (executionId: string, team: string, interactive: boolean) =>
    agent.dispatch({ executionId, prompt: script(...turn('zero')), interactive, labels: { team } });
  const [one, two, other] = await Promise.all(
    ['one', 'two', 'other'].map((id) => start(id, id === 'other' ? 'y' : 'x', true)),
  );
  const deaf = await agent.dispatch({ executionId: 'deaf', prompt: script({ do: 'hang' }), labels: { team: 'x' } });
  const isGone = new Promise((resolve) => first.once('agentUnreachable', resolve));
  proxy.refuse(true);
  proxy.cut();
  await isGone;

  const message = script(...turn('told'));
  const reports = await Promise.all(
    [first, second].map((fleet) => fleet.broadcast({ labels: { zone: 'a', team: 'x' } }, message, { messageId: 'm' })),
  );
  for (const { reached, failed } of reports) {
    expect(reached.sort()).toEqual(['one', 'two']);
    expect(failed).toMatchObject([{ executionId: 'deaf', agentId: 'here', error: { code: 'not_interactive' } }]);
  }
  expect(reports.map(({ unreached }) => unreached)).toEqual([['away'], []]);
  await deaf.cancel();
  const all = [one, two, other, elsewhere];
  for (const execution of all) await execution?.end();
  const told = await Promise.all(all.map(async (execution) => execution && collect(execution.text())));
  expect(told).toEqual([['zero', 'told'], ['zero', 'told'], ['zero'], ['zero']]);
});
