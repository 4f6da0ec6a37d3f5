import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OUTCOME_REASONS, type OutcomeReason, type OutcomeStatus } from '../outcome-reasons.js';
import { mergeObservations, type Observation, type Verdict } from './merge.js';

type OfKind<K extends Observation['kind']> = Extract<Observation, { kind: K }>;

const completed = (at: number): Observation => ({ kind: 'completed', at });
const superseded = (at: number): Observation => ({ kind: 'superseded', at });
const deadline = (at: number): Observation => ({ kind: 'hard_timeout', reason: 'deadline', at });
const cancel = (at: number): Observation => ({ kind: 'cancelled', reason: 'requested', at });
const failed = (at: number, reason: OfKind<'failed'>['reason'] = 'crashed'): Observation => ({
  kind: 'failed',
  reason,
  at,
});
const refused = (at: number): Observation => ({ kind: 'refused', reason: 'disk_low', at });
const lost = (at: number, reason: OfKind<'lost'>['reason'] = 'agent_gone'): Observation => ({
  kind: 'lost',
  reason,
  at,
});
const detail = (at: number, what: OfKind<'detail'>['what'] = 'waiter_gave_up'): Observation => ({
  kind: 'detail',
  what,
  at,
});

function reasonsOf(status: OutcomeStatus): OutcomeReason[] {
  return (Object.keys(OUTCOME_REASONS) as OutcomeReason[]).filter(
    (reason) => OUTCOME_REASONS[reason].status === status,
  );
}

const SHAPES = [
  { kind: 'completed' },
  { kind: 'superseded' },
  ...reasonsOf('timed_out').map((reason) => ({ kind: 'hard_timeout', reason })),
  ...['requested', 'drained'].map((reason) => ({ kind: 'cancelled', reason })),
  ...reasonsOf('failed').map((reason) => ({ kind: 'failed', reason })),
  ...reasonsOf('skipped').map((reason) => ({ kind: 'refused', reason })),
  ...reasonsOf('lost').map((reason) => ({ kind: 'lost', reason })),
  ...['survivors', 'cleanup_failed', 'waiter_gave_up', 'late_exit'].map((what) => ({ kind: 'detail', what })),
] as Omit<Observation, 'at'>[];

/** Few different times, so that ties are common. */
const anObservation = fc
  .tuple(fc.constantFrom(...SHAPES), fc.integer({ min: 0, max: 6 }))
  .map(([shape, at]) => ({ ...shape, at }) as Observation);

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item, i) => permutations(items.toSpliced(i, 1)).map((rest) => [item, ...rest]));
}

function expectInEveryOrder(observations: readonly Observation[], verdict: Verdict | null): void {
  for (const order of permutations(observations)) {
    expect(mergeObservations(order), order.map(({ kind }) => kind).join(', ')).toEqual(verdict);
  }
}

const timedOutAt200: Verdict = { status: 'timed_out', reason: 'deadline', at: 200 };
const cancelledAt = (at: number): Verdict => ({ status: 'cancelled', reason: 'requested', at });
const succeededAt = (at: number): Verdict => ({ status: 'succeeded', reason: 'completed', at });

describe('in every order of arrival', () => {
  it.each<{ title: string; observations: Observation[]; verdict: Verdict }>([
    {
      title: 'O1: a cancel before the final result wins',
      observations: [cancel(100), completed(200)],
      verdict: cancelledAt(100),
    },
    {
      title: 'O2: a final result before the deadline wins, however late it was heard of',
      observations: [deadline(200), completed(190)],
      verdict: succeededAt(190),
    },
    {
      title: 'O3: a final result after the deadline is too late',
      observations: [deadline(200), completed(201)],
      verdict: timedOutAt200,
    },
    {
      title: 'O4: a cancel before the deadline wins',
      observations: [deadline(200), cancel(190)],
      verdict: cancelledAt(190),
    },
    {
      title: 'O4: a cancel after the deadline is too late',
      observations: [deadline(200), cancel(210)],
      verdict: timedOutAt200,
    },
    {
      title: 'O4: a cancel at the moment of the deadline is too late',
      observations: [deadline(200), cancel(200)],
      verdict: timedOutAt200,
    },
    {
      title: 'O5: being superseded wins over a later cancel',
      observations: [superseded(200), cancel(201)],
      verdict: { status: 'cancelled', reason: 'superseded', at: 200 },
    },
    {
      title: 'O6: neither exit code nor result of the kill change a deadline',
      observations: [deadline(200), failed(205), completed(210), detail(206, 'late_exit')],
      verdict: timedOutAt200,
    },
    {
      title: 'O7: a failure before the cancel wins',
      observations: [failed(100), cancel(110)],
      verdict: { status: 'failed', reason: 'crashed', at: 100 },
    },
    {
      title: 'O8: a waiter that gave up changes no success',
      observations: [completed(100), detail(200)],
      verdict: succeededAt(100),
    },
    {
      title: 'O8: a waiter that gave up changes no failure, not even when it was first',
      observations: [failed(100), detail(50), detail(200)],
      verdict: { status: 'failed', reason: 'crashed', at: 100 },
    },
    {
      title: 'O9: a cancel before the process was started wins over what became of the start',
      observations: [cancel(50), failed(60, 'spawn_failed'), detail(61, 'cleanup_failed')],
      verdict: cancelledAt(50),
    },
    {
      title: 'O10: a refused credential after a cancel does not decide',
      observations: [cancel(100), failed(110, 'auth_expired')],
      verdict: cancelledAt(100),
    },
    {
      title: 'O14: a success replaces a presumed loss and says so',
      observations: [lost(100), completed(300), detail(400, 'survivors')],
      verdict: { ...succeededAt(300), corrected: true },
    },
    {
      title: 'O14: so does a success from before the loss was presumed',
      observations: [lost(500), lost(600, 'sidecar_restarted'), completed(300)],
      verdict: { ...succeededAt(300), corrected: true },
    },
  ])('$title', ({ observations, verdict }) => expectInEveryOrder(observations, verdict));
});

