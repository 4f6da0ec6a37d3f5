import { writeFileSync } from 'node:fs';
import { CLOSE_CODES, type CloseReason, CURSOR_START, LIMITS, type WireErrorCode } from '@outrigger/protocol';
import { fakeScript } from '@outrigger/sdk/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readOutput } from './support/output.js';
import { RawClient } from './support/raw-client.js';
import { startSidecar, type TestSidecar } from './support/sidecar.js';

const LINES = 20_000;
const HELLO = { type: 'hello', versions: [1], client: { name: 'test' } };
const DISPATCH = { type: 'dispatch', id: 'd', executionId: 'victim', request: { prompt: 'hello' } };
const SUBSCRIBE = { type: 'subscribe', id: 's', subscription: 'sub', executionId: 'bystander', creditBytes: 1000 };

/** An object that is nested `depth` levels deep, the object itself included. */
const nested = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;

describe('bad input', () => {
  // One sidecar for all of it, with a bystander whose run prints the whole time: whatever is sent, it must not notice.
  let sidecar: TestSidecar;
  let bystander: RawClient;
  let output: ReturnType<typeof readOutput>;

  beforeAll(async () => {
    sidecar = await startSidecar();
    bystander = await RawClient.connect(sidecar);
    await bystander.dispatch('bystander', [
      { do: 'init' },
      { do: 'fill', lines: 10, stamped: true },
      { do: 'waitForFile', path: `${sidecar.stateDir}/go` },
      { do: 'fill', lines: LINES },
      { do: 'result', result: 'undisturbed' },
    ]);
    output = readOutput(bystander, 'bystander');
    output.catch(() => undefined);
  });
  afterAll(async () => {
    await bystander[Symbol.asyncDispose]();
    await sidecar[Symbol.asyncDispose]();
  });

  /** The bystander's connection, its run and a newcomer are well. */
  async function expectUnharmed(): Promise<void> {
    expect(await bystander.request('status', { executionId: 'bystander' })).toMatchObject({
      counts: { live: 1 },
      execution: { state: 'running' },
    });
    await using newcomer = await RawClient.connect(sidecar);
    await newcomer.settled();
  }

  describe('ends the connection, typed', () => {
    it.each<[string, string | object, CloseReason, string | null]>([
      ['a message above frameBytesMax', 'x'.repeat(LIMITS.frameBytesMax + 1), 'frameTooLarge', null],
      ['text that is not JSON', 'hello?', 'protocolError', 'invalid'],
      ['an empty message', '', 'protocolError', 'invalid'],
      ['JSON that is no object', '[{"type":"status","id":"1"}]', 'protocolError', 'invalid'],
      ['null', 'null', 'protocolError', 'invalid'],
      ['a binary message', Buffer.from('{"type":"status","id":"1"}'), 'protocolError', 'invalid'],
      ['an unknown type without an id', { type: 'shutdown' }, 'protocolError', 'unknown_type'],
      ['a type that every object has', { type: 'toString' }, 'protocolError', 'unknown_type'],
      ['a type that is no text', { type: 7 }, 'protocolError', 'unknown_type'],
      ['no type', {}, 'protocolError', 'unknown_type'],
      ['a request without an id', { type: 'status' }, 'protocolError', 'invalid'],
      ['an id that is none', { type: 'status', id: '../1' }, 'protocolError', 'invalid'],
      ['an id that is too long', { type: 'status', id: 'i'.repeat(LIMITS.idCharsMax + 1) }, 'protocolError', 'invalid'],
      ['an id that is no text', { type: 'status', id: 1 }, 'protocolError', 'invalid'],
      ['a second hello', HELLO, 'protocolError', 'invalid'],
      [
        'a message nested too deep',
        `{"type":"dispatch","id":"d","x":${nested(LIMITS.nestingDepthMax)}}`,
        'protocolError',
        'invalid',
      ],
      ['a message nested a million levels deep', '['.repeat(1_000_000), 'protocolError', 'invalid'],
    ])('on %s (B2)', async (_what, message, reason, code) => {
      await using client = await RawClient.connect(sidecar);
      client.send(message);
      expect(await client.closed).toMatchObject({ code: CLOSE_CODES[reason].code });
      const errors = client.frames.flatMap((frame) => (frame.type === 'error' ? [frame.code] : []));
      expect(errors).toEqual(code === null ? [] : [code]);
      await expectUnharmed();
    });

    it.each<[string, object]>([
      ['a request before hello', { type: 'status', id: '1' }],
      ['an unknown type before hello, with an id', { type: 'shutdown', id: '1' }],
      ['a hello without versions', { ...HELLO, versions: [] }],
      ['a hello with a version that is none', { ...HELLO, versions: ['1'] }],
      ['a hello with a field too many', { ...HELLO, admin: true }],
      ['a hello without a client', { type: 'hello', versions: [1] }],
      ['a hello with a cursor that is none', { ...HELLO, cursors: [{ subscription: 's', executionId: 'x' }] }],
    ])('on %s (B2)', async (_what, message) => {
      await using client = await RawClient.open(sidecar);
      client.send(message);
      expect(await client.closed).toMatchObject({ code: CLOSE_CODES.protocolError.code });
      expect(client.frames.at(-1)).toMatchObject({ type: 'error' });
      await expectUnharmed();
    });

    it('on requests faster than the limit of a connection, and does none of what follows (B2)', async () => {
      await using client = await RawClient.connect(sidecar);
      for (let n = 0; n < 20_000; n++) client.send({ type: 'status', id: `flood-${n}` });
      client.send({ ...DISPATCH, executionId: 'after-the-flood' });
      expect(await client.closed).toMatchObject({ code: CLOSE_CODES.tooManyRequests.code });
      expect(await client.waitFor('error')).toMatchObject({ code: 'too_many_requests' });
      expect(await bystander.refused('status', { executionId: 'after-the-flood' })).toMatchObject({
        code: 'unknown_execution',
      });
      await expectUnharmed();
    });

    it('and does nothing that was sent after the bad message (B2)', async () => {
      await using client = await RawClient.connect(sidecar);
      client.send('not a frame');
      client.send({ ...DISPATCH, executionId: 'after-the-error' });
      expect(await client.closed).toMatchObject({ code: CLOSE_CODES.protocolError.code });
      expect(await bystander.refused('status', { executionId: 'after-the-error' })).toMatchObject({
        code: 'unknown_execution',
      });
    });
  });

  describe('in a request is answered with a typed error, and the connection goes on', () => {
    const request = (fields: object) => ({ ...DISPATCH, request: { prompt: 'hello', ...fields } });

    it.each<[string, string | object, WireErrorCode, string]>([
      ['an unknown type', { type: 'shutdown', id: 'x' }, 'unknown_type', 'shutdown'],
      ['a field too many', { ...DISPATCH, priority: 1 }, 'invalid', 'priority'],
      ['a field of the request too many', request({ timeout: 1 }), 'invalid', 'timeout'],
      ['no prompt', { ...DISPATCH, request: {} }, 'invalid', 'request.prompt'],
      ['an empty prompt', request({ prompt: '' }), 'invalid', 'request.prompt'],
      ['an executionId with a path', { ...DISPATCH, executionId: '../../etc' }, 'invalid', 'executionId'],
      ['an executionId that is hidden', { ...DISPATCH, executionId: '.x' }, 'invalid', 'executionId'],
      ['an executionId that is too long', { ...DISPATCH, executionId: 'x'.repeat(129) }, 'invalid', 'executionId'],
      ['a relative cwd', request({ cwd: 'repo' }), 'invalid', 'request.cwd'],
      ['a cwd with a NUL', request({ cwd: '/repo\u0000' }), 'invalid', 'request.cwd'],
      ['a model with a NUL', request({ model: 'a\u0000b' }), 'invalid', 'request.model'],
      ['an argument with a NUL', request({ args: ['--x\u0000'] }), 'invalid', 'request.args.0'],
      ['no time', request({ timeoutMs: 0 }), 'invalid', 'request.timeoutMs'],
      ['half a millisecond', request({ timeoutMs: 0.5 }), 'invalid', 'request.timeoutMs'],
      ['too much time', request({ timeoutMs: 86_400_001 }), 'invalid', 'request.timeoutMs'],
      ['too much grace', request({ graceMs: 300_001 }), 'invalid', 'request.graceMs'],
      ['a session that is no UUID', request({ sessionId: 'mine' }), 'invalid', 'request.sessionId'],
      [
        'a session to start and one to resume',
        request({
          sessionId: 'b2d1c3d4-5e6f-4a7b-8c9d-0e1f2a3b4c5d',
          resume: 'b2d1c3d4-5e6f-4a7b-8c9d-0e1f2a3b4c5d',
        }),
        'invalid',
        'request.resume',
      ],
      ['a name no variable can have', request({ env: { 'A=B': '1' } }), 'invalid', 'request.env.A=B'],
      ['a name too long for a variable', request({ env: { ['A'.repeat(257)]: '1' } }), 'invalid', 'request.env.AAA'],
      ['a variable with a NUL', request({ env: { A: 'x\u0000' } }), 'invalid', 'request.env.A'],
      ...['env', 'labels', 'settings'].map((field): [string, string, WireErrorCode, string] => [
        `a __proto__ key in ${field}`,
        `{"type":"dispatch","id":"d","executionId":"victim","request":{"prompt":"x","${field}":{"__proto__":"x"}}}`,
        'invalid',
        `request.${field}.__proto__: is not allowed as a name`,
      ]),
      ['a __proto__ key in a frame', '{"type":"status","id":"d","__proto__":{"x":1}}', 'invalid', ''],
      [
        'a __proto__ key in a request',
        '{"type":"dispatch","id":"d","executionId":"victim","request":{"prompt":"x","__proto__":{"timeoutMs":5}}}',
        'invalid',
        'request',
      ],
      ['a cursor with a fraction', { ...SUBSCRIBE, from: { ...CURSOR_START, stdout: 0.5 } }, 'invalid', 'from.stdout'],
      ['a cursor below zero', { ...SUBSCRIBE, from: { ...CURSOR_START, stderr: -1 } }, 'invalid', 'from.stderr'],
      ['a cursor without a log', { ...SUBSCRIBE, from: { attempt: 1, stdout: 0 } }, 'invalid', 'from.stderr'],
      ['a cursor behind the end', { ...SUBSCRIBE, from: { ...CURSOR_START, stdout: 1e12 } }, 'invalid', 'from'],
      ['a cursor in another attempt', { ...SUBSCRIBE, from: { ...CURSOR_START, attempt: 2 } }, 'invalid', 'from'],
      ['credit below zero', { ...SUBSCRIBE, from: CURSOR_START, creditBytes: -1 }, 'invalid', 'creditBytes'],
      ['no credit', { type: 'credit', id: 'c', subscription: 'none', bytes: 0 }, 'invalid', 'bytes'],
      [
        'credit for no subscription',
        { type: 'credit', id: 'c', subscription: 'none', bytes: 1 },
        'unknown_subscription',
        'none',
      ],
      [
        'an end of no subscription',
        { type: 'unsubscribe', id: 'c', subscription: 'none' },
        'unknown_subscription',
        'none',
      ],
      [
        'an unknown execution',
        { ...SUBSCRIBE, executionId: 'nobody', from: CURSOR_START },
        'unknown_execution',
        'nobody',
      ],
      ['the status of nobody', { type: 'status', id: 'c', executionId: 'nobody' }, 'unknown_execution', 'nobody'],
      ['an ack for nobody', { type: 'ack', id: 'c', executionId: 'nobody' }, 'unknown_execution', 'nobody'],
      ['an ack for a live execution', { type: 'ack', id: 'c', executionId: 'bystander' }, 'invalid', 'bystander'],
    ])('%s (B2)', async (_what, message, code, words) => {
      await using client = await RawClient.connect(sidecar);
      client.send(message);
      const reply = await client.waitFor('reply');
      expect(reply).toMatchObject({ ok: false, error: { code } });
      expect(JSON.stringify(reply)).toContain(words);
      await client.settled();
      expect(await client.refused('status', { executionId: 'victim' })).toMatchObject({ code: 'unknown_execution' });
    });

    it('a __proto__ key where any name may stand sets nothing, here or elsewhere (B2)', async () => {
      await using other = await startSidecar();
      await using client = await RawClient.connect(other);
      const proto = '{"__proto__":{"polluted":"yes"},"__proto__":"yes"}';
      const request = `{"prompt":${JSON.stringify(fakeScript([{ do: 'printEnv' }, { do: 'result' }]))},"settings":{"env":${proto}}}`;
      client.send(`{"type":"dispatch","id":"d","executionId":"proto","request":${request}}`);
      expect(await client.outcome('proto')).toMatchObject({ status: 'succeeded' });
      const { stdout } = await readOutput(client, 'proto');
      expect(stdout.lines[0]).not.toMatch(/polluted|__proto__/);
      expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
      await client.dispatch('after', 'hello');
      expect(await client.outcome('after')).toMatchObject({ status: 'succeeded' });
    });

    it('one subscription above the limit names the limit (B2)', async () => {
      await using client = await RawClient.connect(sidecar);
      const subscribe = (n: number) => ({
        ...SUBSCRIBE,
        id: `s${n}`,
        subscription: `s${n}`,
        from: CURSOR_START,
        creditBytes: 0,
      });
      const max = LIMITS.subscriptionsPerConnectionMax;
      for (let n = 0; n < max; n++) client.send(subscribe(n));
      client.send(subscribe(max));
      expect(await client.waitFor('reply', (reply) => reply.id === `s${max}`)).toMatchObject({
        error: { code: 'limit_exceeded', data: { limit: 'subscriptionsPerConnectionMax' } },
      });
      // One that exists is moved, which takes no further place.
      client.send({ ...subscribe(0), id: 'again' });
      expect(await client.waitFor('reply', (reply) => reply.id === 'again')).toMatchObject({ ok: true });
    });

    it('never repeats a value, which may be a secret (B2)', async () => {
      await using client = await RawClient.connect(sidecar);
      const env = { ANTHROPIC_API_KEY: 'a-secret-value' };
      client.send({ ...DISPATCH, request: { prompt: 'x', env, model: ['a-secret-value'] } });
      client.send({ ...DISPATCH, id: 'e', request: { prompt: 'x', env } });
      await client.settled();
      expect(JSON.stringify([client.frames, sidecar.log])).not.toContain('a-secret-value');
    });
  });

  // Runs last: the bystander's run ends here.
  it('leaves the run and the output of another connection whole (B2)', async () => {
    await expectUnharmed();
    writeFileSync(`${sidecar.stateDir}/go`, '');
    expect(await bystander.outcome('bystander')).toMatchObject({ status: 'succeeded', result: 'undisturbed' });
    const { stdout } = await output;
    const numbers = stdout.lines.flatMap((line) => /^\{"type":"fill","n": *(\d+)/.exec(line)?.[1] ?? []);
    expect(numbers.map(Number)).toEqual([...range(10), ...range(LINES)]);
    expect(stdout.gaps).toEqual([]);
  });
});

function range(length: number): number[] {
  return Array.from({ length }, (_value, n) => n);
}
