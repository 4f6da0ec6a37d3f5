import { expect, it } from 'vitest';
import {
  cancel,
  credentialFailed,
  credentialReady,
  exited,
  held,
  HOLD_LIMITS,
  holdTimeout,
  idle,
  launched,
  logsRead,
  prepared,
  refusalFor,
  released,
  result,
  RESUME_LIMITS,
  treeDead,
} from '../testing/lives.js';
import { notesOf } from './journal-notes.js';
import { type LifecycleEvent, newLifecycle } from './lifecycle-state.js';
import { step } from './lifecycle.js';

const ENDS = [{ stdout: 5, stderr: 0 }];

/** What is written down of a life, event by event. */
function notedOf(limits: typeof HOLD_LIMITS, ...events: LifecycleEvent[]) {
  let state = newLifecycle(limits);
  return events.flatMap((event) => {
    const before = state;
    state = step(before, event).state;
    return notesOf({ id: 'a', before, after: state, ends: () => ENDS });
  });
}

it('a run that ends by itself leaves its verdict, with where its logs end', () => {
  expect(notedOf(HOLD_LIMITS, prepared(), launched(), result(9), exited(10), logsRead, treeDead(12))).toEqual([
    {
      is: 'decided',
      id: 'a',
      verdict: { status: 'succeeded', reason: 'completed', at: 9 },
      refusal: null,
      ends: ENDS,
    },
  ]);
});

it('a cancel is noted once, when it is taken, and not when it comes too late', () => {
  const cancelled = { is: 'cancelled', id: 'a', at: 5, reason: 'requested' };
  expect(notedOf(HOLD_LIMITS, cancel(5), cancel(6))).toEqual([cancelled]);
  const late = notedOf(HOLD_LIMITS, prepared(), launched(), exited(3), logsRead, cancel(5));
  expect(late.map(({ is }) => is)).toEqual(['decided']);
});

it('a hold is noted when it begins and when it is over', () => {
  const refusal = refusalFor('auth_expired');
  expect(notedOf(HOLD_LIMITS, prepared(), launched(), held(10), released(25))).toEqual([
    { is: 'held', id: 'a', heldMs: 0, hold: { since: 10, until: 110, refusal } },
    { is: 'held', id: 'a', heldMs: 15, hold: null },
  ]);
});

it('a suspension is noted with all that another attempt needs, and what it waited once it goes on', () => {
  const noted = notedOf(
    RESUME_LIMITS,
    prepared(),
    launched(),
    credentialFailed(10, 'auth_expired', refusalFor('auth_expired')),
    logsRead,
    treeDead(20),
    credentialReady(50),
  );
  const hold = { since: 10, until: 110, refusal: refusalFor('auth_expired') };
  const failure = { kind: 'failed', reason: 'auth_expired', at: 10 };
  expect(noted).toEqual([
    { is: 'suspended', id: 'a', next: 'resume', failure, resumesLeft: 2, hold, heldMs: 0, ends: ENDS },
    { is: 'held', id: 'a', heldMs: 40, hold: null },
  ]);
});

it('what comes while an attempt is suspended is noted for itself, and the end of an execution with its outcome alone', () => {
  const failed = credentialFailed(10, 'auth_expired', refusalFor('auth_expired'));
  const suspended = [prepared(), launched(), failed, logsRead] as const;
  const cancelled = notedOf(RESUME_LIMITS, ...suspended, cancel(15), treeDead(20));
  expect(cancelled.map(({ is }) => is)).toEqual(['suspended', 'cancelled']);
  const timedOut = notedOf(RESUME_LIMITS, ...suspended, treeDead(20), holdTimeout(110));
  expect(timedOut.map(({ is }) => is)).toEqual(['suspended']);
});

it('what the clock and the process tell again is not noted', () => {
  expect(notedOf(HOLD_LIMITS, prepared(), launched(), result(3), idle(5))).toEqual([]);
});
