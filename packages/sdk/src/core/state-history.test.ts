import { type ExecutionState, type Hold } from '@outrigger/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { advance, isLater, type Progress, type StateStep, stepOf } from './state-history.js';

const holdOf = (generation: number | null): Hold => ({
  reason: 'auth_expired',
  generation,
  message: 'OAuth token has expired.',
  until: 1_000_000,
});
const step = (state: ExecutionState, at: number, attempt = 1): StateStep => ({
  state,
  at,
  attempt,
  ...(state === 'held' && { hold: holdOf(1) }),
});

/** What somebody is told who hears of these steps in this order. */
function follow(steps: readonly StateStep[], generation: number | null = null) {
  let progress: Progress = {};
  return steps.flatMap((each) => {
    const told = advance(progress, each, generation);
    progress = told.progress;
    return told.events;
  });
}

const namesOf = (steps: readonly StateStep[]) =>
  follow(steps).map((event) => `${event.type === 'state' ? event.state : event.type} ${event.attempt}`);

/** How long after the step before it a step comes. A hold can end in the millisecond it begins in. */
const soon = fc.nat(3);
const later = fc.integer({ min: 1, max: 3 });

/** The holds of one attempt, each of them for one or more credentials, with how long after the last step they come. */
const holds = fc.array(fc.record({ after: later, refusals: fc.array(soon, { maxLength: 2 }), release: soon }), {
  maxLength: 3,
});

/** A life as a sidecar can tell of it, from acceptance to the outcome. */
const life = fc
  .record({
    isQueued: fc.boolean(),
    attempts: fc.array(fc.record({ isHeldFirst: fc.boolean(), start: soon, holds, isHeldLast: fc.boolean() }), {
      minLength: 1,
      maxLength: 3,
    }),
    // The end can be dated before the last step: by when it happened and not by when it was heard of.
    endedAgo: soon,
  })
  .map(({ isQueued, attempts, endedAgo }) => {
    let at = 100;
    let generation = 1;
    const steps: StateStep[] = isQueued ? [step('queued', at)] : [];
    const hold = (after: number, attempt: number) => {
      at += after;
      steps.push({ ...step('held', at, attempt), hold: holdOf(generation++) });
    };
    attempts.forEach(({ isHeldFirst, start, holds: between, isHeldLast }, index) => {
      const attempt = index + 1;
      steps.push(step('starting', at, attempt));
      if (isHeldFirst) hold(0, attempt);
      steps.push(step('running', (at += start), attempt));
      for (const { after, refusals, release } of between) {
        hold(after, attempt);
        for (const refusal of refusals) hold(refusal, attempt);
        steps.push(step('running', (at += release), attempt));
      }
      if (isHeldLast) hold(1, attempt);
    });
    steps.push(step('ending', at - endedAgo, attempts.length), step('ended', at, attempts.length));
    return steps;
  });

