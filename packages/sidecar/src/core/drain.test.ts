import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { advanceDrain, type Drain, type DrainWish, nextLookAt, requestDrain } from './drain.js';

const wish = (more: Partial<DrainWish> = {}): DrainWish => ({
  deadlineMs: 100,
  atDeadline: 'leave',
  ttlMs: null,
  isFinal: false,
  ...more,
});

const begin = (more: Partial<DrainWish> = {}, nowMs = 0) => requestDrain(null, wish(more), { nowMs, drainId: 'a' });
const join = (drain: Drain, more: Partial<DrainWish>, nowMs = 0) =>
  requestDrain(drain, wish(more), { nowMs, drainId: 'b' });

describe('D4: a drain at its deadline', () => {
  it('has failed with `leave`, once, and is drained when the last run has ended after all', () => {
    const drain = begin();
    expect(advanceDrain(drain, { nowMs: 99, live: 2 })).toEqual({ drain, mustCancel: false });
    const { drain: failed } = advanceDrain(drain, { nowMs: 100, live: 2 });
    expect(failed).toEqual({ ...drain, state: 'failed' });
    expect(advanceDrain(failed ?? drain, { nowMs: 500, live: 1 })).toEqual({ drain: failed, mustCancel: false });
    expect(advanceDrain(failed ?? drain, { nowMs: 500, live: 0 }).drain?.state).toBe('drained');
  });

  it('cancels with `cancel`, once', () => {
    const drain = begin({ atDeadline: 'cancel' });
    expect(advanceDrain(drain, { nowMs: 99, live: 2 }).mustCancel).toBe(false);
    const step = advanceDrain(drain, { nowMs: 100, live: 2 });
    expect(step).toEqual({ drain: { ...drain, state: 'cancelling' }, mustCancel: true });
    expect(advanceDrain(step.drain ?? drain, { nowMs: 200, live: 2 }).mustCancel).toBe(false);
  });

  it('is drained when nothing runs, whatever the time', () => {
    for (const nowMs of [0, 100, 1000]) {
      expect(advanceDrain(begin({ atDeadline: 'cancel' }), { nowMs, live: 0 })).toEqual({
        drain: { ...begin({ atDeadline: 'cancel' }), state: 'drained' },
        mustCancel: false,
      });
    }
  });
});

describe('D4: a drain that is asked for twice', () => {
  const wishes = fc.record({
    deadlineMs: fc.nat(1000),
    atDeadline: fc.constantFrom('leave', 'cancel'),
    ttlMs: fc.option(fc.integer({ min: 1, max: 1000 })),
    isFinal: fc.boolean(),
  });

  it('is one, with the earlier deadline, the stricter choice and the later end, in whichever order', () => {
    fc.assert(
      fc.property(wishes, wishes, (first, second) => {
        const [one, other] = [join(begin(first), second), join(begin(second), first)];
        expect(one).toEqual(other);
        expect(one.drainId).toBe('a');
        expect(one.deadlineAt).toBe(Math.min(first.deadlineMs, second.deadlineMs));
        expect(one.atDeadline === 'cancel').toBe(first.atDeadline === 'cancel' || second.atDeadline === 'cancel');
        const isForGood = first.ttlMs === null || second.ttlMs === null;
        expect(one.expiresAt).toBe(isForGood ? null : Math.max(first.ttlMs ?? 0, second.ttlMs ?? 0));
        expect(one.isFinal).toBe(first.isFinal || second.isFinal);
      }),
    );
  });

  it('is another one, with a deadline of its own, once the first has failed; its end stays', () => {
    const failed = advanceDrain(begin({ ttlMs: 5000 }), { nowMs: 100, live: 1 }).drain ?? begin();
    const next = join(failed, { atDeadline: 'cancel', ttlMs: 10 }, 200);
    expect(next).toMatchObject({ drainId: 'b', state: 'draining', startedAt: 200, deadlineAt: 300, expiresAt: 5000 });
    expect(next.atDeadline).toBe('cancel');
  });

  it('goes on cancelling, and stays drained', () => {
    const cancelling = advanceDrain(begin({ atDeadline: 'cancel' }), { nowMs: 100, live: 1 }).drain ?? begin();
    expect(join(cancelling, {}, 150)).toMatchObject({ drainId: 'a', state: 'cancelling', atDeadline: 'cancel' });
    const drained = advanceDrain(begin(), { nowMs: 10, live: 0 }).drain ?? begin();
    expect(join(drained, {}, 150)).toMatchObject({ drainId: 'a', state: 'drained' });
  });
});

