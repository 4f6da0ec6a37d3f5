import { describe, expect, it } from 'vitest';
import {
  adopted,
  adoptionFailed,
  badResult,
  BETWEEN_ATTEMPTS,
  bypassed,
  cancel,
  credentialFailed,
  credentialMissing,
  credentialReady,
  deadline,
  exited,
  gatewayLost,
  graceOver,
  held,
  holdTimeout,
  idle,
  launched,
  launchFailed,
  LIMITS,
  logsRead,
  names,
  neverStarted,
  outputLimit,
  PHASES,
  prepared,
  queueTimeout,
  refused,
  released,
  RESUME_LIMITS,
  result,
  slotFree,
  tasks,
  tell,
  tellQueued,
  tellRunning,
  TO_THE_END,
  treeDead,
  turnStarted,
  caughtUp,
  inputEnded,
  inputFailed,
  message,
} from '../testing/lives.js';
import { type Lifecycle, type LifecycleEvent, newLifecycle, type Phase, stateOf } from './lifecycle-state.js';
import { step } from './lifecycle.js';

describe('an execution in the queue', () => {
  it('O16: is prepared when its turn comes, and not before', () => {
    expect(tellQueued(prepared(1)).state.phase).toBe('queued');
    const { state, effects } = tellQueued(slotFree);
    expect(state.phase).toBe('preparing');
    expect(effects).toEqual([{ do: 'prepare' }]);
    expect(tellQueued(slotFree, prepared(5)).effects).toEqual([{ do: 'prepare' }, { do: 'spawn' }]);
  });

  it.each<[string, LifecycleEvent, { status: string; reason: string }]>([
    ['is timed out when no slot became free in time', queueTimeout(7), { status: 'timed_out', reason: 'queue' }],
    ['O9: is cancelled at once', cancel(7), { status: 'cancelled', reason: 'requested' }],
    ['is skipped when the agent drains', refused(7, 'draining'), { status: 'skipped', reason: 'draining' }],
  ])('%s, and nothing is started', (_what, event, verdict) => {
    const { state, effects } = tellQueued(event);
    expect(names(effects)).toEqual(['announce_ending', 'announce_outcome']);
    expect(state).toMatchObject({ phase: 'ended', verdict: { ...verdict, at: 7 }, survivors: 0, endedAt: 7 });
    expect(state.startedAt).toBeNull();
    expect(tell([slotFree, prepared(8)], state)).toEqual({ state, effects: [] });
  });

  it('keeps what was observed of its wait', () => {
    expect(tellQueued(queueTimeout(7)).state.observations).toEqual([{ kind: 'hard_timeout', reason: 'queue', at: 7 }]);
    expect(tellQueued(refused(7, 'draining')).state.observations).toEqual([
      { kind: 'refused', reason: 'draining', at: 7 },
    ]);
  });

  it('is not timed out by its wait once it has a slot', () => {
    const { state } = tellQueued(slotFree);
    expect(step(state, queueTimeout(7))).toEqual({ state, effects: [] });
  });
});

describe('a process that was never started', () => {
  it('O9: is not started after a cancel', () => {
    const { state, effects } = tell([cancel(5), prepared(10)]);
    expect(effects).toEqual([{ do: 'announce_ending' }, { do: 'announce_outcome' }]);
    expect(state).toMatchObject({
      phase: 'ended',
      verdict: { status: 'cancelled', reason: 'requested', at: 5 },
      survivors: 0,
      startedAt: null,
      endedAt: 10,
    });
  });

  it('O9: is killed at once when the cancel came while it was being started', () => {
    const { state, effects } = tell([prepared(), cancel(5), launched(10)]);
    expect(state.phase).toBe('closing');
    expect(effects).toEqual([
      { do: 'spawn' },
      { do: 'announce_running' },
      { do: 'set_deadline', at: 210 },
      { do: 'read_logs' },
    ]);
    expect(tell(TO_THE_END, state).state.verdict).toEqual({ status: 'cancelled', reason: 'requested', at: 5 });
  });

  it('O9: is cancelled when starting it failed after the cancel', () => {
    expect(tell([prepared(), cancel(5), launchFailed(10)]).state.verdict?.reason).toBe('requested');
  });

  it.each([
    ['while it was being prepared', [launchFailed(10)]],
    ['while it was being started', [prepared(), launchFailed(10)]],
  ])('failed, with the reason and no survivors, when that went wrong %s', (_when, events) => {
    const { state, effects } = tell(events);
    expect(state).toMatchObject({
      phase: 'ended',
      observations: [{ kind: 'failed', reason: 'spawn_failed', at: 10 }],
      verdict: { status: 'failed', reason: 'spawn_failed', at: 10 },
      launchError: 'no such file: claude',
      survivors: 0,
      endedAt: 10,
    });
    expect(names(effects).slice(-2)).toEqual(['announce_ending', 'announce_outcome']);
  });

  it('D1: ends at once as skipped when a refusal is to be recorded', () => {
    const { state, effects } = tell([refused(3)]);
    expect(state).toMatchObject({
      phase: 'ended',
      observations: [{ kind: 'refused', reason: 'at_capacity', at: 3 }],
      verdict: { status: 'skipped', reason: 'at_capacity', at: 3 },
    });
    expect(names(effects)).toEqual(['announce_ending', 'announce_outcome']);
  });

  it('has no deadline, however long it took', () => {
    expect(tell([cancel(5000), prepared(6000)]).state.verdict?.reason).toBe('requested');
  });
});