describe('at equal times', () => {
  const byPrecedence = [completed(7), deadline(7), superseded(7), cancel(7), failed(7), refused(7)];

  it.each(byPrecedence.slice(0, -1).map((winner, i) => ({ winner, losers: byPrecedence.slice(i + 1) })))(
    '$winner.kind wins over every kind behind it',
    ({ winner, losers }) => {
      for (const loser of losers) expectInEveryOrder([winner, loser], mergeObservations([winner]));
    },
  );

  it('observations of one kind are settled by the order of their reasons', () => {
    const inOrder = reasonsOf('failed').map((reason) => failed(7, reason as OfKind<'failed'>['reason']));
    for (const [i, loser] of inOrder.entries()) {
      for (const winner of inOrder.slice(0, i)) expectInEveryOrder([winner, loser], mergeObservations([winner]));
    }
  });

  it('the table of reasons settles it among presumptions as well', () => {
    expectInEveryOrder([lost(7, 'sidecar_restarted'), lost(7)], { status: 'lost', reason: 'agent_gone', at: 7 });
  });
});

it('nothing, or nothing but details, amounts to no verdict', () => {
  expect(mergeObservations([])).toBeNull();
  expect(mergeObservations([detail(1), detail(2, 'survivors')])).toBeNull();
});

it('a presumed loss decides while nothing else is known, the earliest one, and corrects nothing', () => {
  expectInEveryOrder([lost(20), lost(10, 'sidecar_restarted'), detail(5)], {
    status: 'lost',
    reason: 'sidecar_restarted',
    at: 10,
  });
});

it('every kind of observation leads to the status and reason it names', () => {
  for (const shape of SHAPES.filter(({ kind }) => kind !== 'detail')) {
    const observation = { ...shape, at: 3 } as Exclude<Observation, { kind: 'detail' }>;
    const reason = 'reason' in observation ? observation.reason : observation.kind;
    expect(mergeObservations([observation])).toEqual({ status: OUTCOME_REASONS[reason].status, reason, at: 3 });
  }
});

describe('for any observations', () => {
  it('the verdict is the same in every order of a few', () => {
    fc.assert(
      fc.property(fc.array(anObservation, { maxLength: 5 }), (observations) =>
        expectInEveryOrder(observations, mergeObservations(observations)),
      ),
    );
  });

  it('the verdict is the same in any order of many', () => {
    const inTwoOrders = fc
      .array(anObservation, { maxLength: 60 })
      .chain((observations) =>
        fc.tuple(
          fc.constant(observations),
          fc.shuffledSubarray(observations, { minLength: observations.length, maxLength: observations.length }),
        ),
      );
    fc.assert(
      fc.property(inTwoOrders, ([one, other]) => {
        expect(mergeObservations(other)).toEqual(mergeObservations(one));
      }),
    );
  });

  it('hearing of some of them again changes nothing', () => {
    const withRepeats = fc
      .array(anObservation, { minLength: 1, maxLength: 20 })
      .chain((observations) =>
        fc.tuple(fc.constant(observations), fc.array(fc.constantFrom(...observations), { maxLength: 20 })),
      );
    fc.assert(
      fc.property(withRepeats, ([observations, repeats]) => {
        expect(mergeObservations([...repeats, ...observations])).toEqual(mergeObservations(observations));
      }),
    );
  });

  it('details never decide', () => {
    fc.assert(
      fc.property(fc.array(anObservation, { maxLength: 20 }), (observations) => {
        expect(mergeObservations(observations)).toEqual(
          mergeObservations(observations.filter(({ kind }) => kind !== 'detail')),
        );
      }),
    );
  });

  it('a presumed loss gives way to evidence and only marks the verdict as corrected', () => {
    const evidence = anObservation.filter(({ kind }) => kind !== 'lost' && kind !== 'detail');
    const presumption = anObservation.filter(({ kind }) => kind === 'lost');
    fc.assert(
      fc.property(
        fc.array(evidence, { minLength: 1, maxLength: 10 }),
        fc.array(presumption, { minLength: 1, maxLength: 3 }),
        (known, presumed) => {
          expect(mergeObservations([...presumed, ...known])).toEqual({ ...mergeObservations(known), corrected: true });
        },
      ),
    );
  });

  it('the verdict is as early as the earliest evidence', () => {
    const evidence = anObservation.filter(({ kind }) => kind !== 'lost' && kind !== 'detail');
    fc.assert(
      fc.property(fc.array(evidence, { minLength: 1, maxLength: 20 }), (observations) => {
        expect(mergeObservations(observations)?.at).toBe(Math.min(...observations.map(({ at }) => at)));
      }),
    );
  });

  it('merging leaves them as they are and takes any iterable', () => {
    const observations = Object.freeze([cancel(3), completed(1), lost(2)]);
    expect(mergeObservations(new Set(observations))).toEqual({ ...succeededAt(1), corrected: true });
    expect(observations.map(({ at }) => at)).toEqual([3, 1, 2]);
  });
});