describe('a drain with an end of its own', () => {
  it('ends then, unless somebody has asked for it again', () => {
    const drain = begin({ ttlMs: 50 });
    expect(advanceDrain(drain, { nowMs: 49, live: 1 }).drain).toEqual(drain);
    expect(advanceDrain(drain, { nowMs: 50, live: 1 })).toEqual({ drain: null, mustCancel: false });
    const renewed = join(drain, { ttlMs: 50 }, 40);
    expect(advanceDrain(renewed, { nowMs: 89, live: 1 }).drain).toEqual(renewed);
    expect(advanceDrain(renewed, { nowMs: 90, live: 1 }).drain).toBeNull();
  });

  it('still cancels at a deadline before it when it is looked at too late, and cancels nothing after it', () => {
    const early = begin({ atDeadline: 'cancel', ttlMs: 200 });
    expect(advanceDrain(early, { nowMs: 999, live: 1 })).toMatchObject({ mustCancel: true });
    const late = begin({ atDeadline: 'cancel', ttlMs: 100 });
    expect(advanceDrain(late, { nowMs: 999, live: 1 })).toEqual({ drain: null, mustCancel: false });
  });

  it('does not end while the sidecar stops', () => {
    expect(advanceDrain(begin({ ttlMs: 50, isFinal: true }), { nowMs: 60, live: 0 }).drain?.state).toBe('drained');
  });
});

it('I10: whatever is asked for and however late it is looked at, nothing is cancelled early, twice or unasked', () => {
  const events = fc.array(
    fc.oneof(
      fc.record({
        deadlineMs: fc.nat(100),
        atDeadline: fc.constantFrom('leave' as const, 'cancel' as const),
        ttlMs: fc.option(fc.integer({ min: 1, max: 100 })),
        isFinal: fc.constant(false),
      }),
      fc.record({ passMs: fc.nat(60), live: fc.nat(3) }),
    ),
    { maxLength: 30 },
  );
  fc.assert(
    fc.property(events, (all) => {
      let drain: Drain | null = null;
      let nowMs = 0;
      let asked: { at: number; wish: DrainWish; drainId: string }[] = [];
      const cancelled = new Set<string>();
      for (const [n, event] of all.entries()) {
        if ('deadlineMs' in event) {
          drain = requestDrain(drain, event, { nowMs, drainId: `${n}` });
          asked.push({ at: nowMs, wish: event, drainId: drain.drainId });
          continue;
        }
        nowMs += event.passMs;
        if (drain === null) continue;
        const before: Drain = drain;
        const step = advanceDrain(before, { nowMs, live: event.live });
        const wishes = asked.filter((one) => one.drainId === before.drainId);
        if (step.mustCancel) {
          expect(wishes.some((one) => one.wish.atDeadline === 'cancel')).toBe(true);
          expect(wishes.some((one) => one.at + one.wish.deadlineMs <= nowMs)).toBe(true);
          expect(cancelled).not.toContain(before.drainId);
          cancelled.add(before.drainId);
        }
        if (step.drain === null) {
          expect(asked.every(({ at, wish: { ttlMs } }) => ttlMs !== null && at + ttlMs <= nowMs)).toBe(true);
          asked = [];
        } else if (event.live === 0) expect(step.drain.state).toBe('drained');
        // Where time has something to change, the next look says when; a look that is due is not behind it twice.
        const next = step.drain === null ? null : nextLookAt(step.drain);
        if (next !== null && next <= nowMs) {
          const again = step.drain === null ? null : advanceDrain(step.drain, { nowMs, live: event.live }).drain;
          expect(again).not.toEqual(step.drain);
        }
        drain = step.drain;
      }
    }),
    { numRuns: 2000 },
  );
});
