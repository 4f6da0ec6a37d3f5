import fc from 'fast-check';
import { expect, it } from 'vitest';
import { canonicalJson } from './canonical-json.js';

/** The same value with the keys of every object put in backwards. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, inner]) => [key, reversed(inner)]),
  );
}

const json = fc.json().map((text): unknown => JSON.parse(text));

it('puts the keys of every object in order, and leaves arrays in theirs', () => {
  expect(canonicalJson({ b: [2, 1], a: { d: null, c: 'x' }, B: true })).toBe(
    '{"B":true,"a":{"c":"x","d":null},"b":[2,1]}',
  );
});

it('leaves out what is undefined, so that a field left out and one undefined are the same', () => {
  expect(canonicalJson({ b: undefined, a: 1 })).toBe('{"a":1}');
});

it('D8: is the same for the same value, however its keys are ordered', () => {
  fc.assert(
    fc.property(json, (value) => {
      expect(canonicalJson(reversed(value))).toBe(canonicalJson(value));
    }),
  );
});

it('D8: loses nothing, so that different values have different texts', () => {
  fc.assert(
    fc.property(json, (value) => {
      expect(JSON.parse(canonicalJson(value))).toEqual(value);
    }),
  );
});
