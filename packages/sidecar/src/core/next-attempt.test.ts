import { describe, expect, it } from 'vitest';
import {
  badResult,
  bypassed,
  cancel,
  credentialFailed,
  credentialReady,
  deadline,
  exited,
  held,
  holdTimeout,
  idle,
  killed,
  launched,
  launchFailed,
  logsRead,
  names,
  outputLimit,
  prepared,
  refusalFor,
  released,
  result,
  RESUME_LIMITS,
  stderrSaid,
  tasks,
  tell,
  tellRunningWith,
  treeDead,
  turnStarted,
} from '../testing/lives.js';
import { heldUntil } from './hold.js';
import { type LifecycleEvent, type LifecycleLimits, stateOf } from './lifecycle-state.js';
import { step } from './lifecycle.js';

/** Started at 0: a deadline at 500, 100 for all holds, two further attempts. */
const run = (...events: LifecycleEvent[]) => tellRunningWith(RESUME_LIMITS, ...events);

/** The next attempt runs 30 after the failure of the one before, and waited for 20 of them. */
const failAndGoOn = (at: number): LifecycleEvent[] => [
  credentialFailed(at),
  logsRead,
  treeDead(at + 10),
  credentialReady(at + 20),
  prepared(at + 25),
  launched(at + 30),
];
/** A resumed attempt that does not find its session starts afresh 30 after it ended. */
const findNoSession = (at: number): LifecycleEvent[] => [
  exited(at, 1),
  stderrSaid('resume_not_found'),
  treeDead(at + 10),
  prepared(at + 20),
  launched(at + 30),
];
const failed = (reason: string, at: number) => ({ status: 'failed', reason, at });

