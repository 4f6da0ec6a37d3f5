import { Agent, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http';
import { gzipSync } from 'node:zlib';
import { cut, hang, reset, silent, text } from '@outrigger/sdk/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  ask,
  type Ask,
  begin,
  MESSAGE,
  openWay,
  startGateway,
  type TestGateway,
  TOKEN_A,
  type Way,
} from './support/gateway.js';
import { startUpstream } from './support/upstream.js';

const STREAM = { ...MESSAGE, stream: true };

/** Headers of one connection, which each connection has of its own. */
const OF_A_CONNECTION = ['connection', 'keep-alive', 'transfer-encoding'];
const withoutConnection = (headers: IncomingHttpHeaders) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !OF_A_CONNECTION.includes(name)));

let gateway: TestGateway;
let way: Way;
beforeAll(async () => {
  gateway = await startGateway();
  way = await openWay(gateway);
});
afterAll(() => gateway[Symbol.asyncDispose]());

/** The latest request that came through. */
const sent = () => gateway.api.requests.at(-1);

it('hands every answer that is not about the credential on byte for byte, with all its headers', async () => {
  const answers: readonly [status: number, headers: OutgoingHttpHeaders, body: string | Buffer][] = [
    [418, { 'content-type': 'application/x-odd', 'x-both': ['one', 'two'] }, Buffer.from([0, 255, 13, 10, 128])],
    [500, { 'content-type': 'text/html', 'x-latin': 'caf\u00e9' }, '<h1>Bad gateway</h1>'],
    [
      400,
      { 'content-type': 'application/json' },
      '{ "type":"error",  "error":{"type":"a_new_error","message":"\u2192"}}\n',
    ],
    [404, { 'content-encoding': 'gzip' }, gzipSync('not found')],
    [
      429,
      { 'content-type': 'application/json' },
      '{"type":"error","error":{"type":"rate_limit_error","message":"Error"}}',
    ],
    [
      403,
      {},
      '{"error":{"type":"permission_error","message":"OAuth token does not meet scope requirement user:profile"}}',
    ],
    [
      200,
      { 'content-type': 'text/event-stream', 'x-utf-8': Buffer.from('\u2192').toString('latin1') },
      'event: odd\r\ndata:\n\n\n',
    ],
    [204, { 'x-empty': '' }, ''],
  ];
  await using upstream = await startUpstream((request, response) => {
    const [status, headers, body] = answers[Number(request.headers['x-answer'])] ?? [599, {}, ''];
    response.writeHead(status, { date: 'Thu, 01 Jan 1970 00:00:00 GMT', ...headers }).end(body);
  });
  await using own = await startGateway({ upstream: upstream.url });
  const ownWay = await openWay(own);
  for (const index of answers.keys()) {
    const asked = { headers: { 'x-answer': String(index) } };
    const direct = await ask({ ...ownWay, url: upstream.url }, asked);
    const through = await ask(ownWay, asked);
    expect(through.status).toBe(direct.status);
    expect(through.body.equals(direct.body)).toBe(true);
    expect(withoutConnection(through.headers)).toEqual(withoutConnection(direct.headers));
  }
});

it('sends on what was asked for, without what came as a credential or tells of the way', async () => {
  const headers = {
    'anthropic-beta': 'one-flag, another-flag',
    'x-custom': 'kept',
    cookie: 'session=1',
    forwarded: 'for=10.0.0.1',
    'x-forwarded-for': '10.0.0.1',
    'proxy-authorization': 'Basic eA==',
    connection: 'x-named',
    'x-named': 'for this connection only',
  };
  expect((await ask(way, { headers })).status).toBe(200);
  const { headers: received, ...request } = sent() ?? {};
  expect(request).toMatchObject({ method: 'POST', path: '/v1/messages?beta=true', body: MESSAGE });
  expect(received).toMatchObject({
    authorization: `Bearer ${TOKEN_A}`,
    'anthropic-beta': 'one-flag,another-flag,oauth-2025-04-20',
    'x-custom': 'kept',
    host: new URL(gateway.api.url).host,
  });
  const dropped = ['cookie', 'forwarded', 'x-forwarded-for', 'proxy-authorization', 'x-named', 'x-api-key'];
  expect(dropped.filter((name) => received?.[name] !== undefined)).toEqual([]);
});

it('sends a question for the models on', async () => {
  const answer = await ask(way, { method: 'GET', path: '/v1/models?limit=2', body: null });
  expect(JSON.parse(answer.body.toString())).toMatchObject({ has_more: false });
  expect(sent()).toMatchObject({ method: 'GET', path: '/v1/models?limit=2', secret: TOKEN_A });
  const one = await ask(way, { method: 'GET', path: '/v1/models/claude-3-5-haiku-20241022', body: null });
  expect(JSON.parse(one.body.toString())).toMatchObject({ id: 'claude-3-5-haiku-20241022' });
});

it('uses connections again, on both sides', async () => {
  await using upstream = await startUpstream((request, response) =>
    request.resume().on('end', () => response.end('{}')),
  );
  await using own = await startGateway({ upstream: upstream.url });
  const ownWay = await openWay(own);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ports = new Set<number | undefined>();
  for (let times = 5; times > 0; times--) {
    const { response, socket } = await begin(ownWay, { agent });
    ports.add(socket?.localPort);
    await response.resume().toArray();
  }
  agent.destroy();
  expect(ports.size).toBe(1);
  expect(upstream.connections).toBe(1);
});

it.each([
  ['before the first byte', hang()],
  ['in mid-stream', silent(1)],
])('stops asking the provider when its client goes %s', async (_when, answer) => {
  gateway.api.respondWith(answer);
  const already = gateway.api.requests.length;
  const gone = new AbortController();
  const asking = ask(way, { body: STREAM, signal: gone.signal });
  await gateway.api.waitForRequest(
    ({ index, status }) => index >= already && (answer.type === 'hang' || status === 200),
  );
  gone.abort();
  await expect(asking).rejects.toThrow('aborted');
  await gateway.api.waitForRequest(({ index, ended }) => index >= already && ended === 'aborted');
  gateway.api.respondWith(text('Hello.'));
});

it.each<[string, Parameters<TestGateway['api']['respondWith']>[0], Ask]>([
  ['before it answers', reset(), {}],
  ['in mid-stream', cut(2), { body: STREAM }],
  ['within JSON', cut(2), {}],
])('breaks its connection when the provider breaks its own %s', async (_when, answer, asked) => {
  gateway.api.respondWith(answer);
  await expect(ask(way, asked)).rejects.toThrow(/socket hang up|aborted/);
  gateway.api.respondWith(text('Hello.'));
  expect((await ask(way)).status).toBe(200);
});