describe('effects', () => {
  it('start a run, announce it and set its deadline', () => {
    expect(tell([prepared(1), launched(7)]).effects).toEqual([
      { do: 'spawn' },
      { do: 'announce_running' },
      { do: 'set_deadline', at: 207 },
    ]);
  });

  it('end a run whose exit was heard of before its start', () => {
    const { state, effects } = tell([prepared(), exited(2, 1), launched(1)]);
    expect(names(effects)).toEqual(['spawn', 'announce_running', 'set_deadline', 'read_logs']);
    expect(tell(TO_THE_END, state).state.verdict).toEqual({ status: 'failed', reason: 'crashed', at: 2 });
  });

  it('O12: give a run its grace after the final result, then end it without asking again', () => {
    const { state, effects } = tellRunning(result(100), graceOver, logsRead, treeDead(160));
    expect(effects).toEqual([
      { do: 'set_grace', at: 100 + LIMITS.graceMs },
      { do: 'read_logs' },
      { do: 'announce_ending' },
      { do: 'kill', graceMs: 0 },
      { do: 'announce_outcome' },
    ]);
    expect(state.verdict).toEqual({ status: 'succeeded', reason: 'completed', at: 100 });
  });

  it('O13: let every further result begin its own grace', () => {
    expect(tellRunning(result(100), result(150)).effects).toEqual([
      { do: 'set_grace', at: 100 + LIMITS.graceMs },
      { do: 'set_grace', at: 150 + LIMITS.graceMs },
    ]);
  });

  it('O13: wait for the tasks of a result, then for the turn that follows them, then take their time back', () => {
    expect(tellRunning(tasks(90, 2), result(100), tasks(110, 1), tasks(115, 0), turnStarted).effects).toEqual([
      { do: 'set_grace', at: 100 + LIMITS.backgroundTimeoutMs },
      { do: 'set_grace', at: 115 + LIMITS.graceMs },
      { do: 'set_grace', at: null },
    ]);
  });

  it('O13: give a task announced after the result its time', () => {
    expect(tellRunning(result(100), tasks(110, 1)).effects.at(-1)).toEqual({
      do: 'set_grace',
      at: 100 + LIMITS.backgroundTimeoutMs,
    });
  });

  it('O13: end a run whose tasks take too long without asking it', () => {
    expect(tellRunning(tasks(90, 1), result(100), graceOver, logsRead).effects.at(-1)).toEqual({
      do: 'kill',
      graceMs: 0,
    });
  });

  it('leave the grace alone while nothing changes it', () => {
    expect(tellRunning(turnStarted, tasks(5, 1), tasks(6, 0)).effects).toEqual([]);
    expect(tellRunning(result(100), turnStarted, turnStarted).effects).toHaveLength(2);
    expect(tellRunning(result(100), result(100)).effects).toHaveLength(1);
  });

  it('set no grace for a result read while the run is being closed', () => {
    expect(tellRunning(cancel(100), result(90)).effects).toEqual([{ do: 'read_logs' }]);
  });

  it('O15: announce the verdict before the kill, and the outcome with its survivors when the tree is dead', () => {
    const decided = tellRunning(cancel(100), logsRead);
    expect(decided.effects).toEqual([
      { do: 'read_logs' },
      { do: 'announce_ending' },
      { do: 'kill', graceMs: LIMITS.graceMs },
    ]);
    expect(decided.state).toMatchObject({ phase: 'killing', survivors: null, endedAt: null });
    expect(stateOf(decided.state)).toBe('ending');

    const ended = tell([treeDead(400, 2)], decided.state);
    expect(ended.effects).toEqual([{ do: 'announce_outcome' }]);
    expect(ended.state).toMatchObject({ phase: 'ended', survivors: 2, endedAt: 400 });
    expect(stateOf(ended.state)).toBe('ended');
  });

  it('end the tree of a process that has exited at once, since nobody is left to ask', () => {
    expect(tellRunning(cancel(100), exited(101), logsRead).effects.at(-1)).toEqual({ do: 'kill', graceMs: 0 });
    expect(tellRunning(exited(100), logsRead).effects.at(-1)).toEqual({ do: 'kill', graceMs: 0 });
  });

  it.each<[string, LifecycleEvent[]]>([
    ['a cancel', [result(100), cancel(110)]],
    ['its deadline', [deadline()]],
    ['its silence', [idle(100)]],
    ['a refused credential', [credentialFailed(100), badResult(101)]],
  ])('ask a process first when %s ends it', (_what, events) => {
    const { effects } = tellRunning(...events, logsRead);
    expect(names(effects)).toContain('read_logs');
    expect(effects.at(-1)).toEqual({ do: 'kill', graceMs: LIMITS.graceMs });
  });

  it.each<[string, LifecycleEvent[]]>([
    ['too much output', [outputLimit(100)]],
    ['a cancel', [cancel(99), outputLimit(100)]],
  ])('do not ask a process that prints too much when %s ends it: it would go on meanwhile', (_what, events) => {
    expect(tellRunning(...events, logsRead).effects.at(-1)).toEqual({ do: 'kill', graceMs: 0 });
  });

  it('read the logs once, whatever else ends the run meanwhile', () => {
    const causes = [
      exited(100),
      cancel(101),
      deadline(),
      idle(201),
      credentialFailed(201),
      outputLimit(202),
      graceOver,
    ];
    expect(names(tellRunning(...causes).effects)).toEqual(['read_logs']);
  });
});