describe('a run whose credential is refused', () => {
  it('is ended, held, and goes on with its session once there is another credential', () => {
    const refusal = refusalFor('auth_expired');
    const suspending = run(turnStarted, credentialFailed(90, 'auth_expired', refusal), logsRead);
    const hold = { since: 90, until: 190, refusal };
    expect(suspending.effects).toEqual([
      { do: 'read_logs' },
      { do: 'set_hold', at: 190 },
      { do: 'announce_state' },
      { do: 'kill', graceMs: RESUME_LIMITS.graceMs },
    ]);
    expect(suspending.state).toMatchObject({ phase: 'suspending', attempt: 1, hold, since: 90, verdict: null });
    expect(stateOf(suspending.state)).toBe('held');

    const waiting = tell([treeDead(120)], suspending.state);
    expect(waiting.effects).toEqual([{ do: 'await_credential', refusal }]);
    expect(waiting.state).toMatchObject({ phase: 'waiting', hold, survivors: 0 });
    expect(stateOf(waiting.state)).toBe('held');

    const preparing = tell([credentialReady(150)], waiting.state);
    expect(preparing.effects).toEqual([{ do: 'set_hold', at: null }, { do: 'announce_state' }, { do: 'prepare' }]);
    expect(preparing.state).toMatchObject({
      phase: 'preparing',
      attempt: 2,
      session: 'resume',
      hold: null,
      heldMs: 60,
      since: 150,
      refusal: null,
      failure: null,
      observations: [],
    });
    expect(stateOf(preparing.state)).toBe('starting');

    const running = tell([prepared(155), launched(160)], preparing.state);
    expect(running.effects).toEqual([{ do: 'spawn' }, { do: 'announce_running' }, { do: 'set_deadline', at: 500 }]);
    expect(running.state).toMatchObject({ phase: 'running', startedAt: 0, since: 160, attempt: 2 });
    const { state } = tell([result(200), exited(210), logsRead, treeDead(220)], running.state);
    expect(state).toMatchObject({ phase: 'ended', verdict: { status: 'succeeded', reason: 'completed', at: 200 } });
    expect(heldUntil(state, 200)).toBe(60);
  });

  it.each<[string, LifecycleEvent[], number]>([
    ['at a notice in its stream', [credentialFailed(90)], 90],
    ['at the first of several notices', [credentialFailed(90), credentialFailed(80, 'auth_expired')], 80],
    ['at a result that says so', [badResult(90, 'rate_limited'), exited(95, 1)], 90],
    ['at its words on stderr', [exited(90, 1), stderrSaid('auth_invalid')], 90],
  ])('has failed for it %s', (_where, events, at) => {
    const { state } = run(...events, logsRead);
    expect(state).toMatchObject({ phase: 'suspending', observations: [], hold: { since: at, until: at + 100 } });
  });

  it('forgets all that the attempt did', () => {
    const fresh = run().state;
    const { state } = run(
      turnStarted,
      tasks(10, 2),
      badResult(20),
      tasks(30, 1),
      turnStarted,
      badResult(90, 'billing'),
      exited(91, 1),
      logsRead,
    );
    expect(state.phase).toBe('suspending');
    const forgotten = [
      'result',
      'isTurnOpen',
      'openTasks',
      'taskEndedAt',
      'settledAt',
      'exit',
      'observations',
    ] as const;
    for (const field of forgotten) expect(state[field], field).toEqual(fresh[field]);
    const settled = run(tasks(10, 1), badResult(20, 'billing'), { type: 'grace_over' }, logsRead).state;
    expect(settled).toMatchObject({ phase: 'suspending', settledAt: null });
  });

  it('is asked to end, unless it has ended', () => {
    expect(run(credentialFailed(90), logsRead).effects.at(-1)).toEqual({ do: 'kill', graceMs: RESUME_LIMITS.graceMs });
    expect(run(credentialFailed(90), exited(91), logsRead).effects.at(-1)).toEqual({ do: 'kill', graceMs: 0 });
  });

  it('tells what is known of the refusal, without words where the provider gave none', () => {
    const heldFor = (...events: LifecycleEvent[]) => run(...events, logsRead).state.hold?.refusal;
    const meant = { reason: 'auth_invalid', message: '', generation: null };
    expect(heldFor(credentialFailed(90))).toEqual(meant);
    expect(heldFor(credentialFailed(90), credentialFailed(91, 'billing', refusalFor('billing')))).toEqual(meant);
    const told = refusalFor('auth_invalid', 7);
    expect(heldFor(credentialFailed(90, 'auth_invalid', told), credentialFailed(91))).toEqual(told);
    const again = run(
      ...failAndGoOn(50).with(0, credentialFailed(50, 'auth_invalid', told)),
      credentialFailed(200),
      logsRead,
    );
    expect(again.state.hold?.refusal).toEqual(meant);
  });

  it.each<[string, Partial<LifecycleLimits>]>([
    ['wants to fail', { onCredentialFailure: 'fail' }],
    ['may not be resumed', { maxResumes: 0 }],
  ])('has failed where it %s', (_what, limits) => {
    const { state } = tellRunningWith({ ...RESUME_LIMITS, ...limits }, credentialFailed(90), logsRead);
    expect(state).toMatchObject({ phase: 'killing', verdict: failed('auth_invalid', 90), attempt: 1 });
  });

  it('is resumed as often as it may be, then has failed', () => {
    const last = run(...failAndGoOn(50), ...failAndGoOn(100));
    expect(last.state).toMatchObject({ attempt: 3, resumesLeft: 0, heldMs: 40 });
    const { state } = tell([credentialFailed(200), logsRead, treeDead(210)], last.state);
    expect(state).toMatchObject({ phase: 'ended', verdict: failed('auth_invalid', 200), attempt: 3, startedAt: 0 });
  });

  it.each(['crashed', 'overloaded', 'network', 'permission_denied', 'agent_error', 'spawn_failed'] as const)(
    'is another one than a run that failed: %s',
    (reason) => {
      const { state } = run(badResult(90, reason), exited(95, 1), logsRead);
      expect(state).toMatchObject({ phase: 'killing', verdict: failed(reason, 90) });
    },
  );

  it('never had a credential, and ends with its hold', () => {
    const { state } = run(held(10, 'credential_missing'), holdTimeout(110), logsRead);
    expect(state).toMatchObject({ phase: 'killing', verdict: { status: 'timed_out', reason: 'hold', at: 110 } });
  });

  it('has one budget for what it was held before and between its attempts', () => {
    const { state } = run(held(10, 'credential_missing'), released(40), credentialFailed(90), logsRead);
    expect(state).toMatchObject({ heldMs: 30, hold: { since: 90, until: 160 } });
    const while_ = run(held(10, 'credential_missing'), credentialFailed(40), logsRead);
    expect(while_.state).toMatchObject({ heldMs: 30, hold: { since: 40, until: 110 } });
    const again = run(...failAndGoOn(50), credentialFailed(100), logsRead);
    expect(again.state).toMatchObject({ heldMs: 20, hold: { since: 100, until: 180 } });
  });
});

