import fc from 'fast-check';
import { expect, it } from 'vitest';
import { negotiateVersion, PROTOCOL_VERSIONS, SUBPROTOCOL } from './negotiate.js';

it('the best version both sides speak is chosen, in whatever order it was offered', () => {
  expect(negotiateVersion([1, 2, 3], [3, 2, 1])).toBe(3);
  expect(negotiateVersion([2, 1], [3, 2, 1])).toBe(2);
  expect(negotiateVersion([1, 9], [3, 2, 1])).toBe(1);
});

it('without a version in common there is none', () => {
  expect(negotiateVersion([4, 5], [3, 2, 1])).toBeNull();
  expect(negotiateVersion([])).toBeNull();
});

it('unless told otherwise this package speaks its own versions', () => {
  expect(negotiateVersion(PROTOCOL_VERSIONS)).toBe(PROTOCOL_VERSIONS[0]);
  expect(negotiateVersion([999])).toBeNull();
});

it('the chosen version is one that was offered, spoken, and better than any other of those', () => {
  const versions = fc.uniqueArray(fc.integer({ min: 1, max: 12 }), { maxLength: 6 });
  fc.assert(
    fc.property(versions, versions, (offered, someSpoken) => {
      const common = offered.filter((version) => someSpoken.includes(version));
      const bestFirst = someSpoken.toSorted((a, b) => b - a);
      expect(negotiateVersion(offered, bestFirst)).toBe(common.length === 0 ? null : Math.max(...common));
    }),
  );
});

it('the subprotocol names the best version', () => {
  expect(SUBPROTOCOL).toBe(`outrigger.v${PROTOCOL_VERSIONS[0] ?? 'none'}`);
});
