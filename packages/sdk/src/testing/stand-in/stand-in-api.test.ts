import { connect } from 'node:net';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import {
  conversation,
  cut,
  errorInStream,
  fromOverage,
  hang,
  inOrder,
  refusal,
  type RefusalOptions,
  reset,
  silent,
  type StandInApi,
  type StandInApiOptions,
  startStandInApi,
  text,
  toolUse,
  withStatus,
} from '../index.js';

const running: StandInApi[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((api) => api.close()));
});

async function start(options?: StandInApiOptions): Promise<StandInApi> {
  const api = await startStandInApi(options);
  running.push(api);
  return api;
}

interface Ask {
  secret?: string;
  apiKey?: string;
  body?: object;
  signal?: AbortSignal;
}

function ask(api: StandInApi, { secret = 'token', apiKey, body, signal }: Ask = {}): Promise<Response> {
  return fetch(`${api.url}/v1/messages?beta=true`, {
    method: 'POST',
    headers: apiKey === undefined ? { authorization: `Bearer ${secret}` } : { 'x-api-key': apiKey },
    body: JSON.stringify({ model: 'claude-x', messages: [{ role: 'user', content: 'Hi' }], ...body }),
    ...(signal ? { signal } : {}),
  });
}

const stream = { body: { stream: true } };

function eventsOf(body: string): { event: string; data: Record<string, unknown> }[] {
  return body
    .split('\n\n')
    .filter((block) => block !== '')
    .map((block) => {
      const [event = '', data = ''] = block.split('\n');
      return {
        event: event.slice('event: '.length),
        data: JSON.parse(data.slice('data: '.length)) as Record<string, unknown>,
      };
    });
}

const namesOf = (body: string) => eventsOf(body).map(({ event }) => event);

/** Reads until the connection breaks, and returns what came before that. */
async function readUntilBroken(response: Response): Promise<string> {
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const decoder = new TextDecoder();
  let received = '';
  for (;;) {
    const part = await reader.read().catch(() => 'broken' as const);
    if (part === 'broken') return received;
    if (part.done) throw new Error('The body ended well.');
    received += decoder.decode(part.value, { stream: true });
  }
}

describe('good answers', () => {
  it('streams a text in the order of the provider, cut into the chunks asked for', async () => {
    const api = await start({ respond: text('Hällo 🙂 world', { chunks: 3 }) });
    const response = await ask(api, stream);
    const events = eventsOf(await response.text());
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    expect(events.map(({ event }) => event)).toEqual([
      'message_start',
      'content_block_start',
      'ping',
      'content_block_delta',
      'content_block_delta',
      'content_block_delta',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ]);
    const words = events.map(({ data }) => (data['delta'] as { text?: string } | undefined)?.text ?? '').join('');
    expect(words).toBe('Hällo 🙂 world');
    expect(events[0]?.data).toMatchObject({ message: { model: 'claude-x', role: 'assistant', content: [] } });
    expect(events.at(-2)?.data).toMatchObject({ delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 4 } });
  });

  it('streams a tool call whose input pieces join to its JSON', async () => {
    const api = await start({ respond: toolUse('Bash', { command: 'ls -l' }, { text: 'Look', chunks: 4 }) });
    const events = eventsOf(await (await ask(api, stream)).text());
    const json = events.map(({ data }) => (data['delta'] as { partial_json?: string } | undefined)?.partial_json ?? '');
    expect(JSON.parse(json.join(''))).toEqual({ command: 'ls -l' });
    expect(events.at(-2)?.data).toMatchObject({ delta: { stop_reason: 'tool_use' } });
  });

  it('answers JSON to a request that does not ask for a stream', async () => {
    const api = await start({ respond: toolUse('Bash', { command: 'ls' }, { text: 'Look', model: 'claude-y' }) });
    expect(await (await ask(api)).json()).toMatchObject({
      type: 'message',
      model: 'claude-y',
      content: [
        { type: 'text', text: 'Look' },
        { type: 'tool_use', name: 'Bash', input: { command: 'ls' } },
      ],
      stop_reason: 'tool_use',
    });
  });

  it('carries the overage headers on status 200', async () => {
    const api = await start({ respond: fromOverage() });
    const { status, headers } = await ask(api);
    expect(status).toBe(200);
    expect(headers.get('anthropic-ratelimit-unified-status')).toBe('rejected');
    expect(headers.get('anthropic-ratelimit-unified-overage-in-use')).toBe('true');
  });

  it('serves models, token counts and the probe, and 404 for the rest', async () => {
    const api = await start();
    const models = (await (await fetch(`${api.url}/v1/models?limit=9`)).json()) as { data: { id: string }[] };
    const id = models.data[0]?.id ?? '';
    expect(await (await fetch(`${api.url}/v1/models/${id}`)).json()).toMatchObject({ id });
    const counted = await fetch(`${api.url}/v1/messages/count_tokens`, { method: 'POST', body: '{}' });
    expect(await counted.json()).toEqual({ input_tokens: 1 });
    expect((await fetch(api.url, { method: 'HEAD' })).status).toBe(200);
    expect((await fetch(`${api.url}/elsewhere`)).status).toBe(404);
    expect(api.requests.map(({ kind }) => kind)).toEqual(['models', 'models', 'count_tokens', 'probe', 'other']);
  });
});