describe('the steps of an execution', () => {
  it('are news exactly when nothing later was heard of, whatever is lost, repeated or overtaken', () => {
    // Notices that come, connections that are lost and begin with a snapshot, answers that were overtaken: all of them
    // are places in the life, heard of in some order.
    const heard = life.chain((steps) =>
      fc.tuple(fc.constant(steps), fc.array(fc.nat(steps.length - 1), { maxLength: 60 })),
    );
    fc.assert(
      fc.property(heard, ([steps, places]) => {
        let latest = -1;
        let progress: Progress = {};
        for (const place of places) {
          const each = steps[place];
          if (each === undefined) throw new Error('no such step');
          expect(isLater(each, progress.last)).toBe(place > latest);
          const told = advance(progress, each, null);
          if (place <= latest) expect(told).toEqual({ progress, events: [] });
          progress = told.progress;
          latest = Math.max(latest, place);
          expect(progress.last).toEqual(steps[latest]);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('tell of every state, hold and release once, in order', () => {
    fc.assert(
      fc.property(life, (steps) => {
        const events = follow(steps.flatMap((each, index) => [each, each, ...steps.slice(0, index)]));
        const states = events
          .filter((event) => event.type === 'state')
          .map(({ state, attempt }) => ({ state, attempt }));
        const isFirst = ({ state, attempt }: StateStep, index: number) =>
          !steps.slice(0, index).some((other) => other.state === state && other.attempt === attempt);
        expect(states).toEqual(
          steps
            .filter((each, index) => each.state !== 'held' && isFirst(each, index))
            .map(({ state, attempt }) => ({ state, attempt })),
        );
        const released = steps.filter(
          ({ state }, index) => steps[index - 1]?.state === 'held' && ['starting', 'running'].includes(state),
        );
        expect(events.filter((event) => event.type === 'released').map(({ at }) => at)).toEqual(
          released.map(({ at }) => at),
        );
        expect(events.filter((event) => event.type === 'hold').map(({ generation }) => generation)).toEqual(
          steps.flatMap(({ hold }) => (hold === undefined ? [] : [hold.generation])),
        );
      }),
      { numRuns: 500 },
    );
  });

  it('C1: tell of a hold with what the agent says of it, and of its end with the generation in force', () => {
    const events = follow(
      [step('running', 1), { ...step('held', 5), hold: { ...holdOf(3), retryAt: 70 } }, step('running', 9)],
      4,
    );
    expect(events.slice(1)).toEqual([
      {
        type: 'hold',
        reason: 'auth_expired',
        generation: 3,
        message: 'OAuth token has expired.',
        until: 1_000_000,
        retryAt: 70,
        at: 5,
        attempt: 1,
      },
      { type: 'released', at: 9, attempt: 1, generation: 4 },
    ]);
  });

  it.each([
    ['before it runs', ['starting', 'held', 'running'], ['starting 1', 'hold 1', 'released 1', 'running 1']],
    ['to its end', ['running', 'held', 'ending'], ['running 1', 'hold 1', 'ending 1']],
    ['when it is met', ['held', 'running'], ['hold 1', 'released 1', 'running 1']],
  ] as const)('tell of a run that is held %s', (_when, states, names) => {
    expect(namesOf(states.map((state, index) => step(state, index)))).toEqual(names);
  });

  it('tell of a resumed run: it is released into its next attempt', () => {
    const resumed = [step('running', 1), step('held', 5), step('starting', 9, 2), step('running', 12, 2)];
    expect(namesOf(resumed)).toEqual(['running 1', 'hold 1', 'released 2', 'starting 2', 'running 2']);
  });

  it('tell nothing of a hold that came and went unheard, and of the next one all the same', () => {
    expect(namesOf([step('running', 1), step('running', 9)])).toEqual(['running 1']);
    expect(namesOf([step('running', 1), step('held', 5), step('held', 9)])).toEqual(['running 1', 'hold 1', 'hold 1']);
    expect(namesOf([step('running', 1), step('running', 9, 2)])).toEqual(['running 1', 'running 2']);
  });

  it('tell how it ends, whatever attempt that names', () => {
    const verdict = { status: 'succeeded' as const, reason: 'completed' as const, at: 3, message: '' };
    const ending = { ...step('ending', 3, 2), verdict };
    expect(follow([ending, step('starting', 9, 3)])).toEqual([
      { type: 'state', state: 'ending', at: 3, attempt: 2, verdict },
    ]);
    expect(isLater(step('ended', 3, 1), ending)).toBe(true);
  });

  it('are what a summary says', () => {
    const summary = { executionId: 'e1', attempt: 2, acceptedAt: 1, startedAt: 2, since: 7 };
    const hold = holdOf(null);
    expect(stepOf({ ...summary, state: 'held', hold })).toEqual({ attempt: 2, state: 'held', at: 7, hold });
    const verdict = { status: 'succeeded' as const, reason: 'completed' as const, at: 7, message: '' };
    expect(stepOf({ ...summary, state: 'ending', verdict })).toEqual({ attempt: 2, state: 'ending', at: 7, verdict });
  });
});