it('a hold that was over after the attempt had failed is one of that attempt, whichever is heard of first', () => {
  const ended = [exited(103), badResult(161, 'rate_limited')];
  for (const order of [
    [...ended, released(214)],
    [released(214), ...ended],
  ]) {
    const { state } = run(held(10, 'credential_missing'), ...order, logsRead);
    expect(state).toMatchObject({ phase: 'suspending', heldMs: 93, hold: { since: 103, until: 110 } });
  }
});

describe('what came besides decides over a failure that can be mended', () => {
  it.each<[string, LifecycleEvent[], { status: string; reason: string; at: number }]>([
    ['a cancel after it', [cancel(95)], { status: 'cancelled', reason: 'requested', at: 95 }],
    ['a cancel before it', [cancel(85)], { status: 'cancelled', reason: 'requested', at: 85 }],
    ['too much output', [outputLimit(95)], failed('output_limit', 95)],
    ['a way around the gateway', [bypassed(95)], failed('gateway_bypassed', 95)],
    ['silence', [idle(95)], { status: 'timed_out', reason: 'idle', at: 95 }],
    ['the deadline', [deadline(500)], { status: 'timed_out', reason: 'deadline', at: 500 }],
  ])('%s', (_what, causes, verdict) => {
    for (const order of [
      [credentialFailed(90), ...causes],
      [...causes, credentialFailed(90)],
    ]) {
      const { state, effects } = run(...order, exited(510, 1), logsRead);
      expect(state).toMatchObject({ phase: 'killing', verdict, exit: { at: 510, code: 1 }, attempt: 1 });
      expect(names(effects)).not.toContain('set_hold');
    }
  });
});

/** What leads to each moment between the failure of the first attempt, at 90, and the start of the second. */
const MOMENTS = {
  suspending: [credentialFailed(90), logsRead],
  waiting: [credentialFailed(90), logsRead, treeDead(100)],
  preparing: [credentialFailed(90), logsRead, treeDead(100), credentialReady(120)],
  spawning: [credentialFailed(90), logsRead, treeDead(100), credentialReady(120), prepared(130)],
} satisfies Record<string, LifecycleEvent[]>;
/** How each of them goes on. */
const REST = {
  suspending: [treeDead(400)],
  waiting: [],
  preparing: [prepared(400)],
  spawning: [launched(400), logsRead, treeDead(410)],
} satisfies Record<keyof typeof MOMENTS, LifecycleEvent[]>;
const moments = Object.keys(MOMENTS) as (keyof typeof MOMENTS)[];

