import { type Observation } from '@outrigger/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Effect,
  type Lifecycle,
  type LifecycleEvent,
  newLifecycle,
  type Phase,
  stateOf,
  step,
} from './lifecycle.js';

const LIMITS = { timeoutMs: 200, graceMs: 50 };
const PHASES: Phase[] = ['preparing', 'spawning', 'running', 'closing', 'killing', 'ended'];

const prepared = (at = 0): LifecycleEvent => ({ type: 'prepared', at });
const launched = (at = 0): LifecycleEvent => ({ type: 'launched', at });
const launchFailed = (at: number): LifecycleEvent => ({ type: 'launch_failed', at, message: 'no such file: claude' });
const refused = (at: number): LifecycleEvent => ({ type: 'refused', at, reason: 'at_capacity' });
const cancel = (at: number, reason: 'requested' | 'drained' = 'requested'): LifecycleEvent => ({
  type: 'cancel',
  at,
  reason,
});
const deadline = (at = LIMITS.timeoutMs): LifecycleEvent => ({ type: 'deadline', at });
const outputLimit = (at: number): LifecycleEvent => ({ type: 'output_limit', at });
const result = (at: number): LifecycleEvent => ({ type: 'result', result: { at, failure: null } });
const badResult = (at: number): LifecycleEvent => ({ type: 'result', result: { at, failure: 'agent_error' } });
const exited = (at: number, code: number | null = 0, signal: string | null = null): LifecycleEvent => ({
  type: 'exited',
  exit: { at, code, signal },
});
const graceOver: LifecycleEvent = { type: 'grace_over' };
const logsRead: LifecycleEvent = { type: 'logs_read' };
const treeDead = (at = 1000, survivors: number | null = 0): LifecycleEvent => ({ type: 'tree_dead', at, survivors });

/** Everything after the last event that can bear on the verdict. */
const TO_THE_END = [logsRead, treeDead()];

interface Told {
  readonly state: Lifecycle;
  readonly effects: Effect[];
}

function tell(events: readonly LifecycleEvent[], from = newLifecycle(LIMITS)): Told {
  return events.reduce<Told>(
    (told, event) => {
      const { state, effects } = step(told.state, event);
      return { state, effects: [...told.effects, ...effects] };
    },
    { state: from, effects: [] },
  );
}

/** A run whose process was started at 0, so that its deadline is at 200. */
const tellRunning = (...events: LifecycleEvent[]) => tell(events, tell([prepared(), launched()]).state);

const names = (effects: readonly Effect[]) => effects.map((effect) => effect.do);

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item, i) => permutations(items.toSpliced(i, 1)).map((rest) => [item, ...rest]));
}

function expectInEveryOrder(events: LifecycleEvent[], verdict: { status: string; reason: string; at: number }): void {
  for (const order of permutations(events)) {
    const { state } = tellRunning(...order, ...TO_THE_END);
    expect(state.verdict, order.map(({ type }) => type).join(', ')).toEqual(verdict);
    expect(state.phase).toBe('ended');
  }
}

const TIMED_OUT = { status: 'timed_out', reason: 'deadline', at: 200 };

describe('the verdict, in every order of arrival', () => {
  it.each([
    {
      title: 'O1: a cancel before the final result wins',
      events: [cancel(100), result(200)],
      verdict: { status: 'cancelled', reason: 'requested', at: 100 },
    },
    {
      title: 'O2: a final result before the deadline wins, however late it was heard of',
      events: [deadline(), result(190)],
      verdict: { status: 'succeeded', reason: 'completed', at: 190 },
    },
    {
      title: 'O3: a final result after the deadline is too late',
      events: [deadline(), result(201), exited(202)],
      verdict: TIMED_OUT,
    },
    {
      title: 'O4: a cancel before the deadline wins',
      events: [deadline(), cancel(190)],
      verdict: { status: 'cancelled', reason: 'requested', at: 190 },
    },
    {
      title: 'O4: a cancel after the deadline is too late',
      events: [deadline(), cancel(210)],
      verdict: TIMED_OUT,
    },
    {
      title: 'O4: a cancel at the moment of the deadline is too late',
      events: [deadline(), cancel(200)],
      verdict: TIMED_OUT,
    },
    {
      title: 'O6: neither exit code nor result of the kill change a deadline',
      events: [deadline(), exited(205, 143), result(206)],
      verdict: TIMED_OUT,
    },
    {
      title: 'O7: a failure before the cancel wins',
      events: [badResult(100), cancel(110)],
      verdict: { status: 'failed', reason: 'agent_error', at: 100 },
    },
    {
      title: 'O7: so does a crash',
      events: [exited(100, 1), cancel(110)],
      verdict: { status: 'failed', reason: 'crashed', at: 100 },
    },
    {
      title: 'O10: a bad result after a cancel does not decide',
      events: [cancel(100), badResult(110), exited(120, 1)],
      verdict: { status: 'cancelled', reason: 'requested', at: 100 },
    },
    {
      title: 'a drain that cancels says so',
      events: [cancel(100, 'drained'), exited(120, null, 'SIGTERM')],
      verdict: { status: 'cancelled', reason: 'drained', at: 100 },
    },
    {
      title: 'O11: too much output fails a run that would have succeeded later',
      events: [outputLimit(100), result(110)],
      verdict: { status: 'failed', reason: 'output_limit', at: 100 },
    },
    {
      title: 'a result counts as of the exit at the latest',
      events: [exited(100), result(104), cancel(102)],
      verdict: { status: 'succeeded', reason: 'completed', at: 100 },
    },
    {
      title: 'a result counts from when it was there',
      events: [result(100), exited(104), cancel(102)],
      verdict: { status: 'succeeded', reason: 'completed', at: 100 },
    },
  ])('$title', ({ events, verdict }) => expectInEveryOrder(events, verdict));
});

