import { once } from 'node:events';
import { connect } from 'node:net';
import { text as readText } from 'node:stream/consumers';
import { hang, text } from '@outrigger/sdk/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ask, type Ask, openWay, startGateway, type TestGateway, type Way } from './support/gateway.js';

const GO_AROUND = /to reach the provider with a key of your own, unset ANTHROPIC_BASE_URL/;

let gateway: TestGateway;
let way: Way;
beforeAll(async () => {
  gateway = await startGateway({ maxExecutions: 10 });
  way = await openWay(gateway);
});
afterAll(() => gateway[Symbol.asyncDispose]());

/** What is sent on is never more than what a test itself lets through. */
const forwarded = () => gateway.api.requests.length;

/** A request line and headers as no HTTP client would write them. */
async function askRaw(target: string, headers: Record<string, string> = {}): Promise<string> {
  const { hostname, port, host } = new URL(way.url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  const all = {
    host,
    authorization: `Bearer ${way.placeholder}`,
    'content-length': '2',
    connection: 'close',
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`POST ${target} HTTP/1.1\r\n${lines.join('')}\r\n{}`);
  return readText(socket);
}

describe('a request of something that is no run', () => {
  it.each<[string, Ask]>([
    ['no credential at all', { headers: { authorization: null } }],
    [
      'a placeholder that was never given out',
      { headers: { authorization: 'Bearer sk-ant-oat01-outrigger-placeholder-x' } },
    ],
    ['a credential in another scheme', { headers: { authorization: 'Basic eDp5' } }],
    ['a real key', { headers: { authorization: null, 'x-api-key': 'sk-ant-api03-of-its-own' } }],
  ])('is refused with %s, and told how to go around (C15)', async (_what, asked) => {
    const before = forwarded();
    const answer = await ask(way, asked);
    expect(answer).toMatchObject({ status: 403, error: { type: 'permission_error' } });
    expect(answer.error?.message).toMatch(GO_AROUND);
    expect(forwarded()).toBe(before);
  });

  it('is refused with the placeholder of a run that has ended, and its open requests end with it (C15)', async () => {
    const ended = await openWay(gateway);
    gateway.api.respondWith(hang());
    const before = forwarded() + 1;
    const open = ask(ended).catch((error: unknown) => error);
    await gateway.api.waitForRequest(() => forwarded() === before);
    await ended.execution.cancel();
    await ended.execution.outcome;
    expect(await open).toMatchObject({ code: 'ECONNRESET' });
    await gateway.api.waitForRequest(({ ended: how }) => how === 'aborted');
    gateway.api.respondWith(text('Hello.'));
    expect(await ask(ended)).toMatchObject({ status: 403 });
    // Another run's way stays open meanwhile.
    expect((await ask(way)).status).toBe(200);
    expect(forwarded()).toBe(before + 1);
  });

  it('only learns that somebody is there without a credential (C15)', async () => {
    const before = forwarded();
    expect(await ask(way, { method: 'HEAD', path: '/', headers: { authorization: null }, body: null })).toMatchObject({
      status: 200,
    });
    expect(forwarded()).toBe(before);
  });
});

describe('a tool that uses its placeholder for something else', () => {
  it.each<[string, Ask]>([
    ['another path', { path: '/v1/files' }],
    ['another path with a large body', { path: '/v1/files', body: Buffer.alloc(4 * 1024 * 1024) }],
    ['a path below a good one', { path: '/v1/messages/batches' }],
    ['an encoded path', { path: '/v1/%6dessages' }],
    ['a path that leads elsewhere', { path: '/v1/models/../organizations', method: 'GET', body: null }],
    ['a path that leads elsewhere, encoded', { path: '/v1/models/%2e%2e%2forganizations', method: 'GET', body: null }],
    ['a doubled slash', { path: '//v1/messages' }],
    ['another method', { method: 'DELETE', body: null }],
  ])('is refused %s, and told how to go around (C20)', async (_what, asked) => {
    const before = forwarded();
    const answer = await ask(way, asked);
    expect(answer).toMatchObject({ status: 403, error: { type: 'permission_error' } });
    expect(answer.error?.message).toMatch(GO_AROUND);
    expect(forwarded()).toBe(before);
  });

  it.each(['http://api.anthropic.com/v1/messages', 'https://127.0.0.1/v1/messages', '*'])(
    'is refused the target %s (C20)',
    async (target) => {
      const before = forwarded();
      const answer = await askRaw(target);
      expect(answer).toMatch(/^HTTP\/1.1 403 /);
      expect(answer).toMatch(GO_AROUND);
      expect(forwarded()).toBe(before);
    },
  );

  it('is refused with a key of its own next to the placeholder, whatever the order (C20)', async () => {
    const before = forwarded();
    const key = 'sk-ant-api03-of-its-own';
    for (const headers of [{ 'x-api-key': key }, { authorization: `Bearer ${key}`, 'x-api-key': way.placeholder }]) {
      const answer = await ask(way, { headers });
      expect(answer.status).toBe(403);
      expect(answer.error?.message).toMatch(GO_AROUND);
    }
    expect(forwarded()).toBe(before);
  });

  it.each(['evil.example', '127.0.0.1.evil.example', 'localhost@evil.example', ''])(
    'is refused under the name %j, which a page in a browser would have (C20)',
    async (host) => {
      const before = forwarded();
      const answer = await askRaw('/v1/messages', { host });
      expect(answer).toMatch(/^HTTP\/1.1 421 [^]*answers to loopback names only/);
      expect(forwarded()).toBe(before);
    },
  );

  it('gets no tunnel (C20)', async () => {
    const { hostname, port } = new URL(way.url);
    const socket = connect(Number(port), hostname);
    socket.write(`CONNECT api.anthropic.com:443 HTTP/1.1\r\nhost: api.anthropic.com:443\r\n\r\n`);
    expect(await readText(socket)).not.toContain(' 200 ');
  });
});

it('sends a path on that the operator has allowed, and none that only looks like it (C20)', async () => {
  await using own = await startGateway({ args: ['--gateway-path=/v1/files'] });
  const ownWay = await openWay(own);
  expect(await ask(ownWay, { method: 'GET', path: '/v1/files?limit=1', body: null })).toMatchObject({ status: 404 });
  expect(await ask(ownWay, { method: 'GET', path: '/v1/files/1', body: null })).toMatchObject({ status: 403 });
  expect(own.api.requests.map(({ path }) => path)).toEqual(['/v1/files?limit=1']);
});
