import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Bucket, type BucketLimits, takeToken } from './token-bucket.js';

const LIMITS: BucketLimits = { burst: 3, perSecond: 2 };

/** How many of the takes at these times succeed. */
function taken(times: number[], limits = LIMITS): number {
  let bucket: Bucket | null = null;
  return times.filter((nowMs) => {
    const after = takeToken(bucket, limits, nowMs);
    bucket = after ?? bucket;
    return after !== null;
  }).length;
}

it('a fresh bucket gives its burst at once and no more', () => {
  expect(taken([0, 0, 0, 0, 0])).toBe(3);
});

it('each token comes back after its share of a second, not earlier', () => {
  expect(taken([0, 0, 0, 499])).toBe(3);
  expect(taken([0, 0, 0, 500])).toBe(4);
  expect(taken([0, 0, 0, 500, 999])).toBe(4);
  expect(taken([0, 0, 0, 500, 1000])).toBe(5);
});

it('what was refused does not delay what comes back', () => {
  expect(taken([0, 0, 0, 100, 200, 300, 400, 500])).toBe(4);
});

it('a bucket left alone fills up to its burst and no further', () => {
  expect(taken([0, 0, 0, ...Array<number>(9).fill(3_600_000)])).toBe(6);
});

it('says what is left', () => {
  expect(takeToken(null, LIMITS, 7)).toEqual({ tokens: 2, atMs: 7 });
  expect(takeToken({ tokens: 0.5, atMs: 1000 }, LIMITS, 1500)).toEqual({ tokens: 0.5, atMs: 1500 });
  expect(takeToken({ tokens: 0.5, atMs: 1000 }, LIMITS, 1249)).toBeNull();
});

it('B1: in no stretch of time are there more than the burst and what came back', () => {
  const gaps = fc.array(fc.nat({ max: 700 }), { maxLength: 60 });
  const limits = fc.record({ burst: fc.integer({ min: 1, max: 5 }), perSecond: fc.constantFrom(0.5, 1, 4) });
  fc.assert(
    fc.property(gaps, limits, (steps, { burst, perSecond }) => {
      let nowMs = 0;
      const times = steps.map((step) => (nowMs += step));
      expect(taken(times, { burst, perSecond })).toBeLessThanOrEqual(burst + (nowMs / 1000) * perSecond + 1e-6);
    }),
  );
});
