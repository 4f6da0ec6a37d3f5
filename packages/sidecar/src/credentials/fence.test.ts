import { describe, expect, it } from 'vitest';
import { Fence } from './fence.js';

describe('a fence', () => {
  it('lets pass what is not below the highest that was seen, and remembers that, so that it holds in the next life', () => {
    const noted: number[] = [];
    const fence = new Fence({ highest: 5, note: (highest) => noted.push(highest) });
    for (const passing of [undefined, 5, 7, 7]) fence.pass(passing);
    expect(noted).toEqual([7]);
    for (const stale of [5, 6]) {
      expect(() => fence.pass(stale)).toThrow(
        expect.objectContaining({ code: 'stale_fence', data: { fence: 7 } }) as Error,
      );
    }
    fence.pass(undefined);
  });
});