describe.each(moments)('between two attempts, while %s', (moment) => {
  const { state } = run(...MOMENTS[moment]);

  it.each<[string, LifecycleEvent, { status: string; reason: string; at: number }]>([
    ['a cancel', cancel(140), { status: 'cancelled', reason: 'requested', at: 140 }],
    ['a drain', cancel(140, 'drained'), { status: 'cancelled', reason: 'drained', at: 140 }],
    ['the deadline', deadline(500), { status: 'timed_out', reason: 'deadline', at: 500 }],
  ])('%s ends the run, and nothing is started', (_what, event, verdict) => {
    expect(state.phase).toBe(moment);
    // With the deadline behind it the hold would be over; what is tested here is that no time is lost on it.
    const within = { ...state, hold: state.hold === null ? null : { ...state.hold, until: 1000 } };
    const ended = tell([event, ...REST[moment]], within);
    expect(ended.state).toMatchObject({ phase: 'ended', verdict, survivors: 0 });
    expect(names(ended.effects)).not.toContain('spawn');
    expect(names(ended.effects).slice(-1)).toEqual(['announce_outcome']);
    expect(names(ended.effects)).toContain('announce_ending');
    expect(tell([credentialReady(600), prepared(600)], ended.state)).toEqual({ state: ended.state, effects: [] });
  });

  it('what the old process still does changes nothing', () => {
    const deeds = [
      credentialFailed(95),
      held(95),
      released(96),
      outputLimit(96),
      bypassed(96),
      idle(96),
      turnStarted,
      badResult(96),
      tasks(96, 1),
    ];
    const withExits = moment === 'spawning' ? deeds : [...deeds, exited(97, 143), killed(97)];
    for (const deed of withExits) expect(step(state, deed), deed.type).toEqual({ state, effects: [] });
  });
});

describe.each(['suspending', 'waiting'] as const)('while %s', (moment) => {
  const { state } = run(...MOMENTS[moment]);

  it.each([190, 195])('the hold runs out, by its own time, whenever that is heard of', (heardAt) => {
    const ended = tell([holdTimeout(heardAt), ...REST[moment]], state).state;
    expect(ended).toMatchObject({ phase: 'ended', verdict: failed('auth_invalid', 190) });
    expect(heldUntil(ended, 190)).toBe(100);
  });

  it('a timer of an earlier hold is not heard', () => {
    expect(step(state, holdTimeout(189))).toEqual({ state, effects: [] });
  });
});

it.each([[[holdTimeout(190), cancel(195)]], [[cancel(195), holdTimeout(190)]]])(
  'while suspending, the earlier of two causes wins, whichever is heard of first',
  (causes) => {
    expect(run(...MOMENTS.suspending, ...causes, ...REST.suspending).state.verdict).toEqual(
      failed('auth_invalid', 190),
    );
  },
);

describe('a credential that comes too late', () => {
  it.each([190, 250])('after the end of the hold, starts nothing, though no timer was heard of', (at) => {
    const { state, effects } = run(...MOMENTS.waiting, credentialReady(at));
    expect(state).toMatchObject({ phase: 'ended', verdict: failed('auth_invalid', 190), endedAt: at });
    expect(names(effects).slice(-2)).toEqual(['announce_ending', 'announce_outcome']);
  });

  it('in the last millisecond of the hold is in time', () => {
    expect(run(...MOMENTS.waiting, credentialReady(189)).state).toMatchObject({ phase: 'preparing', heldMs: 99 });
  });

  it('after the deadline starts nothing', () => {
    const limits = { ...RESUME_LIMITS, timeoutMs: 150 };
    const { state } = tellRunningWith(limits, ...MOMENTS.waiting, credentialReady(160));
    expect(state).toMatchObject({ phase: 'ended', verdict: { status: 'timed_out', reason: 'deadline', at: 150 } });
  });
});

describe('where processes of an attempt may have survived its end', () => {
  it.each([1, 2, null])('%s of them: there is no further attempt, and what it failed of stands', (survivors) => {
    const { state, effects } = run(credentialFailed(90), logsRead, treeDead(150, survivors));
    expect(state).toMatchObject({ phase: 'ended', verdict: failed('auth_invalid', 90), survivors, endedAt: 150 });
    expect(state.observations).toEqual([{ kind: 'failed', reason: 'auth_invalid', at: 90 }]);
    expect(names(effects).slice(-2)).toEqual(['announce_ending', 'announce_outcome']);
    expect(heldUntil(state, 90)).toBe(0);
  });

  it('they change nothing about a cancel', () => {
    const { state } = run(credentialFailed(90), logsRead, cancel(120), treeDead(150, 2));
    expect(state).toMatchObject({ verdict: { status: 'cancelled', reason: 'requested', at: 120 }, survivors: 2 });
  });

  it('it is the same for a session that was not found', () => {
    const { state } = run(...failAndGoOn(50), exited(200, 1), stderrSaid('resume_not_found'), treeDead(210, 1));
    expect(state).toMatchObject({ phase: 'ended', verdict: failed('resume_not_found', 200), attempt: 2 });
  });
});

