import { describe, expect, it } from 'vitest';
import { admit, type AdmissionFacts } from './admission.js';

const FREE: AdmissionFacts = {
  known: null,
  digest: 'a',
  isCancelRemembered: false,
  isDraining: false,
  isCircuitOpen: false,
  hasCredential: true,
  isDiskLow: false,
  live: 0,
  maxExecutions: 2,
  queued: 0,
  queuedMax: 3,
  whenBusy: 'refuse',
};

/** Every combination of what can stand in the way of a new id. */
const obstacles = [true, false].flatMap((isDraining) =>
  [true, false].flatMap((isCircuitOpen) =>
    [true, false].flatMap((hasCredential) =>
      [true, false].flatMap((isDiskLow) =>
        [0, 2].map((live) => ({ ...FREE, isDraining, isCircuitOpen, hasCredential, isDiskLow, live })),
      ),
    ),
  ),
);

describe('D1: at capacity', () => {
  it('a dispatch starts while a slot is free, and not one more', () => {
    expect(admit({ ...FREE, live: 1 })).toEqual({ verdict: 'start' });
    expect(admit({ ...FREE, live: 2 })).toEqual({ verdict: 'refuse', code: 'at_capacity' });
    expect(admit({ ...FREE, live: 3 })).toEqual({ verdict: 'refuse', code: 'at_capacity' });
  });

  it('it waits in the queue where that was asked for, while the queue has room', () => {
    const queue = { ...FREE, live: 2, whenBusy: 'queue' } as const;
    expect(admit({ ...queue, queued: 2 })).toEqual({ verdict: 'queue' });
    expect(admit({ ...queue, queued: 3 })).toEqual({ verdict: 'refuse', code: 'at_capacity' });
    expect(admit({ ...queue, live: 1 })).toEqual({ verdict: 'start' });
    expect(admit({ ...queue, isDraining: true })).toEqual({ verdict: 'refuse', code: 'draining' });
    expect(admit({ ...queue, isCircuitOpen: true })).toEqual({ verdict: 'refuse', code: 'circuit_open' });
    expect(admit({ ...queue, hasCredential: false })).toEqual({ verdict: 'refuse', code: 'credential_missing' });
  });

  it('nobody overtakes who waits, even when a slot is free', () => {
    const behind = { ...FREE, live: 1, queued: 1 };
    expect(admit(behind)).toEqual({ verdict: 'refuse', code: 'at_capacity' });
    expect(admit({ ...behind, whenBusy: 'skip' })).toEqual({ verdict: 'skip', reason: 'at_capacity' });
    expect(admit({ ...behind, whenBusy: 'queue' })).toEqual({ verdict: 'queue' });
  });

  it('it is recorded as skipped where that was asked for', () => {
    expect(admit({ ...FREE, live: 2, whenBusy: 'skip' })).toEqual({ verdict: 'skip', reason: 'at_capacity' });
  });
});

it.each(obstacles)(
  'draining goes before an open circuit, a missing credential, a full disk and capacity (%o)',
  (facts) => {
    const inTheWay = {
      draining: facts.isDraining,
      circuit_open: facts.isCircuitOpen,
      credential_missing: !facts.hasCredential,
      disk_low: facts.isDiskLow,
      at_capacity: facts.live > 0,
    };
    const reason = Object.entries(inTheWay).find(([_reason, is]) => is)?.[0];
    const isFree = reason === undefined;
    expect(admit(facts)).toEqual(isFree ? { verdict: 'start' } : { verdict: 'refuse', code: reason });
    expect(admit({ ...facts, whenBusy: 'skip' })).toEqual(isFree ? { verdict: 'start' } : { verdict: 'skip', reason });
  },
);

it.each(obstacles)(
  'D2: an id that is known is answered as such, whatever stands in the way of a new one (%o)',
  (facts) => {
    for (const isCancelRemembered of [true, false]) {
      expect(admit({ ...facts, isCancelRemembered, known: { digest: 'a' } })).toEqual({ verdict: 'known' });
    }
  },
);

it.each(obstacles)('D8: a known id with another body is a conflict, whatever else (%o)', (facts) => {
  expect(admit({ ...facts, known: { digest: 'b' } })).toEqual({ verdict: 'conflict' });
});

it.each(obstacles)('D8: an id cancelled before its dispatch never starts, whatever else (%o)', (facts) => {
  expect(admit({ ...facts, isCancelRemembered: true })).toEqual({ verdict: 'cancelled' });
});
