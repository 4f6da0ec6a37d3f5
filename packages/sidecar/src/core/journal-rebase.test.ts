import fc from 'fast-check';
import { expect, it } from 'vitest';
import { accepted, anyRecord } from '../testing/journal-records.js';
import { foldJournal } from './journal-fold.js';
import { rebaseJournal } from './journal-rebase.js';

/** Every moment there is, by the name of its field. */
const MOMENTS = new Set(['at', 'acceptedAtMs', 'since', 'until', 'startedAt', 'endAskedAt']);

/** A journal with every moment moved, found by its name alone. */
function moved(value: unknown, shiftMs: number, key = ''): unknown {
  if (typeof value === 'number') return MOMENTS.has(key) ? value + shiftMs : value;
  if (value instanceof Map) {
    const isOfMoments = key === 'rememberedCancels';
    return new Map([...value].map(([id, one]) => [id, moved(one, shiftMs, isOfMoments ? 'at' : '')] as const));
  }
  if (Array.isArray(value)) return value.map((one) => moved(one, shiftMs));
  // An outcome is told by the wall clock.
  if (value === null || typeof value !== 'object' || key === 'outcome') return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, moved(one, shiftMs, name)]));
}

it('moves every moment of a journal, and nothing else', () => {
  fc.assert(
    fc.property(fc.array(anyRecord, { maxLength: 30 }), fc.integer({ min: -1000, max: 1000 }), (records, shiftMs) => {
      const state = foldJournal([accepted('a'), accepted('b'), ...records]);
      expect(rebaseJournal(state, shiftMs)).toEqual(moved(state, shiftMs));
    }),
    { numRuns: 1000 },
  );
});
