import { type Observation, type Verdict } from '@outrigger/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  badResult,
  BETWEEN_ATTEMPTS,
  bypassed,
  cancel,
  caughtUp,
  credentialFailed,
  credentialMissing,
  credentialReady,
  deadline,
  exited,
  graceOver,
  held,
  holdTimeout,
  idle,
  inputEnded,
  inputFailed,
  killed,
  launched,
  launchFailed,
  logsRead,
  message,
  names,
  outputLimit,
  ownResult,
  PHASES,
  prepared,
  queueTimeout,
  refused,
  released,
  result,
  RESUME_LIMITS,
  slotFree,
  stderrSaid,
  tasks,
  tellRunningWith,
  TO_THE_END,
  treeDead,
  turnStarted,
} from '../testing/lives.js';
import { type Deed, live, type Moment, type World } from '../testing/simulated-life.js';
import { heldUntil } from './hold.js';
import {
  type Effect,
  type Lifecycle,
  type LifecycleEvent,
  type LifecycleLimits,
  newLifecycle,
  stateOf,
} from './lifecycle-state.js';
import { step } from './lifecycle.js';

const NUM_RUNS = 500;

const at = fc.integer({ min: 0, max: 300 });
const policy = fc.constantFrom('hold' as const, 'fail' as const, 'resume' as const, 'resume' as const);
const limits: fc.Arbitrary<LifecycleLimits> = fc.record({
  timeoutMs: fc.constantFrom(150, 200, 1000),
  graceMs: fc.constant(20),
  backgroundTimeoutMs: fc.constant(60),
  holdTimeoutMs: fc.constantFrom(0, 30, 100),
  onCredentialFailure: policy,
  maxResumes: fc.nat({ max: 3 }),
  interactiveIdleMs: fc.constantFrom(null, null, 0, 40),
});
const survivors = fc.constantFrom(0, 0, 2, null);

