import { describe, expect, it } from 'vitest';
import {
  cancel,
  credentialFailed,
  deadline,
  everyOrder,
  exited,
  held,
  HOLD_LIMITS,
  holdTimeout,
  killed,
  logsRead,
  names,
  refusalFor,
  released,
  result,
  tell,
  tellRunningWith,
  TO_THE_END,
  treeDead,
  turnStarted,
} from '../testing/lives.js';
import { heldUntil } from './hold.js';
import { type LifecycleEvent, type LifecycleLimits, newLifecycle, stateOf } from './lifecycle-state.js';
import { step } from './lifecycle.js';

const run = (...events: LifecycleEvent[]) => tellRunningWith(HOLD_LIMITS, ...events);
/** What the run was told last had these effects. */
const lastEffects = (...events: LifecycleEvent[]) =>
  step(run(...events.slice(0, -1)).state, events.at(-1) ?? logsRead).effects;

describe('a run whose requests wait for another credential', () => {
  it('C1: is held, and gives up when its time for that is over', () => {
    const { state } = run(held(10));
    expect(lastEffects(held(10))).toEqual([{ do: 'set_hold', at: 110 }, { do: 'announce_state' }]);
    expect(state).toMatchObject({
      phase: 'running',
      hold: { since: 10, until: 110, refusal: refusalFor('auth_expired') },
      refusal: refusalFor('auth_expired'),
      heldMs: 0,
      since: 10,
    });
    expect(stateOf(state)).toBe('held');
  });

  it('is told of one hold, however many of its requests wait and for whatever reason', () => {
    const { state } = run(held(10));
    expect(step(state, held(20, 'rate_limited'))).toEqual({ state, effects: [] });
  });

  it('goes on when none waits any longer, as if nothing had happened', () => {
    const { state } = run(held(10), released(40));
    expect(lastEffects(held(10), released(40))).toEqual([{ do: 'set_hold', at: null }, { do: 'announce_state' }]);
    expect(state).toMatchObject({ phase: 'running', hold: null, heldMs: 30, since: 40, observations: [] });
    expect(stateOf(state)).toBe('running');
  });

  it.each<[string, LifecycleEvent[], { since: number; until: number }]>([
    ['as a whole to the first', [held(10)], { since: 10, until: 110 }],
    ['what is left of it to the second', [held(10), released(40), held(60)], { since: 60, until: 130 }],
    ['and so on', [held(10), released(40), held(60), released(100), held(200)], { since: 200, until: 230 }],
    ['to the millisecond', [held(10), released(109), held(200)], { since: 200, until: 201 }],
    ['also where it was not used at all', [held(10), released(10), held(20)], { since: 20, until: 120 }],
  ])('has one budget of time for all its holds: %s', (_which, events, hold) => {
    const { state } = run(...events);
    expect(state.hold).toMatchObject(hold);
    expect(lastEffects(...events)[0]).toEqual({ do: 'set_hold', at: hold.until });
  });

  it('C1: has not failed for a credential that was replaced', () => {
    const { state } = run(credentialFailed(5), held(10), released(40), result(50), exited(60), ...TO_THE_END);
    expect(state).toMatchObject({ phase: 'ended', observations: [], verdict: { reason: 'completed', at: 50 } });
  });

  it('does not hear a timer that was set for an earlier hold', () => {
    const { state } = run(held(10), released(40), held(60));
    expect(step(state, holdTimeout(110))).toEqual({ state, effects: [] });
    expect(step(state, holdTimeout(130)).state.phase).toBe('closing');
  });

  it('is not held any more when it is being ended', () => {
    const { state, effects } = run(held(10), cancel(20));
    expect(names(effects)).toEqual(['set_hold', 'announce_state', 'read_logs']);
    for (const late of [released(25), held(30)]) expect(step(state, late)).toEqual({ state, effects: [] });
    const decided = tell([logsRead], state).state;
    for (const late of [released(25), holdTimeout(110)])
      expect(step(decided, late)).toEqual({ state: decided, effects: [] });
    expect(stateOf(decided)).toBe('ending');
  });
});

const failed = (reason: string, at: number) => ({ status: 'failed', reason, at });
const cancelled = (at: number) => ({ status: 'cancelled', reason: 'requested', at });

interface Case {
  title: string;
  /** What comes before everything else, in this order. */
  before?: LifecycleEvent[];
  heard: LifecycleEvent[];
  verdict: { status: string; reason: string; at: number };
  heldMs: number;
  limits?: Partial<LifecycleLimits>;
}

