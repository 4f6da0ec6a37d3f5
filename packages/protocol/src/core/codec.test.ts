import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WireError } from '../errors.js';
import { CLIENT_FRAMES, SIDECAR_FRAMES } from '../frames/arbitrary-frames.js';
import { LIMITS } from '../limits.js';
import {
  type Decoded,
  type DecodeFailure,
  decodeClientFrame,
  decodeSidecarFrame,
  encodeFrame,
  nestsDeeperThan,
} from './codec.js';

const DECODERS = { decodeClientFrame, decodeSidecarFrame };

function failureOf(text: string, decode: (text: string) => Decoded<unknown> = decodeClientFrame) {
  const decoded = decode(text) as DecodeFailure;
  expect(decoded.ok).toBe(false);
  return { code: decoded.error.code, message: decoded.error.message, data: decoded.error.data, id: decoded.id };
}

const ack = (fields: object = {}) => JSON.stringify({ type: 'ack', id: 'r1', executionId: 'e1', ...fields });

describe('a frame is the same after encoding and decoding', () => {
  it.each(Object.entries(CLIENT_FRAMES))('%s of a client', (_type, frames) => {
    fc.assert(
      fc.property(frames, (frame) => {
        expect(decodeClientFrame(encodeFrame(frame))).toEqual({ ok: true, frame });
      }),
    );
  });

  it.each(Object.entries(SIDECAR_FRAMES))('%s of a sidecar', (_type, frames) => {
    fc.assert(
      fc.property(frames, (frame) => {
        expect(decodeSidecarFrame(encodeFrame(frame))).toEqual({ ok: true, frame });
      }),
    );
  });
});

describe.each(Object.entries(DECODERS))('B2: %s', (_name, decode) => {
  const expectTyped = (text: string) => {
    const decoded = decode(text);
    if (decoded.ok) return;
    expect(decoded.error).toBeInstanceOf(WireError);
    expect(['invalid', 'unknown_type']).toContain(decoded.error.code);
  };

  it('never throws and answers any text with a frame or a typed error', () => {
    fc.assert(fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.json()), expectTyped));
  });

  it('never throws for any fields of a known type', () => {
    const types = [...Object.keys(CLIENT_FRAMES), ...Object.keys(SIDECAR_FRAMES), 'constructor', '__proto__'];
    const keys = fc.constantFrom('id', 'executionId', 'request', 'versions', 'from', 'ok', 'result', 'outcome');
    fc.assert(
      fc.property(fc.constantFrom(...types), fc.dictionary(fc.oneof(keys, fc.string()), fc.jsonValue()), (type, rest) =>
        expectTyped(JSON.stringify({ ...rest, type })),
      ),
    );
  });

  it.each([
    ['a million open brackets', '['.repeat(1_000_000)],
    ['a million nested arrays', '['.repeat(1_000_000) + ']'.repeat(1_000_000)],
    ['no text', ''],
    ['half a frame', '{"type":"ack","id"'],
    ['an array', '[{"type":"ack"}]'],
    ['null', 'null'],
    ['a number', '5'],
    ['a text', '"ack"'],
  ])('answers %s as invalid, without an id', (_what, text) => {
    expect(failureOf(text, decode)).toMatchObject({ code: 'invalid', id: undefined });
  });

  it.each(['constructor', '__proto__', 'toString', 'hasOwnProperty', 'nonsense'])(
    'does not take %s for a frame type',
    (type) => {
      expect(failureOf(JSON.stringify({ type, id: 'r1' }), decode)).toMatchObject({
        code: 'unknown_type',
        message: `unknown frame type "${type}"`,
        id: 'r1',
      });
    },
  );

  it.each([[['ack']], [['error']], [5], [null], [{}], [undefined]])('does not take %j for a frame type', (type) => {
    expect(failureOf(JSON.stringify({ type, id: 'r1' }), decode)).toMatchObject({
      code: 'unknown_type',
      message: 'unknown frame type (no string)',
    });
  });

  it('answers a million nested objects, alone or in a field of a known frame', () => {
    const nested = '{"a":'.repeat(1_000_000) + '1' + '}'.repeat(1_000_000);
    expectTyped(nested);
    expectTyped(`{"type":"reply","id":"r1","ok":true,"result":${nested}}`);
    expectTyped(`{"type":"reply","id":"r1","ok":false,"result":${nested}}`);
    expectTyped(`{"type":"dispatch","id":"r1","executionId":"e1","request":${nested}}`);
  });

  it('lets a field named __proto__ change no object', () => {
    const text = '{"__proto__":{"polluted":true,"type":"ack"},"constructor":{"prototype":{"polluted":true}}}';
    expect(failureOf(text, decode)).toMatchObject({ code: 'unknown_type' });
    expect('polluted' in {}).toBe(false);
  });
});

