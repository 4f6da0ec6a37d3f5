import { type Drain } from '@outrigger/protocol';
import { expect, it } from 'vitest';
import { endOfDrain } from './drain-end.js';

const mine = { drainId: 'a', bootId: 'boot' };
const drain = (state: Drain['state'], more: Partial<Drain> = {}): Drain => ({
  drainId: 'a',
  state,
  startedAt: 0,
  deadlineAt: 100,
  atDeadline: 'leave',
  isFinal: false,
  remaining: [],
  remainingCount: 0,
  ...more,
});

it.each<[string, Drain | undefined, string, ReturnType<typeof endOfDrain>]>([
  ['while it waits', drain('draining'), 'boot', null],
  ['while it cancels', drain('cancelling'), 'boot', null],
  ['with nothing left', drain('drained'), 'boot', 'drained'],
  ['at its deadline', drain('failed'), 'boot', 'deadline'],
  ['when it was ended', drain('ended', { cause: 'resumed' }), 'boot', 'resumed'],
  ['when it was not renewed', drain('ended', { cause: 'expired' }), 'boot', 'expired'],
  ['when none stands any more', undefined, 'boot', 'resumed'],
  [
    'when another one stands, which begins once one has failed',
    drain('draining', { drainId: 'b' }),
    'boot',
    'deadline',
  ],
  ['when the sidecar is another one, drained or not', drain('drained'), 'another boot', 'restarted'],
])('a drain %s', (_when, seen, bootId, end) => {
  expect(endOfDrain(mine, { bootId, drain: seen })).toBe(end);
});
