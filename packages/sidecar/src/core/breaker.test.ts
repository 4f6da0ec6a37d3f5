import { HOLD_REASONS, type Outcome, OUTCOME_REASONS, type OutcomeReason } from '@outrigger/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  afterOutcome,
  type Breaker,
  type BreakerLimits,
  CLOSED,
  letIn,
  passageOf,
  restoreBreaker,
  retryAtOf,
  withoutTrial,
} from './breaker.js';

const LIMITS: BreakerLimits = { failures: 3, youngMs: 100, cooldownMs: 1000, cooldownMaxMs: 8000 };

/** An outcome of a run that lived for a while; null: it was never started. */
function outcome(reason: OutcomeReason, livedMs: number | null = 0, executionId = 'run'): Outcome {
  return {
    executionId,
    status: OUTCOME_REASONS[reason].status,
    reason,
    message: '',
    retryable: false,
    exit: { code: reason === 'crashed' ? 1 : null, signal: null },
    survivors: 0,
    attempts: 1,
    acceptedAt: 0,
    ...(livedMs === null ? {} : { startedAt: 5000 }),
    endedAt: 5000 + (livedMs ?? 0),
    closedAt: 9000,
    heldMs: 0,
  };
}

const after = (outcomes: Outcome[], nowMs = 0, from = CLOSED, limits = LIMITS) =>
  outcomes.reduce((breaker, one) => afterOutcome(breaker, one, { nowMs, limits }).breaker, from);

const death = outcome('crashed', 99);
const open = after([death, death, death]);

describe('D6: a breaker', () => {
  it.each<[OutcomeReason, number | null]>([
    ['crashed', 99],
    ['no_result', 0],
    ['spawn_failed', null],
  ])('opens with the third %s after %s ms in a row, once, for the cooldown', (reason, livedMs) => {
    const two = after([outcome(reason, livedMs), outcome(reason, livedMs)]);
    expect(passageOf(two, 0)).toBe('closed');
    const step = afterOutcome(two, outcome(reason, livedMs, 'third'), { nowMs: 50, limits: LIMITS });
    expect(step.news).toBe('opened');
    const opening = { openedAt: 50, retryAt: 1050, openings: 1, executionId: 'third', reason };
    expect(step.breaker).toEqual({ deaths: 3, opening, trial: null });
    expect(passageOf(step.breaker, 1049)).toBe('open');
    expect(retryAtOf(step.breaker, 1049, LIMITS)).toBe(1050);
    expect(letIn(step.breaker, 'x', 1049)).toBeNull();
    expect(afterOutcome(step.breaker, death, { nowMs: 60, limits: LIMITS })).toEqual({ ...step, news: null });
  });

  it.each<[string, Outcome]>([
    ['a success', outcome('completed')],
    ['a death that is not young', outcome('crashed', 100)],
    ['a long run that was cancelled', outcome('requested', 100)],
  ])('begins to count anew with %s', (_what, between) => {
    expect(after([death, death, between, death, death])).toEqual({ deaths: 2, opening: null, trial: null });
  });

  it.each<[string, Outcome]>([
    ...[...HOLD_REASONS, 'hold' as const].map((reason): [string, Outcome] => [`${reason}, young`, outcome(reason, 5)]),
    ...HOLD_REASONS.map((reason): [string, Outcome] => [`${reason}, old`, outcome(reason, 5000)]),
    ['a run that was cancelled', outcome('requested', 5)],
    ['what was skipped', outcome('circuit_open', null)],
    ['a prompt that is too long', outcome('prompt_too_long', 5)],
  ])('learns nothing from %s', (_what, one) => {
    expect(after([one, one, one])).toEqual(CLOSED);
    expect(after([death, death, one])).toEqual(after([death, death]));
    expect(after([death, death, one, death]).opening).not.toBeNull();
  });

  it('never opens where that is switched off', () => {
    const off = { ...LIMITS, failures: 0 };
    expect(after([death, death, death, death], 0, CLOSED, off).opening).toBeNull();
    expect(restoreBreaker(open, 0, off)).toEqual(CLOSED);
  });
});

