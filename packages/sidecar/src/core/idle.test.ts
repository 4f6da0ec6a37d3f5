import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { idleDeadline } from './idle.js';

const LIMITS = { idleTimeoutMs: 100, toolStallMs: 1000 };

describe('a run counts as idle', () => {
  it('when it has printed nothing for the idle time', () => {
    expect(idleDeadline({ lastOutputAt: 5, toolSince: null }, LIMITS)).toBe(105);
  });

  it('no sooner than its tool has run for as long as one may, and then for the idle time', () => {
    expect(idleDeadline({ lastOutputAt: 5, toolSince: 5 }, LIMITS)).toBe(1105);
    expect(idleDeadline({ lastOutputAt: 500, toolSince: 5 }, LIMITS)).toBe(1105);
  });

  it('not while it prints something, however long its tool has been running', () => {
    expect(idleDeadline({ lastOutputAt: 5000, toolSince: 5 }, LIMITS)).toBe(5100);
  });

  it('never sooner for another sign of life, and always in the end', () => {
    const time = fc.nat({ max: 1_000_000 });
    fc.assert(
      fc.property(time, fc.option(time), time, (lastOutputAt, toolSince, later) => {
        const deadline = idleDeadline({ lastOutputAt, toolSince }, LIMITS);
        expect(idleDeadline({ lastOutputAt: lastOutputAt + later, toolSince }, LIMITS)).toBeGreaterThanOrEqual(
          deadline,
        );
        expect(deadline).toBeGreaterThanOrEqual(idleDeadline({ lastOutputAt, toolSince: null }, LIMITS));
        const latest = Math.max(lastOutputAt, toolSince ?? 0);
        expect(deadline).toBeLessThanOrEqual(latest + LIMITS.toolStallMs + LIMITS.idleTimeoutMs);
      }),
    );
  });
});