describe('a session that the CLI does not know', () => {
  it('is started afresh, at once and without being held', () => {
    const resumed = run(...failAndGoOn(50)).state;
    const suspending = tell([exited(200, 1), stderrSaid('resume_not_found')], resumed);
    expect(suspending.effects).toEqual([{ do: 'read_logs' }, { do: 'kill', graceMs: 0 }]);
    expect(suspending.state).toMatchObject({ phase: 'suspending', hold: null, since: resumed.since });
    expect(stateOf(suspending.state)).toBe('running');
    const preparing = tell([treeDead(210)], suspending.state);
    expect(names(preparing.effects)).toEqual(['set_hold', 'announce_state', 'prepare']);
    expect(preparing.state).toMatchObject({
      phase: 'preparing',
      attempt: 3,
      session: 'start',
      heldMs: 20,
      resumesLeft: 1,
      since: 210,
    });
    const { state } = tell([prepared(220), launched(230), result(300), exited(310), logsRead], preparing.state);
    expect(state).toMatchObject({ startedAt: 0, verdict: { reason: 'completed', at: 300 } });
  });

  it('is started afresh once: a fresh one that is not found has failed', () => {
    const { state } = run(...failAndGoOn(50), ...findNoSession(200), exited(300, 1), stderrSaid('resume_not_found'));
    expect(state).toMatchObject({ phase: 'killing', verdict: failed('resume_not_found', 300), attempt: 3 });
  });

  it('has failed where it is the one that was dispatched', () => {
    const { state } = run(exited(50, 1), stderrSaid('resume_not_found'));
    expect(state).toMatchObject({ phase: 'killing', verdict: failed('resume_not_found', 50), attempt: 1 });
  });

  it('can be gone on with once more after a fresh start, as long as the run may be resumed', () => {
    const fresh = run(...failAndGoOn(50), ...findNoSession(200)).state;
    const resumed = tell(failAndGoOn(300), fresh).state;
    expect(resumed).toMatchObject({ phase: 'running', attempt: 4, session: 'resume', resumesLeft: 0, heldMs: 40 });
    expect(tell(findNoSession(400), resumed).state).toMatchObject({ attempt: 5, session: 'start', resumesLeft: 0 });
  });

  it('ends a hold that the run was in', () => {
    const resumed = run(...failAndGoOn(50), held(150), exited(160, 1), stderrSaid('resume_not_found')).state;
    expect(resumed).toMatchObject({ phase: 'suspending', hold: null, heldMs: 30 });
  });

  it('is not started afresh after a cancel, nor after the deadline', () => {
    const suspending = run(...failAndGoOn(50), exited(200, 1), stderrSaid('resume_not_found')).state;
    expect(tell([cancel(205), treeDead(210)], suspending).state.verdict?.reason).toBe('requested');
    expect(tell([treeDead(500)], suspending).state).toMatchObject({
      phase: 'ended',
      verdict: { status: 'timed_out', reason: 'deadline', at: 500 },
      endedAt: 500,
    });
    expect(tell([treeDead(499)], suspending).state.phase).toBe('preparing');
  });
});

it('a further attempt that cannot be started has failed', () => {
  const { state } = run(...MOMENTS.spawning, launchFailed(140));
  expect(state).toMatchObject({ phase: 'ended', verdict: failed('spawn_failed', 140), attempt: 2, survivors: 0 });
});

it('the deadline of a further attempt is that of the first', () => {
  const { state } = run(...failAndGoOn(50), exited(600, 1), logsRead);
  expect(state.verdict).toEqual({ status: 'timed_out', reason: 'deadline', at: 500 });
});