describe('refusals', () => {
  const names = Object.keys(refusal) as (keyof typeof refusal)[];

  it.each(names)('answers %s in the shape of the provider', async (name) => {
    const answer = refusal[name]();
    const api = await start({ respond: answer });
    const response = await ask(api);
    const body = (await response.json()) as { request_id: string };
    expect(response.status).toBe(answer.status);
    expect(body).toMatchObject({ type: 'error', error: { type: answer.errorType, message: answer.message } });
    expect(response.headers.get('request-id')).toBe(body.request_id);
  });

  it('names the window that is used up, in epoch seconds', async () => {
    const resetsAt = Date.now() + 60_000;
    const api = await start({ respond: refusal.rateLimited({ claim: 'seven_day_opus', resetsAt }) });
    const { headers } = await ask(api);
    expect(headers.get('anthropic-ratelimit-unified-representative-claim')).toBe('seven_day_opus');
    expect(headers.get('anthropic-ratelimit-unified-reset')).toBe(String(Math.ceil(resetsAt / 1000)));
    expect(headers.get('anthropic-ratelimit-unified-7d_opus-status')).toBe('rejected');
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
  });

  it('sends a throttle with retry-after alone, and a headerless 429 with neither', async () => {
    const api = await start({
      respond: inOrder([refusal.throttled({ retryAfterSeconds: 7 }), refusal.headerless429()]),
    });
    const [throttled, headerless] = [await ask(api), await ask(api)];
    expect(throttled.headers.get('retry-after')).toBe('7');
    expect(throttled.headers.has('anthropic-ratelimit-unified-status')).toBe(false);
    expect(headerless.headers.has('retry-after')).toBe(false);
  });

  it('lets words, headers and status be changed', () => {
    const options: RefusalOptions = { message: 'No.', headers: { 'x-a': 'b' } };
    expect(withStatus(401, refusal.notAllowedForOrganization(options))).toMatchObject({
      status: 401,
      message: 'No.',
      headers: { 'x-a': 'b' },
    });
  });
});

describe('credentials', () => {
  it('refuses what is not accepted, and can change its mind while it runs', async () => {
    const api = await start({ accept: ['good'] });
    const first = await ask(api, { secret: 'bad' });
    expect([first.status, await first.json()]).toMatchObject([401, { error: { message: 'Invalid bearer token' } }]);
    expect(await (await ask(api, { apiKey: 'bad' })).json()).toMatchObject({ error: { message: 'invalid x-api-key' } });
    expect((await ask(api, { secret: 'good' })).status).toBe(200);
    api.accept(['bad']);
    expect((await ask(api, { secret: 'bad' })).status).toBe(200);
    expect((await ask(api, { secret: 'good' })).status).toBe(401);
    expect(api.requests.map(({ secret }) => secret)).toEqual(['bad', 'bad', 'good', 'bad', 'good']);
  });

  it('refuses each secret in its own way, the named one before all', async () => {
    const api = await start();
    api.refuse('all', refusal.overloaded());
    api.refuse('a', refusal.expired());
    api.refuse('b', refusal.rateLimited());
    const status = async (secret: string) => (await ask(api, { secret })).status;
    expect([await status('a'), await status('b'), await status('c')]).toEqual([401, 429, 529]);
    api.stopRefusing('a');
    expect(await status('a')).toBe(529);
    api.stopRefusing('all');
    expect([await status('b'), await status('c')]).toEqual([200, 200]);
  });

  it('turns a credential bad in the middle of a conversation, and good again, and tells who asked with what and when', async () => {
    const api = await start();
    // The answer of the first turn is the moment from which on the secret is refused.
    const spend = () => {
      api.refuse('a', refusal.rateLimited());
      return toolUse('Bash', { command: 'ls' });
    };
    api.respondWith(conversation([spend, text('done')]));
    const inTurn = (turn: number) => ({
      stream: true,
      messages: Array.from({ length: 2 * turn + 1 }, (_, n) => ({ role: n % 2 ? 'assistant' : 'user', content: 'x' })),
    });
    const status = async (secret: string, turn: number) => {
      const response = await ask(api, { secret, body: inTurn(turn) });
      await response.text();
      return response.status;
    };
    expect([await status('a', 0), await status('a', 1), await status('b', 1)]).toEqual([200, 429, 200]);
    api.stopRefusing('a');
    expect(await status('a', 1)).toBe(200);

    const asked = api.requests.map(({ secret, turn, status }) => [secret, turn, status]);
    expect(asked).toEqual([
      ['a', 0, 200],
      ['a', 1, 429],
      ['b', 1, 200],
      ['a', 1, 200],
    ]);
    const times = api.requests.flatMap(({ at, firstByteAt }) => [at, firstByteAt]);
    expect(times).toEqual(times.toSorted((a, b) => Number(a) - Number(b)));
    expect(times).not.toContain(null);
  });

  it('refuses no more often than asked to', async () => {
    const api = await start();
    api.refuse('token', refusal.expired(), { times: 1 });
    expect([(await ask(api)).status, (await ask(api)).status]).toEqual([401, 200]);
  });
});

