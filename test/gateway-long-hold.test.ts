import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { type Execution } from '@outrigger/sdk';
import { type MessageAnswer, type Refusal, refusal, text } from '@outrigger/sdk/testing';
import { describe, expect, it } from 'vitest';
import { CLAUDE_VERSIONS } from './support/claude.js';
import { collect } from './support/fleet.js';
import { begin, type GatewaySetup, MESSAGE, openWay, startGateway, TOKEN_A, TOKEN_B } from './support/gateway.js';
import { startUpstream } from './support/upstream.js';

const PING = 'event: ping\ndata: {"type": "ping"}\n\n';
/** Held requests are given a sign of life at once. With the defaults, and held for 610 s, both versions did the same. */
const AT_ONCE: GatewaySetup = { args: ['--hold-silent-ms=1'] };

/** A request that is held until it has been told 200, then answered; what came before that, and after. */
async function holdLong(answer: MessageAnswer | Refusal, isStream: boolean) {
  const respond = ({ secret }: { secret: string | undefined }) => (secret === TOKEN_A ? refusal.expired() : answer);
  await using gateway = await startGateway({ ...AT_ONCE, respond });
  const way = await openWay(gateway);
  const { response } = await begin(way, { body: { ...MESSAGE, stream: isStream } });
  const chunks = response[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  const first = await chunks.next();
  await gateway.agent.swapCredential(TOKEN_B);
  let rest = '';
  let error: unknown = null;
  try {
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) rest += next.value.toString();
  } catch (thrown) {
    error = thrown;
  }
  const { statusCode, headers } = response;
  const sent = gateway.api.requests.filter(({ kind }) => kind === 'main').map(({ secret }) => secret);
  expect(sent).toEqual([TOKEN_A, TOKEN_B.secret]);
  return { status: statusCode, type: headers['content-type'], first: String(first.value), rest, error };
}

describe('a request that is held for longer than its client would wait (C18)', () => {
  it('gets pings in a stream, and the answer in the same one', async () => {
    const { status, type, first, rest, error } = await holdLong(text('At last.'), true);
    expect({ status, type, first, error }).toEqual({
      status: 200,
      type: 'text/event-stream; charset=utf-8',
      first: PING,
      error: null,
    });
    expect(rest).toMatch(/^(event: ping\n.*\n\n)*event: message_start\n[^]*At last[^]*event: message_stop\n.*\n\n$/);
  });

  it('gets white space before JSON', async () => {
    const { status, type, first, rest } = await holdLong(text('At last.'), false);
    expect({ status, type, first: first.trim() }).toEqual({ status: 200, type: 'application/json', first: '' });
    expect(JSON.parse(first + rest)).toMatchObject({ content: [{ type: 'text', text: 'At last.' }] });
  });

  it('hears of a failure as an error within the stream', async () => {
    const { status, rest } = await holdLong(refusal.serverError(), true);
    const event = /event: error\ndata: (.*)\n\n$/.exec(rest)?.[1] ?? 'null';
    expect(status).toBe(200);
    expect(JSON.parse(event)).toMatchObject({ type: 'error', error: { type: 'api_error' } });
  });

  it('is cut where JSON cannot say that it failed', async () => {
    const { error } = await holdLong(refusal.serverError(), false);
    expect(error).toMatchObject({ message: 'aborted' });
  });

  it('is cut where the answer comes compressed, though nobody asked for that', async () => {
    await using upstream = await startUpstream(({ headers }, response) => {
      const isRefused = headers.authorization === `Bearer ${TOKEN_A}`;
      response.writeHead(isRefused ? 401 : 200, isRefused ? {} : { 'content-encoding': 'gzip' });
      response.end(isRefused ? '{}' : gzipSync('{}'));
    });
    await using gateway = await startGateway({ ...AT_ONCE, upstream: upstream.url });
    const { response } = await begin(await openWay(gateway));
    await gateway.agent.swapCredential(TOKEN_B);
    await expect(buffer(response)).rejects.toThrow('aborted');
  });

  it.each(CLAUDE_VERSIONS)('goes on without a try of its own: the real Claude Code %s', async (version) => {
    const respond = ({ secret }: { secret: string | undefined }) =>
      secret === TOKEN_A ? refusal.expired() : text('At last.');
    await using gateway = await startGateway({ ...AT_ONCE, version, respond });
    const execution = await gateway.dispatch({ prompt: 'Hello' });
    await gateway.needed.waitFor();
    await gateway.agent.swapCredential(TOKEN_B);
    expect(await execution.outcome).toMatchObject({ status: 'succeeded', result: 'At last.' });
    const turns = gateway.api.requests.filter(({ kind }) => kind === 'main');
    expect(turns.map(({ status }) => status)).toEqual([401, 200]);
    expect(JSON.stringify(await collect(execution))).not.toContain('api_retry');
  });
});

it('never sends a held request whose client has gone', async () => {
  await using gateway = await startGateway();
  gateway.api.refuse(TOKEN_A, refusal.expired());
  const way = await openWay(gateway);
  const gone = new AbortController();
  const asking = begin(way, { signal: gone.signal });
  await gateway.needed.waitFor();
  gone.abort();
  await expect(asking).rejects.toThrow('aborted');
  await isReleased(way.execution);
  await gateway.agent.swapCredential(TOKEN_B);
  const { response } = await begin(way);
  response.resume();
  expect(gateway.api.requests.map(({ secret }) => secret)).toEqual([TOKEN_A, TOKEN_B.secret]);
});

async function isReleased(execution: Execution): Promise<void> {
  for await (const event of execution) if (event.type === 'released') return;
}