describe('D6: after the cooldown', () => {
  const onTrial = letIn(open, 'trial', 1000) ?? CLOSED;

  it('one execution is let in to try, and no other', () => {
    expect(passageOf(open, 1000)).toBe('half_open');
    expect(retryAtOf(open, 1000, LIMITS)).toBeNull();
    expect(onTrial.trial).toBe('trial');
    expect(passageOf(onTrial, 1000)).toBe('open');
    expect(letIn(onTrial, 'another', 99_999)).toBeNull();
    expect(letIn(onTrial, 'trial', 99_999)).toBe(onTrial);
    expect(retryAtOf(onTrial, 1500, LIMITS)).toBe(1600);
  });

  it('its success closes the circuit, and so does that of another run', () => {
    for (const id of ['trial', 'another']) {
      const step = afterOutcome(onTrial, outcome('completed', 5, id), { nowMs: 2000, limits: LIMITS });
      expect(step).toEqual({ breaker: CLOSED, news: 'closed' });
    }
  });

  it('its young death opens the circuit again for twice the time, up to a maximum', () => {
    let breaker = open;
    const cooldowns = [1000, 2000, 4000, 8000, 8000].map((expected, n) => {
      const { openedAt = 0, retryAt = 0, openings } = breaker.opening ?? {};
      expect([retryAt - openedAt, openings]).toEqual([expected, n + 1]);
      const step = afterOutcome(letIn(breaker, 'trial', retryAt) ?? CLOSED, outcome('crashed', 0, 'trial'), {
        nowMs: retryAt + 10,
        limits: LIMITS,
      });
      expect(step.news).toBe('opened');
      breaker = step.breaker;
      return expected;
    });
    expect(cooldowns).toHaveLength(5);
  });

  it('the young death of another run changes nothing; one that is cancelled leaves the trial to the next', () => {
    expect(after([outcome('crashed', 0, 'another')], 1500, onTrial)).toEqual(onTrial);
    const next = after([outcome('requested', 0, 'trial')], 1500, onTrial);
    expect(next).toEqual(open);
    expect(passageOf(next, 1500)).toBe('half_open');
  });
});

it('D6: the death of a run that no sidecar saw exit says nothing: its container may have died', () => {
  const unseen = { ...outcome('crashed', 0), exit: { code: null, signal: null } };
  const steps = [1, 2, 3].map(() => afterOutcome(CLOSED, unseen, { nowMs: 0, limits: LIMITS }));
  expect(steps).toEqual(steps.map(() => ({ breaker: CLOSED, news: null })));
});

describe('D6: a breaker that is restored', () => {
  it('is as it was, with who is on trial, unless that one does not go on', () => {
    expect(restoreBreaker(open, 500, LIMITS)).toEqual(open);
    const onTrial = letIn(open, 'x', 1000) ?? CLOSED;
    expect(restoreBreaker(onTrial, 1000, LIMITS)).toEqual(onTrial);
    expect(withoutTrial(onTrial)).toEqual(open);
    expect(restoreBreaker({ ...CLOSED, deaths: 2, trial: 'x' }, 0, LIMITS)).toEqual({ ...CLOSED, deaths: 2 });
    expect(restoreBreaker(after([death, death]), 0, LIMITS).deaths).toBe(2);
  });

  it('is not open for longer than a cooldown, however the clock was moved', () => {
    expect(restoreBreaker(open, -1_000_000, LIMITS).opening?.retryAt).toBe(-999_000);
  });
});

it('whatever happens, at most one is on trial, none is let in during a cooldown, and it opens only in a row', () => {
  const reasons = fc.constantFrom<OutcomeReason>('crashed', 'completed', 'auth_expired', 'requested', 'spawn_failed');
  const events = fc.array(
    fc.oneof(
      fc.record({ end: fc.nat(5), reason: reasons, livedMs: fc.constantFrom(0, 200) }),
      fc.record({ start: fc.constant(true), passMs: fc.nat(3000) }),
    ),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(events, (all) => {
      let breaker: Breaker = CLOSED;
      let nowMs = 0;
      let row = 0;
      let live: string[] = [];
      for (const [n, event] of all.entries()) {
        if ('start' in event) {
          nowMs += event.passMs;
          const let_ = letIn(breaker, `${n}`, nowMs);
          const { opening, trial } = breaker;
          expect(let_ === null).toBe(opening !== null && (nowMs < opening.retryAt || trial !== null));
          expect(retryAtOf(breaker, nowMs, LIMITS) === null).toBe(let_ !== null);
          if (let_ !== null) live.push(`${n}`);
          breaker = let_ ?? breaker;
          continue;
        }
        const id = live[event.end];
        if (id === undefined) continue;
        live = live.filter((other) => other !== id);
        const wasOpen = breaker.opening !== null;
        const wasTrial = breaker.trial === id;
        const step = afterOutcome(breaker, outcome(event.reason, event.livedMs, id), { nowMs, limits: LIMITS });
        const isYoung = ['crashed', 'spawn_failed'].includes(event.reason) && event.livedMs === 0;
        const isBreak = event.reason === 'completed' || (event.livedMs > 0 && event.reason !== 'auth_expired');
        row = isYoung ? row + 1 : isBreak ? 0 : row;
        if (step.news === 'opened') expect(wasOpen ? wasTrial && isYoung : row >= 3).toBe(true);
        if (!wasOpen) expect(step.breaker.opening !== null).toBe(row >= 3);
        expect(step.news === 'closed').toBe(wasOpen && event.reason === 'completed');
        const { trial, opening } = step.breaker;
        if (trial !== null) expect(live).toContain(trial);
        if (opening !== null) expect(opening.retryAt - opening.openedAt).toBeLessThanOrEqual(LIMITS.cooldownMaxMs);
        breaker = step.breaker;
        // What was in flight when it closed or opened does not count towards the next row.
        if (breaker.opening === null) row = breaker.deaths;
      }
    }),
    { numRuns: 2000 },
  );
});
