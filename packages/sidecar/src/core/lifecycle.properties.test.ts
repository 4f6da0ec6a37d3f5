import { type Observation } from '@outrigger/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  badResult,
  cancel,
  credentialFailed,
  deadline,
  exited,
  graceOver,
  idle,
  killed,
  launched,
  launchFailed,
  LIMITS,
  logsRead,
  names,
  outputLimit,
  PHASES,
  prepared,
  queueTimeout,
  refused,
  result,
  slotFree,
  stderrSaid,
  tasks,
  TO_THE_END,
  treeDead,
  turnStarted,
} from '../testing/lives.js';
import { type Effect, type LifecycleEvent, newLifecycle } from './lifecycle-state.js';
import { step } from './lifecycle.js';

describe('for any sequence of events', () => {
  const at = fc.integer({ min: 0, max: 300 });
  const anEvent: fc.Arbitrary<LifecycleEvent> = fc.oneof(
    at.map(queueTimeout),
    at.map(prepared),
    at.map((time) => refused(time)),
    at.map(launched),
    at.map(launchFailed),
    at.map(result),
    at.map((time) => badResult(time)),
    fc.tuple(at, fc.nat({ max: 3 })).map(([time, open]) => tasks(time, open)),
    at.map((time) => credentialFailed(time)),
    at.map((time) => exited(time)),
    at.map((time) => exited(time, 1)),
    fc.tuple(at, fc.boolean()).map(([time, isOutOfMemory]) => killed(time, { isOutOfMemory })),
    at.map((time) => cancel(time)),
    at.map(deadline),
    at.map(idle),
    at.map(outputLimit),
    at.map((time) => treeDead(time)),
    fc.constantFrom(slotFree, turnStarted, graceOver, logsRead, stderrSaid('auth_invalid')),
  );
  const noise = fc.array(anEvent, { maxLength: 4 });
  const cause = fc.constantFrom(exited(120), cancel(120), deadline(), idle(120), credentialFailed(120));
  /** Noise alone seldom gets far, so most of it is strewn into whole lives. */
  const someEvents = fc.oneof(
    fc.array(anEvent, { maxLength: 40 }),
    fc
      .tuple(noise, noise, noise, noise, noise, noise, cause)
      .map(([a, b, c, d, e, f, end]) => [
        ...a,
        slotFree,
        ...b,
        prepared(),
        ...c,
        launched(),
        ...d,
        end,
        ...e,
        ...TO_THE_END,
        ...f,
      ]),
  );

  /** Every state passed through, with the event that led to it and what it had done. */
  function lifeOf(events: LifecycleEvent[], start: 'queued' | 'preparing') {
    let state = newLifecycle(LIMITS, start);
    return events.map((event) => {
      const before = state;
      const { state: after, effects } = step(before, event);
      state = after;
      return { event, before, after, effects };
    });
  }

  const check = (property: (life: ReturnType<typeof lifeOf>) => void) => {
    fc.assert(
      fc.property(someEvents, fc.constantFrom('queued' as const, 'preparing' as const), (events, start) => {
        property(lifeOf(events, start));
      }),
      { numRuns: 500 },
    );
  };

  it('no effect but the timers happens twice, and they keep their order', () => {
    const order = ['prepare', 'spawn', 'announce_running', 'read_logs', 'announce_ending', 'kill', 'announce_outcome'];
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
        expect({ ...after, exit: null, phase: null, survivors: null, endedAt: null }).toEqual({
          ...before,
          exit: null,
          phase: null,
          survivors: null,
          endedAt: null,
        });
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

  it('O16: a run that ends by itself is never timed out for a deadline that is still to come', () => {
    check((life) => {
      for (const { before, after } of life) {
        if (before.verdict !== null || after.verdict?.reason !== 'deadline') continue;
        if (after.observations.some(({ kind }) => kind === 'hard_timeout')) continue;
        const causes = after.observations.map((observation) => observation.at);
        const ended = Math.max(after.exit?.at ?? 0, after.result?.at ?? 0, after.settledAt ?? 0, ...causes);
        expect(after.verdict.at).toBeLessThanOrEqual(ended);
      }
    });
  });

  it('O13: a run succeeds only on a good result', () => {
    check((life) => {
      const last = life.at(-1)?.after;
      if (last?.verdict?.status !== 'succeeded') return;
      expect(last.result?.failure).toBeNull();
    });
  });

  it('C8: a credential is to blame only where the run itself said so', () => {
    check((life) => {
      const last = life.at(-1)?.after;
      if (last?.verdict?.reason !== 'auth_invalid') return;
      const hasSaidSo = life.some(({ event }) => event.type === 'credential_failed');
      expect(hasSaidSo || (last.exit !== null && last.exit.signal === null && last.exit.code !== 0)).toBe(true);
    });
  });
});