describe('scripts', () => {
  const turn = (count: number) => ({
    messages: [
      {
        role: 'user',
        content: [
          { type: 'text', text: '<system-reminder>x</system-reminder>' },
          { type: 'text', text: 'Do it\n' },
        ],
      },
      ...Array.from({ length: count }, () => [
        { role: 'assistant', content: [{ type: 'tool_use' }] },
        { role: 'user', content: [{ type: 'tool_result' }, { type: 'text', text: '<system-reminder>' }] },
      ]).flat(),
    ],
  });
  const wordsOf = async (response: Response) =>
    ((await response.json()) as { content: { text: string }[] }).content[0]?.text;

  it('picks the step by the turns in the request, so that a retry gets the same one', async () => {
    const api = await start({
      respond: conversation([text('one'), inOrder([text('two'), text('2')]), () => text('three')]),
    });
    const words = async (count: number) => wordsOf(await ask(api, { body: turn(count) }));
    expect(await words(1)).toBe('two');
    expect(await words(0)).toBe('one');
    expect(await words(0)).toBe('one');
    expect(await words(1)).toBe('2');
    expect([await words(2), await words(9)]).toEqual(['three', 'three']);
    expect(api.requests.at(-1)).toMatchObject({ kind: 'main', turn: 9, prompt: 'Do it', index: 5 });
  });

  it('answers side requests apart from the script', async () => {
    const api = await start({ respond: inOrder([text('main'), text('spent')]) });
    const small = { body: { model: 'claude-3-5-haiku', max_tokens: 512 } };
    expect(await wordsOf(await ask(api, small))).toBe('none');
    api.respondToSideWith(refusal.missingScope());
    expect((await ask(api, small)).status).toBe(403);
    expect(await wordsOf(await ask(api))).toBe('main');
    api.respondWith(async () => Promise.resolve(text('later')));
    expect(await wordsOf(await ask(api))).toBe('later');
  });

  it('reads the session of both generations of the CLI', async () => {
    const api = await start();
    const id = 'edb7a60e-dd5c-4dba-af12-a03ed74a5c33';
    await ask(api, { body: { metadata: { user_id: `user_ab_account__session_${id}` } } });
    await ask(api, { body: { metadata: { user_id: JSON.stringify({ device_id: 'd', session_id: id }) } } });
    expect(api.requests.map(({ sessionId }) => sessionId)).toEqual([id, id]);
  });

  it('says so in a 400 when the script throws', async () => {
    const api = await start({
      respond: () => {
        throw new Error('oops');
      },
    });
    expect(await (await ask(api)).json()).toMatchObject({ error: { message: "The stand-in's script failed: oops" } });
  });
});