/** The first hold runs out at 110. */
describe('the verdict on a run that is held, in every order of arrival', () => {
  it.each<Case>([
    {
      title: 'C1: is the reason of the hold, as of its end',
      heard: [holdTimeout(110), exited(150, 143)],
      verdict: failed('auth_expired', 110),
      heldMs: 100,
    },
    {
      title: 'is the same where the timer is never heard of',
      heard: [exited(150, 1)],
      verdict: failed('auth_expired', 110),
      heldMs: 100,
    },
    {
      title: 'is the same where somebody kills the run for it',
      heard: [killed(150), cancel(149)],
      verdict: failed('auth_expired', 110),
      heldMs: 100,
    },
    {
      title: 'is the same where a credential comes too late, and the timer later still',
      heard: [released(120), holdTimeout(110)],
      verdict: failed('auth_expired', 110),
      heldMs: 100,
    },
    {
      title: 'is the same where the credential comes in the moment of the end',
      heard: [released(110), holdTimeout(110)],
      verdict: failed('auth_expired', 110),
      heldMs: 100,
    },
    {
      title: 'is the same where the run answers later',
      heard: [holdTimeout(110), result(111)],
      verdict: failed('auth_expired', 110),
      heldMs: 100,
    },
    {
      title: 'is that nobody brought a credential where there was none',
      before: [held(10, 'credential_missing')],
      heard: [holdTimeout(110), exited(150, 143)],
      verdict: { status: 'timed_out', reason: 'hold', at: 110 },
      heldMs: 100,
    },
    ...(['auth_revoked', 'auth_invalid', 'rate_limited', 'billing'] as const).map((reason) => ({
      title: `is ${reason} where that was the reason`,
      before: [held(10, reason)],
      heard: [holdTimeout(110)],
      verdict: failed(reason, 110),
      heldMs: 100,
    })),
    { title: 'is a cancel before the end of the hold', heard: [cancel(60)], verdict: cancelled(60), heldMs: 50 },
    {
      title: 'is a cancel before the end of the hold, both of them late',
      heard: [cancel(60), holdTimeout(110), exited(130, 143)],
      verdict: cancelled(60),
      heldMs: 50,
    },
    {
      title: 'is a cancel in the moment in which the hold ends as a failure',
      heard: [cancel(110), holdTimeout(110)],
      verdict: cancelled(110),
      heldMs: 100,
    },
    {
      title: 'is no cancel in the moment in which a hold ends that never had a credential',
      before: [held(10, 'credential_missing')],
      heard: [cancel(110), holdTimeout(110)],
      verdict: { status: 'timed_out', reason: 'hold', at: 110 },
      heldMs: 100,
    },
    {
      title: 'is no cancel after it',
      heard: [cancel(111), holdTimeout(110)],
      verdict: failed('auth_expired', 110),
      heldMs: 100,
    },
    {
      title: 'is the deadline before the end of the hold, with the time held',
      heard: [deadline(80), holdTimeout(110), exited(120, 143)],
      verdict: { status: 'timed_out', reason: 'deadline', at: 80 },
      heldMs: 70,
      limits: { timeoutMs: 80 },
    },
    {
      title: 'is the exit before the end of the hold',
      heard: [exited(60, 1)],
      verdict: failed('crashed', 60),
      heldMs: 50,
    },
    {
      title: 'is a result before the end of the hold: it was a request beside the answer that waited',
      heard: [result(100), holdTimeout(110)],
      verdict: { status: 'succeeded', reason: 'completed', at: 100 },
      heldMs: 90,
    },
    {
      title: 'is whatever ends the run once it is released, with the time held',
      before: [held(10), released(40)],
      heard: [cancel(120)],
      verdict: cancelled(120),
      heldMs: 30,
    },
    {
      title: 'is the end of a second hold, by the one budget',
      before: [held(10), released(40), held(60)],
      heard: [exited(131, 1)],
      verdict: failed('auth_expired', 130),
      heldMs: 100,
    },
    {
      title: 'counts every hold to the millisecond',
      before: [held(10.25), released(40.5), held(60)],
      heard: [exited(60.125, 1)],
      verdict: failed('crashed', 60.125),
      heldMs: 30.375,
    },
  ])('$title', ({ before = [held(10)], heard, verdict, heldMs, limits }) => {
    for (const order of everyOrder([], heard)) {
      const { state } = tellRunningWith({ ...HOLD_LIMITS, ...limits }, turnStarted, ...before, ...order, ...TO_THE_END);
      expect(state.verdict, order.map(({ type }) => type).join(', ')).toEqual(verdict);
      expect(state.phase).toBe('ended');
      expect(heldUntil(state, verdict.at)).toBe(heldMs);
    }
  });

  it('is asked to end, and has its grace', () => {
    const { effects } = run(held(10), holdTimeout(110), logsRead, treeDead(130));
    expect(effects.slice(-3)).toEqual([
      { do: 'announce_ending' },
      { do: 'kill', graceMs: HOLD_LIMITS.graceMs },
      { do: 'announce_outcome' },
    ]);
  });
});

it.each<[number, number]>([
  [5, 7],
  [10, 7],
  [10.5, 7.5],
  [60, 57],
  [110, 107],
  [1e9, 107],
])('a run that is held from 10 to 110 and was for 7 before had been held at %d for %d', (at, ms) => {
  const lifecycle = { ...newLifecycle(HOLD_LIMITS), heldMs: 7, hold: { since: 10, until: 110, refusal: refusalFor() } };
  expect(heldUntil(lifecycle, at)).toBe(ms);
  expect(heldUntil({ ...lifecycle, hold: null }, at)).toBe(7);
});
