import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectFleet, nextEvent, script } from './support/fleet.js';
import { RawClient } from './support/raw-client.js';
import { hasPrinted, makeFolder, until } from './support/runs.js';
import { startSidecar, type TestSidecar } from './support/sidecar.js';
import { TcpProxy } from './support/tcp-proxy.js';

const WAYS = ['both', 'to the client', 'to the sidecar'] as const;

describe('a network that carries nothing any more, without a word (R6)', () => {
  let sidecar: TestSidecar;
  const folder = makeFolder();
  beforeAll(async () => {
    sidecar = await startSidecar({ maxExecutions: 2 * WAYS.length });
  });
  afterAll(async () => {
    await sidecar[Symbol.asyncDispose]();
    folder.remove();
  });
  const gateOf = (id: string) => join(folder.path, id.replaceAll(' ', '-'));

  // Its deadline is no option of a sidecar's, so all of them wait for it at the same time.
  it.concurrent.each(WAYS)(
    '%s: the sidecar notices, and the run and its outcome come to no harm',
    async (way) => {
      const id = `raw-${WAYS.indexOf(way)}`;
      await using proxy = await TcpProxy.to(sidecar.url);
      await using client = await RawClient.connect({ url: proxy.url, token: sidecar.token });
      await client.dispatch(id, until(gateOf(id)));
      await hasPrinted(client, id);
      proxy.fallSilent(way);
      await client.closed;
      writeFileSync(gateOf(id), '');
      await using again = await RawClient.connect({ url: proxy.url, token: sidecar.token });
      expect(await again.outcome(id)).toMatchObject({ status: 'succeeded' });
    },
    90_000,
  );

  it.concurrent.each(WAYS)('%s: the host notices, and goes on where it was', async (way) => {
    const id = `sdk-${WAYS.indexOf(way)}`;
    await using proxy = await TcpProxy.to(sidecar.url);
    const timing = { pingIntervalMs: 200, inboundDeadlineMs: 1000 };
    await using host = await connectFleet(sidecar, { url: proxy.url, ...timing });
    const prompt = script({ do: 'write', text: 'before\n' }, ...until(gateOf(id)));
    const execution = await host.agent.dispatch({ executionId: id, prompt });
    const lines: string[] = [];
    for await (const event of execution) {
      if (event.type !== 'message') continue;
      lines.push(event.line);
      if (event.line !== 'before') continue;
      const [lost, back] = [nextEvent(host.fleet, 'agentUnreachable'), nextEvent(host.fleet, 'agentBack')];
      proxy.fallSilent(way);
      await lost;
      await back;
      writeFileSync(gateOf(id), '');
    }
    expect(lines.filter((line) => line === 'before')).toHaveLength(1);
    expect(await execution.outcome).toMatchObject({ status: 'succeeded' });
    expect(proxy.connections).toBe(2);
  });
});