it.each<{ event: LifecycleEvent; observation: Observation }>([
  { event: cancel(7), observation: { kind: 'cancelled', reason: 'requested', at: 7 } },
  { event: cancel(7, 'drained'), observation: { kind: 'cancelled', reason: 'drained', at: 7 } },
  { event: deadline(), observation: { kind: 'hard_timeout', reason: 'deadline', at: 200 } },
  { event: outputLimit(7), observation: { kind: 'failed', reason: 'output_limit', at: 7 } },
])('$event.type is kept as what was observed', ({ event, observation }) => {
  expect(tellRunning(event).state.observations).toEqual([observation]);
  expect(tellRunning(exited(5), event).state.observations).toEqual([observation]);
});

describe('at equal times', () => {
  it.each([
    { title: 'a cancel wins over a bad result', events: [cancel(100), badResult(100)], reason: 'requested' },
    { title: 'a cancel wins over a crash', events: [cancel(100), exited(100, 1)], reason: 'requested' },
    { title: 'a good result wins over a cancel', events: [cancel(100), result(100)], reason: 'completed' },
    { title: 'a good result wins over the deadline', events: [result(200), exited(200)], reason: 'completed' },
    { title: 'the deadline wins over a bad result', events: [badResult(200), exited(200)], reason: 'deadline' },
  ])('$title', ({ events, reason }) => {
    for (const order of permutations(events)) {
      expect(tellRunning(...order, ...TO_THE_END).state.verdict?.reason).toBe(reason);
    }
  });
});