describe('bad ends', () => {
  it('cuts the stream after the chunks asked for', async () => {
    const api = await start({ respond: cut(2) });
    const received = await readUntilBroken(await ask(api, stream));
    expect(namesOf(received).filter((name) => name === 'content_block_delta')).toHaveLength(2);
    expect(namesOf(received)).not.toContain('message_stop');
    expect(await api.waitForRequest(({ ended }) => ended !== null)).toMatchObject({ status: 200, ended: 'broken' });
  });

  it('cuts at the end of the content when there are fewer chunks', async () => {
    const api = await start({ respond: cut(9, text('short')) });
    expect(namesOf(await readUntilBroken(await ask(api, stream))).at(-1)).toBe('content_block_stop');
  });

  it('cuts a JSON answer in its middle', async () => {
    const api = await start({ respond: cut(0) });
    const received = await readUntilBroken(await ask(api));
    expect(received.length).toBeGreaterThan(0);
    expect(() => JSON.parse(received) as unknown).toThrow();
  });

  it('falls silent, and notices that the client has left', async () => {
    const api = await start({ respond: silent(1) });
    const abort = new AbortController();
    const response = await ask(api, { ...stream, signal: abort.signal });
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    const decoder = new TextDecoder();
    let received = '';
    while (!received.includes('text_delta')) received += decoder.decode((await reader.read()).value, { stream: true });
    expect(api.requests[0]?.ended).toBeNull();
    abort.abort();
    expect(await api.waitForRequest(({ ended }) => ended !== null)).toMatchObject({ ended: 'aborted' });
    await expect(reader.read()).rejects.toThrow();
  });

  it('hangs without a byte until the client gives up', async () => {
    const api = await start({ respond: hang() });
    const abort = new AbortController();
    const answer = ask(api, { signal: abort.signal });
    await api.waitForRequest(({ kind }) => kind === 'main');
    abort.abort();
    await expect(answer).rejects.toThrow();
    expect(await api.waitForRequest(({ ended }) => ended !== null)).toMatchObject({ status: null, ended: 'aborted' });
  });

  it('resets the connection', async () => {
    const api = await start({ respond: reset() });
    await expect(ask(api)).rejects.toMatchObject({ cause: { code: 'ECONNRESET' } });
  });

  it('sends an error in the stream', async () => {
    const api = await start({ respond: errorInStream(1) });
    const events = eventsOf(await (await ask(api, stream)).text());
    expect(events.at(-1)).toMatchObject({ event: 'error', data: { error: { type: 'overloaded_error' } } });
  });

  it('gives up a slow answer when the client leaves', async () => {
    const api = await start({ respond: text('slow', { firstByteDelayMs: 2 ** 30 }) });
    const abort = new AbortController();
    const answer = ask(api, { signal: abort.signal });
    await api.waitForRequest(() => true);
    abort.abort();
    await expect(answer).rejects.toThrow();
    expect(await api.waitForRequest(({ ended }) => ended !== null)).toMatchObject({ ended: 'aborted' });
  });
});

describe('robustness', () => {
  it('takes a body of many megabytes', async () => {
    const api = await start();
    const content = 'x'.repeat(40 * 1024 * 1024);
    expect((await ask(api, { body: { messages: [{ role: 'user', content }] } })).status).toBe(200);
    expect(api.requests[0]?.prompt).toHaveLength(content.length);
  });

  it('answers 400 to a body that is no JSON, and survives shapes it does not know', async () => {
    const api = await start();
    const post = (body: string) => fetch(`${api.url}/v1/messages`, { method: 'POST', body });
    expect((await post('{')).status).toBe(400);
    expect((await post('null')).status).toBe(200);
    expect((await post('{"messages":[null,{"role":"user","content":[null]}],"metadata":null}')).status).toBe(200);
  });

  it('survives a client that goes in the middle of its upload', async () => {
    const api = await start();
    const socket = connect(api.port, '127.0.0.1');
    await once(socket, 'connect');
    socket.end('POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{');
    socket.resume();
    await once(socket, 'close');
    expect((await ask(api)).status).toBe(200);
    expect(api.requests).toHaveLength(1);
  });

  it('keeps the newest requests only', async () => {
    const api = await start({ requestsMax: 2 });
    for (let n = 0; n < 3; n += 1) await ask(api);
    expect(api.requests.map(({ index }) => index)).toEqual([1, 2]);
  });

  it('breaks off what is open when it is closed, and ends those who wait', async () => {
    const api = await start({ respond: hang() });
    const answer = ask(api).catch((error: unknown) => error);
    const request = await api.waitForRequest(() => true);
    const waiting = expect(api.waitForRequest(() => false)).rejects.toThrow('closed');
    await api[Symbol.asyncDispose]();
    await waiting;
    expect(await answer).toBeInstanceOf(Error);
    expect(request.ended).toBe('broken');
    await api.close();
    await expect(api.waitForRequest(() => false)).rejects.toThrow('closed');
  });

  it('gives a wait whose predicate throws that error', async () => {
    const api = await start();
    const waiting = expect(
      api.waitForRequest(() => {
        throw new Error('mine');
      }),
    ).rejects.toThrow('mine');
    expect((await ask(api)).status).toBe(200);
    await waiting;
  });
});
