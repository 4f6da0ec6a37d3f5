import fc from 'fast-check';
import { expect, it } from 'vitest';
import { isBeside, type RequestTraits, traitsOf } from './request-traits.js';

const UNKNOWN: RequestTraits = { model: null, isStream: false, isProbe: false };

it.each<[string | null, Partial<RequestTraits>]>([
  ['{"model":"m","stream":true}', { model: 'm', isStream: true }],
  ['{"model":"m","stream":false}', { model: 'm', isStream: false }],
  ['{"model":"m"}', { model: 'm', isStream: false }],
  ['{"stream":true}', { model: null, isStream: true }],
  ['{"model":5,"stream":"true"}', UNKNOWN],
  ['{"model":null,"stream":1}', UNKNOWN],
  ['{"model":{"stream":true}}', UNKNOWN],
  [`{"model":"${'m'.repeat(256)}"}`, { model: 'm'.repeat(256) }],
  [`{"model":"${'m'.repeat(257)}"}`, UNKNOWN],
  ['{"model":""}', UNKNOWN],
  ['{"model":"m\\u001b[31m"}', UNKNOWN],
  ['{"model":"m\\n"}', UNKNOWN],
  ['{"model":"m\\ud800"}', UNKNOWN],
  ['{"stream":true,"stream":false}', UNKNOWN],
  ['{"__proto__":{"model":"m","stream":true}}', UNKNOWN],
  ['{"max_tokens":1}', { isProbe: true }],
  ['{"max_tokens":"1"}', UNKNOWN],
  ['[{"model":"m","stream":true}]', UNKNOWN],
  ['"stream"', UNKNOWN],
  ['null', UNKNOWN],
  ['5', UNKNOWN],
  ['', UNKNOWN],
  ['{"model":"m","stream":true', UNKNOWN],
  // A body that is too large to be looked at; what it asks for is most likely a stream.
  [null, { model: null, isStream: true }],
])('the request %j is for %j', (body, traits) => {
  expect(traitsOf(body)).toEqual({ ...UNKNOWN, ...traits });
});

it('whatever is sent is a request for something', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        fc.jsonValue().map((value) => JSON.stringify({ model: value, stream: value })),
      ),
      (body) => {
        const { model, isStream } = traitsOf(body);
        expect(model === null || typeof model === 'string').toBe(true);
        expect(typeof isStream).toBe('boolean');
      },
    ),
  );
});

it.each<[string, Partial<RequestTraits>, string | null, boolean]>([
  ['for the model of the run', { model: 'm' }, 'm', false],
  ['for another one', { model: 'small' }, 'm', true],
  ['for the model of a run with a longer context', { model: 'm' }, 'm[1m]', false],
  ['while the model of the run is not known', { model: 'small' }, null, false],
  ['for no model', {}, 'm', false],
  ['for one token', { model: 'm', isProbe: true }, 'm', true],
  ['for one token while the model of the run is not known', { model: 'm', isProbe: true }, null, true],
])('a request %s is beside the turns of the run, or is not', (_what, traits, runModel, expected) => {
  expect(isBeside({ ...UNKNOWN, ...traits }, runModel)).toBe(expected);
});