describe('the verdict', () => {
  it('O3: is the deadline even when its timer is not heard of before everything else', () => {
    const late = tellRunning(result(201), exited(202), logsRead, deadline(), treeDead());
    expect(late.state.verdict).toEqual(TIMED_OUT);
  });

  it.each([
    { exit: exited(100), reason: 'no_result' },
    { exit: exited(100, 1), reason: 'crashed' },
    { exit: exited(100, null, 'SIGKILL'), reason: 'crashed' },
    { exit: exited(100, null), reason: 'crashed' },
  ])('O11: an exit without a result is failed: $reason', ({ exit, reason }) => {
    expect(tellRunning(exit, ...TO_THE_END).state.verdict).toEqual({ status: 'failed', reason, at: 100 });
  });

  it('O13: is that of the last of several results', () => {
    const both = tellRunning(badResult(100), result(150), exited(160), ...TO_THE_END);
    expect(both.state.verdict).toEqual({ status: 'succeeded', reason: 'completed', at: 150 });
    const reverse = tellRunning(result(100), badResult(150), exited(160), ...TO_THE_END);
    expect(reverse.state.verdict).toEqual({ status: 'failed', reason: 'agent_error', at: 150 });
  });

  it('waits for results that are in the log already when the process is heard to have ended', () => {
    expect(tellRunning(exited(100), result(99), ...TO_THE_END).state.verdict?.status).toBe('succeeded');
  });

  it('O6: stands once it is known, whatever the kill brings to light', () => {
    const decided = tellRunning(deadline(), logsRead);
    const later = tell([exited(205, 143), result(206), cancel(100), treeDead()], decided.state);
    expect(later.state.verdict).toBe(decided.state.verdict);
    expect(later.state).toMatchObject({ phase: 'ended', exit: { code: 143 }, result: null });
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

  it('O12: give a run its grace after the final result, then end it without asking again', () => {
    const { state, effects } = tellRunning(result(100), graceOver, logsRead, treeDead(160));
    expect(effects).toEqual([
      { do: 'set_grace', at: 150 },
      { do: 'read_logs' },
      { do: 'announce_ending' },
      { do: 'kill', graceMs: 0 },
      { do: 'announce_outcome' },
    ]);
    expect(state.verdict).toEqual({ status: 'succeeded', reason: 'completed', at: 100 });
  });

  it('O13: let every further result begin its own grace', () => {
    expect(tellRunning(result(100), result(150)).effects).toEqual([
      { do: 'set_grace', at: 150 },
      { do: 'set_grace', at: 200 },
    ]);
  });

  it('set no grace for a result read while the run is being closed', () => {
    expect(tellRunning(cancel(100), result(90)).effects).toEqual([{ do: 'read_logs' }]);
  });

  it('O15: announce the verdict before the kill, and the outcome with its survivors when the tree is dead', () => {
    const decided = tellRunning(cancel(100), logsRead);
    expect(decided.effects).toEqual([{ do: 'read_logs' }, { do: 'announce_ending' }, { do: 'kill', graceMs: 50 }]);
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

  it('ask a process first when something else than its result ends it', () => {
    expect(tellRunning(result(100), cancel(110), logsRead).effects.at(-1)).toEqual({ do: 'kill', graceMs: 50 });
    expect(tellRunning(deadline(), logsRead).effects.at(-1)).toEqual({ do: 'kill', graceMs: 50 });
  });

  it('read the logs once, whatever else ends the run meanwhile', () => {
    const { effects } = tellRunning(exited(100), cancel(101), deadline(), outputLimit(202), graceOver);
    expect(names(effects)).toEqual(['read_logs']);
  });
});

it('grace that is over without a result ends nothing', () => {
  const { state } = tellRunning();
  expect(step(state, graceOver)).toEqual({ state, effects: [] });
});

/** What leads to each phase. */
const LIFE_UP_TO: Record<Phase, LifecycleEvent[]> = {
  preparing: [],
  spawning: [prepared()],
  running: [prepared(), launched()],
  closing: [prepared(), launched(), result(90), cancel(100)],
  killing: [prepared(), launched(), result(90), cancel(100), logsRead],
  ended: [prepared(), launched(), result(90), cancel(100), ...TO_THE_END],
};

function lifecycleIn(phase: Phase): Lifecycle {
  const { state } = tell(LIFE_UP_TO[phase]);
  expect(state.phase).toBe(phase);
  return state;
}

it.each([
  ['preparing', 'starting'],
  ['spawning', 'starting'],
  ['running', 'running'],
  ['closing', 'running'],
  ['killing', 'ending'],
  ['ended', 'ended'],
] as const)('others are told that an execution %s is %s', (phase, state) => {
  expect(stateOf(lifecycleIn(phase))).toBe(state);
});

describe('an event that comes too late changes nothing', () => {
  const samples: Record<LifecycleEvent['type'], LifecycleEvent> = {
    prepared: prepared(1),
    refused: refused(1),
    launched: launched(1),
    launch_failed: launchFailed(1),
    result: result(1),
    exited: exited(1),
    cancel: cancel(1),
    deadline: deadline(),
    grace_over: graceOver,
    output_limit: outputLimit(1),
    logs_read: logsRead,
    tree_dead: treeDead(),
  };
  /** The last phase an event can change something in. */
  const lastPhase: Record<LifecycleEvent['type'], Phase> = {
    prepared: 'preparing',
    refused: 'preparing',
    launched: 'spawning',
    launch_failed: 'spawning',
    result: 'closing',
    exited: 'killing',
    cancel: 'closing',
    deadline: 'closing',
    grace_over: 'running',
    output_limit: 'closing',
    logs_read: 'closing',
    tree_dead: 'killing',
  };
  const late = Object.values(samples).flatMap((event) =>
    PHASES.slice(PHASES.indexOf(lastPhase[event.type]) + 1).map((phase) => ({ event, phase, type: event.type })),
  );

  it.each(late)('$type while $phase', ({ event, phase }) => {
    const state = lifecycleIn(phase);
    expect(step(state, event)).toEqual({ state, effects: [] });
  });

  it.each([
    ...(['preparing', 'spawning'] as const).flatMap((phase) =>
      (['result', 'grace_over', 'logs_read', 'tree_dead'] as const).map((type) => ({ type, phase })),
    ),
    { type: 'launched', phase: 'preparing' } as const,
    { type: 'logs_read', phase: 'running' } as const,
    { type: 'tree_dead', phase: 'running' } as const,
    { type: 'tree_dead', phase: 'closing' } as const,
  ])('nor does one that comes too early: $type while $phase', ({ type, phase }) => {
    const state = lifecycleIn(phase);
    expect(step(state, samples[type])).toEqual({ state, effects: [] });
  });
});

describe('for any sequence of events', () => {
  const at = fc.integer({ min: 0, max: 300 });
  const anEvent: fc.Arbitrary<LifecycleEvent> = fc.oneof(
    at.map(prepared),
    at.map(refused),
    at.map(launched),
    at.map(launchFailed),
    at.map(result),
    at.map(badResult),
    at.map((time) => exited(time)),
    at.map((time) => exited(time, null, 'SIGTERM')),
    at.map((time) => cancel(time)),
    at.map(deadline),
    at.map(outputLimit),
    at.map((time) => treeDead(time)),
    fc.constantFrom(graceOver, logsRead),
  );
  const noise = fc.array(anEvent, { maxLength: 4 });
  /** Noise alone seldom gets far, so most of it is strewn into whole lives. */
  const someEvents = fc.oneof(
    fc.array(anEvent, { maxLength: 40 }),
    fc
      .tuple(noise, noise, noise, noise, noise, fc.constantFrom(exited(120), cancel(120), deadline(), outputLimit(120)))
      .map(([a, b, c, d, e, cause]) => [...a, prepared(), ...b, launched(), ...c, cause, ...d, ...TO_THE_END, ...e]),
  );

  /** Every state passed through, with the event that led to it and what it had done. */
  function lifeOf(events: LifecycleEvent[]) {
    let state = newLifecycle(LIMITS);
    return events.map((event) => {
      const before = state;
      const { state: after, effects } = step(before, event);
      state = after;
      return { event, before, after, effects };
    });
  }

  const check = (property: (life: ReturnType<typeof lifeOf>) => void) => {
    fc.assert(
      fc.property(someEvents, (events) => {
        property(lifeOf(events));
      }),
      { numRuns: 500 },
    );
  };

  it('no effect but the timers happens twice, and they keep their order', () => {
    const order = ['spawn', 'announce_running', 'read_logs', 'announce_ending', 'kill', 'announce_outcome'];
    check((life) => {
      const done = names(life.flatMap(({ effects }) => effects)).filter((name) => order.includes(name));
      expect(done).toEqual(order.filter((name) => done.includes(name as Effect['do'])));
    });
  });

  it('the phases come in their order, and the outcome is announced exactly when it ends', () => {
    check((life) => {
      for (const { before, after, effects } of life) {
        expect(PHASES.indexOf(after.phase)).toBeGreaterThanOrEqual(PHASES.indexOf(before.phase));
        const hasEnded = before.phase !== 'ended' && after.phase === 'ended';
        expect(names(effects).includes('announce_outcome')).toBe(hasEnded);
      }
    });
  });

  it('there is a verdict from the announcement of the end on, and it never changes', () => {
    check((life) => {
      for (const { before, after, effects } of life) {
        expect(after.verdict !== null).toBe(after.phase === 'killing' || after.phase === 'ended');
        expect(names(effects).includes('announce_ending')).toBe(before.verdict === null && after.verdict !== null);
        if (before.verdict !== null) expect(after.verdict).toBe(before.verdict);
      }
    });
  });

  it('the set of observations is closed with the verdict', () => {
    check((life) => {
      for (const { before, after } of life) {
        if (before.verdict === null) continue;
        expect(after.observations).toBe(before.observations);
        expect(after.result).toBe(before.result);
      }
    });
  });

  it('O9: nothing is started after a cancel', () => {
    check((life) => {
      const cancelled = life.findIndex(({ event }) => event.type === 'cancel');
      if (cancelled < 0) return;
      expect(names(life.slice(cancelled).flatMap(({ effects }) => effects))).not.toContain('spawn');
    });
  });

  it('nothing changes after the end', () => {
    check((life) => {
      for (const { before, after } of life) if (before.phase === 'ended') expect(after).toBe(before);
    });
  });

  it('no verdict on a started run is later than its deadline', () => {
    check((life) => {
      const last = life.at(-1)?.after;
      if (last?.verdict == null || last.startedAt === null) return;
      expect(last.verdict.at).toBeLessThanOrEqual(last.startedAt + LIMITS.timeoutMs);
    });
  });

  it('the verdict is as early as the earliest cause that was heard of', () => {
    check((life) => {
      const last = life.at(-1)?.after;
      if (last?.verdict == null) return;
      const earliest = Math.min(...last.observations.map((observation: Observation) => observation.at));
      expect(last.verdict.at).toBeLessThanOrEqual(earliest);
    });
  });
});