describe('for any sequence of events', () => {
  const anEvent: fc.Arbitrary<LifecycleEvent> = fc.oneof(
    at.map(queueTimeout),
    at.map(prepared),
    at.map((time) => refused(time)),
    at.map(credentialMissing),
    at.map(launched),
    at.map(launchFailed),
    at.map(result),
    at.map((time) => badResult(time)),
    at.map(ownResult),
    fc.tuple(at, fc.constantFrom('m', 'n')).map(([time, id]) => message(time, id)),
    at.map(inputEnded),
    at.map(inputFailed),
    fc.constant(caughtUp),
    fc.tuple(at, fc.nat({ max: 3 })).map(([time, open]) => tasks(time, open)),
    at.map((time) => credentialFailed(time)),
    fc.tuple(at, fc.constantFrom('auth_expired', 'credential_missing')).map(([time, reason]) => held(time, reason)),
    at.map(released),
    at.map(holdTimeout),
    at.map(credentialReady),
    at.map(bypassed),
    at.map((time) => exited(time)),
    at.map((time) => exited(time, 1)),
    fc.tuple(at, fc.boolean()).map(([time, isOutOfMemory]) => killed(time, { isOutOfMemory })),
    at.map((time) => cancel(time)),
    at.map(deadline),
    at.map(idle),
    at.map(outputLimit),
    fc.tuple(at, survivors).map(([time, left]) => treeDead(time, left)),
    fc.constantFrom(
      slotFree,
      turnStarted,
      graceOver,
      logsRead,
      stderrSaid('auth_invalid'),
      stderrSaid('resume_not_found'),
    ),
  );
  const noise = fc.oneof({ weight: 6, arbitrary: fc.constant([]) }, fc.array(anEvent, { maxLength: 3 }));
  const refusal = credentialFailed(120);
  const cause = fc.constantFrom(exited(120), cancel(120), deadline(), idle(120), held(120), refusal, refusal, refusal);
  const anAttempt = fc
    .tuple(cause, survivors)
    .map(([end, left]) => [prepared(), launched(), end, logsRead, treeDead(130, left), credentialReady(135)]);
  /** Noise alone seldom gets far, so most of it is strewn into whole lives. */
  const someEvents = fc.oneof(
    fc.array(anEvent, { maxLength: 40 }),
    fc.array(anAttempt, { minLength: 1, maxLength: 4 }).chain((attempts) => {
      const life = [slotFree, ...attempts.flat(), ...TO_THE_END];
      return fc
        .array(noise, { minLength: life.length, maxLength: life.length })
        .map((strewn) => life.flatMap((event, index) => [...(strewn[index] ?? []), event]));
    }),
  );

  /** Every state passed through, with the event that led to it and what it had done. */
  function lifeOf(events: LifecycleEvent[], first: Lifecycle) {
    let state = first;
    return events.map((event) => {
      const before = state;
      const { state: after, effects } = step(before, event);
      state = after;
      return { event, before, after, effects };
    });
  }

  const check = (property: (life: ReturnType<typeof lifeOf>) => void) => {
    const start = fc.constantFrom('queued' as const, 'preparing' as const);
    fc.assert(
      fc.property(someEvents, limits, start, (events, bounds, phase) => {
        property(lifeOf(events, newLifecycle(bounds, phase)));
      }),
      { numRuns: NUM_RUNS },
    );
  };

  it('I1: whatever is done comes in its order, and no process is started before the tree of the last one is dead', () => {
    const letters: Partial<Record<Effect['do'], string>> = {
      prepare: 'p',
      spawn: 's',
      announce_running: 'r',
      read_logs: 'l',
      kill: 'k',
      await_credential: 'a',
      announce_ending: 'E',
      announce_outcome: 'O',
    };
    /** Attempts that were followed by another; then the end of the last one, or as much of it as there was. */
    const life = /^p?(srlka?p)*((|s|srlka?)(EO)?|sr|srl|srlEkO?)$/;
    check((moments) => {
      const done = names(moments.flatMap(({ effects }) => effects)).map((name) => letters[name] ?? '');
      expect(done.join('')).toMatch(life);
    });
  });

  it('I1: no process is started unless nothing of the last one is known to survive', () => {
    check((life) => {
      let isClear = true;
      for (const { event, before, effects } of life) {
        const hasBeenKilled = before.phase === 'suspending' || before.phase === 'killing';
        if (event.type === 'tree_dead' && hasBeenKilled) isClear = event.survivors === 0;
        if (!names(effects).includes('spawn')) continue;
        expect(isClear).toBe(true);
        isClear = false;
      }
    });
  });

  it('no further attempt is begun when its time is up, whether or not a timer was heard of', () => {
    check((life) => {
      for (const { event, before, after } of life) {
        if (after.attempt === before.attempt || !('at' in event)) continue;
        expect(event.at).toBeLessThan((before.startedAt ?? 0) + before.limits.timeoutMs);
        expect(event.at).toBeLessThan(before.hold?.until ?? Infinity);
      }
    });
  });

  it('the phases come in their order, and the outcome is announced exactly when it ends', () => {
    const order = [...PHASES.slice(0, 5), ...BETWEEN_ATTEMPTS, ...PHASES.slice(5)];
    check((life) => {
      for (const { before, after, effects } of life) {
        expect(after.attempt - before.attempt).toBe(
          before.phase === 'waiting' || before.phase === 'suspending' ? Number(after.phase === 'preparing') : 0,
        );
        if (after.attempt === before.attempt) {
          expect(order.indexOf(after.phase)).toBeGreaterThanOrEqual(order.indexOf(before.phase));
        }
        const hasEnded = before.phase !== 'ended' && after.phase === 'ended';
        expect(names(effects).includes('announce_outcome')).toBe(hasEnded);
      }
    });
  });

  it('a run has at most as many further attempts as it may, and one more for each session that was not found', () => {
    check((life) => {
      const last = life.at(-1)?.after;
      if (last === undefined) return;
      const {
        limits: { maxResumes, onCredentialFailure },
        resumesLeft,
        attempt,
      } = last;
      expect(resumesLeft).toBeGreaterThanOrEqual(onCredentialFailure === 'resume' ? 0 : maxResumes);
      expect(attempt).toBeLessThanOrEqual(1 + 2 * (maxResumes - resumesLeft));
    });
  });

  it('all holds together take no longer than they may', () => {
    check((life) => {
      for (const { after } of life) {
        expect(heldUntil(after, Infinity)).toBeLessThanOrEqual(after.limits.holdTimeoutMs);
      }
    });
  });

  it('startedAt is that of the first attempt', () => {
    check((life) => {
      for (const { before, after } of life)
        if (before.startedAt !== null) expect(after.startedAt).toBe(before.startedAt);
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
        const {
          phase: _phase,
          since: _since,
          endedAt: _endedAt,
          survivors: _survivors,
          exit: _exit,
          ...decided
        } = after;
        expect(before).toMatchObject(decided);
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
      expect(last.verdict.at).toBeLessThanOrEqual(last.startedAt + last.limits.timeoutMs);
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
      for (const { event, before, after } of life) {
        if (before.verdict !== null || after.verdict?.reason !== 'deadline') continue;
        if (after.observations.some(({ kind }) => kind === 'hard_timeout')) continue;
        const causes = after.observations.map((observation) => observation.at);
        if ('at' in event) causes.push(event.at);
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
      const hasFailed = life.some(
        ({ event }) => event.type === 'exited' && event.exit.signal === null && event.exit.code !== 0,
      );
      expect(hasSaidSo || hasFailed).toBe(true);
    });
  });
});

/** Of one set of events, in two orders. */
const shuffled = (events: fc.Arbitrary<LifecycleEvent[]>) =>
  events.chain((set) => {
    const order = fc.shuffledSubarray(set, { minLength: set.length, maxLength: set.length });
    return fc.tuple(order, order);
  });

describe('I7: the order in which things are heard of does not matter', () => {
  const time = fc.integer({ min: 11, max: 300 });
  const anExit = fc.oneof(
    time.map((ms) => exited(ms)),
    time.map((ms) => exited(ms, 1)),
    time.map((ms) => killed(ms)),
  );
  const aResult = fc.oneof(
    time.map(result),
    time.map((ms) => badResult(ms)),
    time.map((ms) => badResult(ms, 'rate_limited')),
  );
  const cause = fc.oneof(
    time.map((ms) => cancel(ms)),
    time.map((ms) => cancel(ms, 'drained')),
    time.map(idle),
    time.map(outputLimit),
    time.map(bypassed),
    time.map((ms) => credentialFailed(ms)),
    fc.constant(deadline()),
    // Held from 10 on, it would have to be released before 110.
    fc.constant(holdTimeout(110)),
    fc.integer({ min: 110, max: 300 }).map(released),
  );
  const anEnd = fc
    .tuple(fc.option(anExit), fc.option(aResult), fc.array(cause, { maxLength: 5 }))
    .map(([exit, said, causes]) => [exit, said, ...causes].filter((event) => event !== null));
  const start = fc.constantFrom<LifecycleEvent[]>([], [held(10)], [held(10, 'credential_missing')]);

  it('for what ends a run', () => {
    fc.assert(
      fc.property(shuffled(anEnd), start, policy, ([one, other], before, onCredentialFailure) => {
        const bounds = { ...RESUME_LIMITS, timeoutMs: 200, onCredentialFailure };
        // Nothing ends a run of which nothing is heard.
        const told = (order: LifecycleEvent[]) =>
          tellRunningWith(bounds, ...before, ...order, exited(301, 1), logsRead).state;
        const [a, b] = [told(one), told(other)];
        expect({ verdict: a.verdict, phase: a.phase, hold: a.hold }).toEqual({
          verdict: b.verdict,
          phase: b.phase,
          hold: b.hold,
        });
      }),
      { numRuns: NUM_RUNS },
    );
  });

  it('for what ends a run that is about to go on', () => {
    const between = fc.oneof(
      time.map((ms) => cancel(ms)),
      fc.constant(deadline()),
      fc.constant(holdTimeout(110)),
    );
    fc.assert(
      fc.property(shuffled(fc.array(between, { minLength: 1, maxLength: 5 })), ([one, other]) => {
        const told = (order: LifecycleEvent[]) =>
          tellRunningWith({ ...RESUME_LIMITS, timeoutMs: 200 }, credentialFailed(10), logsRead, ...order, treeDead(301))
            .state;
        expect(told(one).verdict).not.toBeNull();
        expect(told(one).verdict).toEqual(told(other).verdict);
      }),
      { numRuns: NUM_RUNS },
    );
  });
});

describe('for any world in which everything that is asked for is done, and every timer fires', () => {
  const delay = fc.integer({ min: 0, max: 30 });
  const deed = fc.record<Deed>({
    afterMs: at,
    attempt: fc.integer({ min: 1, max: 4 }),
    event: fc.constantFrom<Deed['event'][]>(
      result,
      badResult,
      (ms) => badResult(ms, 'rate_limited'),
      (ms) => credentialFailed(ms),
      (ms) => held(ms),
      (ms) => held(ms, 'credential_missing'),
      released,
      (ms) => exited(ms),
      (ms) => exited(ms, 1),
      idle,
      outputLimit,
      bypassed,
      (ms) => tasks(ms, 1),
      (ms) => tasks(ms, 0),
      () => turnStarted,
    ),
  });
  const world: fc.Arbitrary<World> = fc.record({
    limits,
    deeds: fc.array(deed, { maxLength: 12 }),
    cancels: fc.oneof(fc.constant([]), fc.array(fc.integer({ min: 0, max: 1200 }), { maxLength: 2 })),
    delaysMs: fc.array(delay, { minLength: 1, maxLength: 8 }),
    credentialsMs: fc.array(fc.option(fc.nat({ max: 120 })), { minLength: 1, maxLength: 4 }),
    survivors: fc.array(survivors, { minLength: 1, maxLength: 4 }),
    stderr: fc.array(fc.constantFrom(null, null, 'resume_not_found' as const, 'auth_invalid' as const), {
      minLength: 1,
      maxLength: 4,
    }),
  });
  const crashes = fc.array(
    fc.record({ atMs: fc.integer({ min: 0, max: 400 }), downMs: fc.integer({ min: 0, max: 300 }) }),
    { minLength: 1, maxLength: 3 },
  );
  const check = (
    property: (life: Moment[], last: Moment & { verdict: Verdict }, world: World) => void,
    worlds = world,
  ) => {
    fc.assert(
      fc.property(worlds, (one) => {
        const life = live(one);
        const last = life.at(-1);
        const verdict = last?.after.verdict;
        if (last === undefined || verdict == null) throw new Error('it ended without a verdict');
        property(life, { ...last, verdict }, one);
      }),
      { numRuns: NUM_RUNS },
    );
  };

  it('I3: a life ends, and soon after its deadline at the latest', () => {
    check((_life, { nowMs, after }, { delaysMs, limits: { timeoutMs } }) => {
      expect(after.phase).toBe('ended');
      // A timer, the last things that were under way, the logs and the kill.
      const late = 8 * (Math.max(...delaysMs) + 1);
      expect(nowMs).toBeLessThanOrEqual((after.startedAt ?? 0) + timeoutMs + late);
    });
  });

  it('nothing that is still to come decides', () => {
    check((_life, { nowMs, verdict }) => {
      expect(verdict.at).toBeLessThanOrEqual(nowMs);
    });
  });

  it('I2: the first verdict is the last one', () => {
    check((life, { verdict }) => {
      expect(life.find(({ after }) => after.verdict !== null)?.after.verdict).toBe(verdict);
    });
  });

  it('others are told of every state, and what is waited for where it is one of waiting', () => {
    check((life) => {
      for (const { before, after, effects } of life) {
        const isTold = names(effects).some((name) => name.startsWith('announce_'));
        if (stateOf(before) !== stateOf(after)) expect(isTold, `${stateOf(before)}, ${stateOf(after)}`).toBe(true);
        expect(stateOf(after) === 'held').toBe(after.hold !== null && after.verdict === null);
      }
    });
  });

  describe('whose sidecar is killed, and started again (R1, R2)', () => {
    const worlds = fc.tuple(world, crashes).map(([one, some]) => ({ ...one, crashes: some }));
    const checkCrashed = (property: Parameters<typeof check>[0]) => check(property, worlds);

    it('I1, I3: a life ends, soon after its deadline or the last start, and no attempt has two processes', () => {
      checkCrashed((life, { nowMs, after }, { delaysMs, limits: { timeoutMs } }) => {
        expect(after.phase).toBe('ended');
        const lastStart = life.findLast(({ boot }, index) => boot !== (life[index - 1]?.boot ?? 0))?.nowMs ?? 0;
        const late = 16 * (Math.max(...delaysMs) + 1);
        const due = Math.max(lastStart, (after.startedAt ?? lastStart) + timeoutMs, (after.startedAt ?? 0) + timeoutMs);
        expect(nowMs).toBeLessThanOrEqual(due + late);
      });
    });

    it('I2: a verdict that was told is never taken back', () => {
      checkCrashed((life, { verdict }) => {
        const first = life.find(({ after }) => after.phase === 'killing' && after.verdict !== null)?.after.verdict;
        if (first != null) expect(verdict).toEqual(first);
      });
    });

    it('I7: a cancel that was taken is not forgotten', () => {
      checkCrashed((life, { verdict }) => {
        const cancelled = life.find(({ event, before }) => event.type === 'cancel' && before.verdict === null);
        if (cancelled?.event.type === 'cancel') expect(verdict.at).toBeLessThanOrEqual(cancelled.event.at);
      });
    });

    it('the deadline is that of the first attempt, and nothing decides that is still to come', () => {
      checkCrashed((_life, { nowMs, after, verdict }, { limits: { timeoutMs } }) => {
        expect(verdict.at).toBeLessThanOrEqual(nowMs);
        if (after.startedAt !== null) expect(verdict.at).toBeLessThanOrEqual(after.startedAt + timeoutMs);
      });
    });

    it('all holds together take no longer than they may, and no more attempts are made than may be', () => {
      checkCrashed((life) => {
        for (const { after } of life) {
          expect(heldUntil(after, Infinity)).toBeLessThanOrEqual(after.limits.holdTimeoutMs);
          expect(after.resumesLeft).toBeGreaterThanOrEqual(0);
        }
      });
    });
  });
});