it.each<[string, LifecycleEvent[]]>([
  ['without a result', []],
  ['in the next turn', [result(100), turnStarted]],
])('grace that is over %s ends nothing', (_when, events) => {
  const { state } = tellRunning(...events);
  expect(step(state, graceOver)).toEqual({ state, effects: [] });
});

/** What leads to each phase. */
const LIFE_UP_TO: Record<Phase, LifecycleEvent[]> = {
  queued: [],
  preparing: [slotFree],
  spawning: [slotFree, prepared()],
  running: [slotFree, prepared(), launched()],
  closing: [slotFree, prepared(), launched(), result(90), cancel(100)],
  killing: [slotFree, prepared(), launched(), result(90), cancel(100), logsRead],
  ended: [slotFree, prepared(), launched(), result(90), cancel(100), ...TO_THE_END],
  suspending: [slotFree, prepared(), launched(), credentialFailed(90), logsRead],
  waiting: [slotFree, prepared(), launched(), credentialFailed(90), logsRead, treeDead(100)],
};

function lifecycleIn(phase: Phase): Lifecycle {
  const limits = BETWEEN_ATTEMPTS.includes(phase) ? RESUME_LIMITS : LIMITS;
  const { state } = tell(LIFE_UP_TO[phase], newLifecycle(limits, 'queued'));
  expect(state.phase).toBe(phase);
  return state;
}

it('an execution begins with its preparation where it does not have to wait', () => {
  expect(newLifecycle(LIMITS)).toEqual(lifecycleIn('preparing'));
});

it.each([
  ['queued', 'queued'],
  ['preparing', 'starting'],
  ['spawning', 'starting'],
  ['running', 'running'],
  ['closing', 'running'],
  ['suspending', 'held'],
  ['waiting', 'held'],
  ['killing', 'ending'],
  ['ended', 'ended'],
] as const)('others are told that an execution %s is %s', (phase, state) => {
  expect(stateOf(lifecycleIn(phase))).toBe(state);
});

it('what waits for a first credential in vain has timed out, unless it was cancelled before', () => {
  const { state } = step(lifecycleIn('preparing'), credentialMissing(5));
  expect(state).toMatchObject({
    phase: 'ended',
    verdict: { status: 'timed_out', reason: 'hold', at: 5 },
    survivors: 0,
  });
  const cancelled = step(lifecycleIn('preparing'), cancel(4)).state;
  expect(step(cancelled, credentialMissing(5)).state.verdict).toMatchObject({ status: 'cancelled', at: 4 });
});

