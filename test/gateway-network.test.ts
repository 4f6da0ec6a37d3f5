import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, request as httpRequest } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ask, openWay, startGateway } from './support/gateway.js';
import { temporaryFolder } from './support/runs.js';

/** A proxy as a company has one: it forwards plain requests, makes tunnels on the machine, and notes both. */
async function startProxy() {
  const asked: string[] = [];
  const server = createServer((incoming, outgoing) => {
    asked.push(`${incoming.method} ${incoming.url}`);
    const onward = httpRequest(incoming.url ?? '', { method: incoming.method, headers: incoming.headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    incoming.pipe(onward);
  });
  server.on('connect', (incoming, socket, head: Buffer) => {
    asked.push(`CONNECT ${incoming.url}`);
    const target = new URL(`tcp://${incoming.url}`);
    if (target.hostname !== '127.0.0.1') {
      socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
      return;
    }
    const onward = connect(Number(target.port), target.hostname, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      onward.write(head);
      onward.pipe(socket).pipe(onward);
    });
    for (const end of [socket, onward]) end.on('error', () => undefined);
    socket.on('close', () => onward.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
      await Promise.resolve();
    },
  };
}

it.each([
  ['', true],
  ['127.0.0.1', false],
])("goes by the proxy of the sidecar's environment, but for what NO_PROXY names (%j)", async (noProxy, isByProxy) => {
  await using proxy = await startProxy();
  await using gateway = await startGateway({ env: { HTTP_PROXY: proxy.url, NO_PROXY: noProxy } });
  expect((await ask(await openWay(gateway))).status).toBe(200);
  expect(gateway.api.requests).toHaveLength(1);
  expect(proxy.asked.length > 0).toBe(isByProxy);
});

it('asks a proxy for a tunnel to a provider that is reached over TLS', async () => {
  await using proxy = await startProxy();
  await using gateway = await startGateway({ upstream: 'https://provider.test', env: { HTTPS_PROXY: proxy.url } });
  await expect(ask(await openWay(gateway))).rejects.toThrow('socket hang up');
  expect(proxy.asked).toEqual(['CONNECT provider.test:443']);
});

it('asks no proxy for http to reach a provider over TLS', async () => {
  await using proxy = await startProxy();
  await using gateway = await startGateway({ upstream: 'https://127.0.0.1:9', env: { HTTP_PROXY: proxy.url } });
  await expect(ask(await openWay(gateway))).rejects.toThrow('socket hang up');
  expect(proxy.asked).toEqual([]);
});

it('tells why the provider was not reached when a run fails for that', async () => {
  await using gateway = await startGateway({ upstream: 'http://127.0.0.1:9' });
  const isAsked = join(temporaryFolder(), 'asked');
  const way = await openWay(gateway, {
    after: [
      { do: 'waitForFile', path: isAsked },
      { do: 'assistant', text: 'API Error: Connection error.', error: 'server_error' },
      { do: 'result', is_error: true },
    ],
  });
  await expect(ask(way)).rejects.toThrow('socket hang up');
  writeFileSync(isAsked, '');
  expect(await way.execution.outcome).toMatchObject({
    reason: 'network',
    message: 'API Error: Connection error. The last request to the provider failed: connect ECONNREFUSED 127.0.0.1:9',
  });
});

/** Of the gateway of a sidecar that is started on a state folder, and stopped again. */
async function urlOf(stateDir: string): Promise<string> {
  await using gateway = await startGateway({ stateDir });
  return (await openWay(gateway)).url;
}

it('keeps its port over a restart, outside the range that clients get theirs from', async () => {
  const stateDir = temporaryFolder();
  const url = await urlOf(stateDir);
  expect(await urlOf(stateDir)).toBe(url);
  const [low = 0, high = 0] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8')
    .trim()
    .split(/\s+/)
    .map(Number);
  const port = Number(new URL(url).port);
  expect(port < low || port > high).toBe(true);
});

it('takes another port when its own is taken after a restart, and says so (R17)', async () => {
  const stateDir = temporaryFolder();
  const first = await urlOf(stateDir);
  const squatter = createServer().listen(Number(new URL(first).port), '127.0.0.1');
  await once(squatter, 'listening');
  await using gateway = await startGateway({ stateDir });
  const way = await openWay(gateway);
  expect(way.url).not.toBe(first);
  expect((await ask(way)).status).toBe(200);
  const line = await gateway.sidecar.waitForLog(({ msg }) => msg.includes('port is taken'));
  expect(line).toMatchObject({ port: Number(new URL(first).port) });
  squatter.close();
});