describe('the error for a message that is no frame', () => {
  it('says so when it is no JSON object', () => {
    expect(failureOf('[]').message).toBe('not a JSON object');
    expect(failureOf('{').message).toBe('not a JSON object');
  });

  it('keeps an id that can be answered', () => {
    expect(failureOf(ack({ executionId: 5 })).id).toBe('r1');
    expect(failureOf('{"type":"nonsense","id":"r1"}').id).toBe('r1');
  });

  it.each([5, null, '', 'a b', '../x', '__proto__', 'x'.repeat(129), { id: 'r1' }, ['r1'], '\ud800'])(
    'has no id when the request has none that can be used, as %j',
    (id) => {
      expect(decodeClientFrame(ack({ id }))).not.toHaveProperty('id');
    },
  );

  it('names each field with what is wrong, for people and as data', () => {
    const { message, data } = failureOf(
      JSON.stringify({ type: 'hello', versions: [1], client: { name: '' }, cursors: [{}], extra: 1 }),
    );
    const issues = data['issues'] as { path: string; message: string }[];
    expect(issues.map(({ path }) => path)).toEqual([
      'client.name',
      'cursors.0.subscription',
      'cursors.0.executionId',
      'cursors.0.from',
      'cursors.0.creditBytes',
      '',
    ]);
    expect(message).toMatch(/^hello: client\.name: .+; cursors\.0\.subscription: .+; Unrecognized key: "extra"$/);
  });

  it('cuts the name of an unknown type', () => {
    const { message } = failureOf(JSON.stringify({ type: 'x'.repeat(1000) }));
    expect(message).toBe(`unknown frame type "${'x'.repeat(80)}"`);
  });

  it.each([
    ['many wrong fields', { env: Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`${i}`, 'x'])) }],
    ['a field with a long name', { ['k'.repeat(1_000_000)]: 1 }],
    ['a long name within a field', { env: { ['-'.repeat(1_000_000)]: 'x' } }],
  ])('is small, for %s as well', (_what, fields) => {
    const request = { prompt: 'x', ...fields };
    const { message, data } = failureOf(JSON.stringify({ type: 'dispatch', id: 'r1', executionId: 'e1', request }));
    expect(message.length).toBeLessThan(10_000);
    expect(JSON.stringify(data).length).toBeLessThan(20_000);
    expect((data['issues'] as unknown[]).length).toBeGreaterThan(0);
  });

  it('never repeats a value, which may be a secret', () => {
    const secret = 'sk-ant-canary';
    const wrong = fc.constantFrom<unknown>(secret, [secret], { a: secret }, [[secret]], { deep: [{ secret }] });
    const keys = fc.constantFrom('executionId', 'request', 'versions', 'client', 'cursors', 'from', 'bytes', 'from');
    const requestKeys = fc.constantFrom('cwd', 'timeoutMs', 'args', 'env', 'labels', 'sessionId', 'whenBusy', 'prompt');
    const types = fc.constantFrom('hello', 'dispatch', 'cancel', 'subscribe', 'credit', 'ack', 'status');
    const frame = fc
      .tuple(types, fc.dictionary(keys, wrong), fc.dictionary(requestKeys, wrong))
      .map(([type, fields, request]) => ({ id: 'r1', ...fields, ...(type === 'dispatch' ? { request } : {}), type }));
    fc.assert(
      fc.property(frame, (value) => {
        const decoded = decodeClientFrame(JSON.stringify(value));
        fc.pre(!decoded.ok);
        expect(`${decoded.error.message} ${JSON.stringify(decoded.error.data)}`).not.toContain(secret);
      }),
    );
  });

  it('does not take a number beyond what is exact for a count, nor 1e999 for a time', () => {
    expect(failureOf('{"type":"credit","id":"r1","subscription":"s","bytes":1e300}').code).toBe('invalid');
    const state = '{"type":"state","executionId":"e1","state":"running","attempt":1,"at":1e999}';
    expect(failureOf(state, decodeSidecarFrame).code).toBe('invalid');
  });
});

describe('nesting', () => {
  const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
  const dispatch = (settings: string) =>
    `{"type":"dispatch","id":"r1","executionId":"e1","request":{"prompt":"x","settings":{"a":${settings}}}}`;

  it('of a request may be as deep as the limit and no deeper', () => {
    const outer = 3;
    expect(decodeClientFrame(dispatch(nested(LIMITS.nestingDepthMax - outer))).ok).toBe(true);
    expect(failureOf(dispatch(nested(LIMITS.nestingDepthMax - outer + 1)))).toMatchObject({
      code: 'invalid',
      message: `nested deeper than ${LIMITS.nestingDepthMax} levels`,
    });
  });

  it('is not counted within strings, whatever they escape', () => {
    for (const text of ['[[[[', '{{{{', '"[[[[', '\\', '\\"[[[[', '\\\\', '[[\\"[[']) {
      expect(nestsDeeperThan(JSON.stringify(text), 0), text).toBe(false);
      expect(nestsDeeperThan(JSON.stringify([text, text]), 1), text).toBe(false);
    }
  });

  it('is counted behind a string that ends in a backslash or a quote', () => {
    for (const text of ['\\', '"', '\\"', 'a']) {
      expect(nestsDeeperThan(`[${JSON.stringify(text)},[]]`, 1), text).toBe(true);
    }
  });

  it('does not add up side by side', () => {
    expect(nestsDeeperThan('[[],[],{},{}]', 2)).toBe(false);
    expect(nestsDeeperThan('{"a":{},"b":[]}', 2)).toBe(false);
  });

  it('is as deep as the value is, for any JSON', () => {
    const depthOf = (value: unknown): number =>
      typeof value !== 'object' || value === null ? 0 : 1 + Math.max(0, ...Object.values(value).map(depthOf));
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), fc.nat({ max: 6 }), fc.nat({ max: 2 }), (value, depthMax, indent) => {
        expect(nestsDeeperThan(JSON.stringify(value, null, indent), depthMax)).toBe(depthOf(value) > depthMax);
      }),
    );
  });
});