it.each([0, 3, null])(
  'a process that cannot be taken over leaves %s survivors, whether or not its start was noted (I5)',
  (survivors) => {
    const { state } = step(lifecycleIn('spawning'), adoptionFailed(1, survivors));
    expect(state).toMatchObject({ phase: 'ended', verdict: { status: 'failed', reason: 'spawn_failed' }, survivors });
  },
);

describe('an event that does not belong to its phase changes nothing', () => {
  const samples: Record<LifecycleEvent['type'], LifecycleEvent> = {
    slot_free: slotFree,
    queue_timeout: queueTimeout(1),
    prepared: prepared(1),
    refused: refused(1),
    credential_missing: credentialMissing(1),
    launched: launched(1),
    launch_failed: launchFailed(1),
    never_started: neverStarted(1),
    adopted: adopted(1),
    adoption_failed: adoptionFailed(1),
    gateway_lost: gatewayLost(1),
    turn_started: turnStarted,
    result: result(1),
    message: message(1),
    input_ended: inputEnded(1),
    input_failed: inputFailed(1),
    caught_up: caughtUp,
    tasks: tasks(1, 1),
    credential_failed: credentialFailed(1),
    held: held(1),
    released: released(1),
    hold_timeout: holdTimeout(1000),
    credential_ready: credentialReady(1),
    bypassed: bypassed(1),
    exited: exited(1),
    cancel: cancel(1),
    deadline: deadline(),
    idle: idle(1),
    grace_over: graceOver,
    output_limit: outputLimit(1),
    logs_read: logsRead,
    tree_dead: treeDead(),
  };
  const UNSTARTED: Phase[] = ['preparing', 'spawning'];
  const WITH_PROCESS: Phase[] = ['running', 'closing'];
  const UNDECIDED: Phase[] = ['queued', ...UNSTARTED, ...WITH_PROCESS, ...BETWEEN_ATTEMPTS];
  /** The phases an event can change something in. */
  const heardIn: Record<LifecycleEvent['type'], Phase[]> = {
    slot_free: ['queued'],
    queue_timeout: ['queued'],
    prepared: ['preparing'],
    refused: ['queued', 'preparing'],
    credential_missing: ['preparing'],
    launched: ['spawning'],
    launch_failed: UNSTARTED,
    never_started: ['spawning'],
    adopted: ['suspending', 'killing'],
    adoption_failed: ['spawning', 'suspending', 'killing'],
    gateway_lost: WITH_PROCESS,
    turn_started: WITH_PROCESS,
    result: WITH_PROCESS,
    // That of an execution that is not interactive is none of these.
    message: [],
    input_ended: [],
    input_failed: WITH_PROCESS,
    caught_up: [],
    tasks: WITH_PROCESS,
    credential_failed: WITH_PROCESS,
    held: ['running'],
    released: ['running'],
    hold_timeout: [...WITH_PROCESS, ...BETWEEN_ATTEMPTS],
    credential_ready: ['waiting'],
    bypassed: WITH_PROCESS,
    exited: ['spawning', ...WITH_PROCESS, 'killing'],
    cancel: UNDECIDED,
    deadline: UNDECIDED,
    idle: WITH_PROCESS,
    grace_over: ['running'],
    output_limit: WITH_PROCESS,
    logs_read: ['closing'],
    tree_dead: ['killing', 'suspending'],
  };
  const foreign = Object.values(samples).flatMap((event) =>
    [...PHASES, ...BETWEEN_ATTEMPTS]
      .filter((phase) => !heardIn[event.type].includes(phase))
      .map((phase) => ({ event, phase, type: event.type })),
  );

  it.each(foreign)('$type while $phase', ({ event, phase }) => {
    const state = lifecycleIn(phase);
    expect(step(state, event)).toEqual({ state, effects: [] });
  });

  it.each([released(1), holdTimeout(1000)])('$type while running, but not held', (event) => {
    const state = lifecycleIn('running');
    expect(step(state, event)).toEqual({ state, effects: [] });
  });
});

it('an execution that is cancelled over and over keeps the first hundred causes, and its verdict', () => {
  const causes = Array.from({ length: 101 }, (_, n) => cancel(n + 1));
  const waiting = tell(causes).state;
  expect(waiting.observations).toHaveLength(100);
  expect(waiting.observations.at(-1)).toMatchObject({ at: 100 });
  const { state } = tell([prepared(200)], waiting);
  expect(state).toMatchObject({ phase: 'ended', verdict: { status: 'cancelled', reason: 'requested', at: 1 } });
});
