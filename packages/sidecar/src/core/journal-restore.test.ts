import { describe, expect, it } from 'vitest';
import {
  adopted,
  cancel,
  credentialReady,
  HOLD_LIMITS,
  launched,
  LIMITS,
  logsRead,
  names,
  neverStarted,
  queueTimeout,
  refusalFor,
  RESUME_LIMITS,
  slotFree,
  tell,
  treeDead,
} from '../testing/lives.js';
import { accepted, VERDICT } from '../testing/journal-records.js';
import { foldJournal } from './journal-fold.js';
import { restoreLife } from './journal-restore.js';
import { type JournalRecord } from './journal-state.js';
import { type LifecycleLimits, stateOf } from './lifecycle-state.js';

const start = { marks: {}, placeholderHash: null, gatewayPort: null, settings: null };
const starting = (attempt = 1, session: 'start' | 'resume' = 'start') =>
  ({ is: 'starting', id: 'a', attempt, session, sessionId: 's', start }) as const;
const launchedAt = (at: number, attempt = 1) =>
  ({ is: 'launched', id: 'a', attempt, at, pid: 1, startTime: '1' }) as const;
const cancelledAt = (at: number) => ({ is: 'cancelled', id: 'a', at, reason: 'requested' }) as const;
const hold = { since: 20, until: 120, refusal: refusalFor('auth_expired', 3) };
const suspended = (more: Partial<Extract<JournalRecord, { is: 'suspended' }>> = {}) =>
  ({
    is: 'suspended',
    id: 'a',
    next: 'resume',
    failure: { kind: 'failed', reason: 'auth_expired', at: 20 },
    resumesLeft: 2,
    hold,
    heldMs: 0,
    ends: [],
    ...more,
  }) as const;

interface Beginning {
  readonly nowMs?: number;
  readonly limits?: LifecycleLimits;
  readonly isQueued?: boolean;
  readonly refused?: 'at_capacity';
}

/** Accepted at 0, and waits for a slot until 100. */
function restore(records: JournalRecord[], { nowMs = 50, limits = LIMITS, ...beginning }: Beginning = {}) {
  const begin = { ...accepted('a'), acceptedAtMs: 0, ...beginning };
  const execution = foldJournal([begin, ...records]).executions.get('a');
  if (execution === undefined) throw new Error('it is not known');
  return restoreLife(execution, { limits, queueTimeoutMs: 100, nowMs });
}

describe('what was accepted and never started', () => {
  it('waits for a slot again, and is prepared when its turn comes', () => {
    const { state, effects } = restore([], { isQueued: true });
    expect([state.phase, effects]).toEqual(['queued', []]);
    expect(tell([slotFree], state).effects).toEqual([{ do: 'prepare' }]);
    expect(tell([queueTimeout(40)], state).state.verdict).toMatchObject({ reason: 'queue', at: 40 });
  });

  it('does not, where its time was over meanwhile (I7)', () => {
    const { state, effects } = restore([], { isQueued: true, nowMs: 100 });
    expect(state).toMatchObject({ phase: 'ended', verdict: { status: 'timed_out', reason: 'queue', at: 100 } });
    expect(names(effects)).toEqual(['announce_ending', 'announce_outcome']);
  });

  it('is not started where it was refused (D1)', () => {
    const { state, effects } = restore([], { refused: 'at_capacity' });
    expect(state).toMatchObject({ phase: 'ended', verdict: { status: 'skipped', reason: 'at_capacity', at: 0 } });
    expect(names(effects)).toEqual(['announce_ending', 'announce_outcome']);
  });

  it('is prepared at once where it had a slot', () => {
    expect(restore([])).toMatchObject({ state: { phase: 'preparing' }, effects: [{ do: 'prepare' }] });
  });

  it.each([true, false])('ends cancelled where it was, with nothing started (queued: %s)', (isQueued) => {
    const { state, effects } = restore([cancelledAt(30)], { isQueued });
    expect(state).toMatchObject({ phase: 'ended', verdict: { reason: 'requested', at: 30 }, survivors: 0 });
    expect(names(effects)).toEqual(['announce_ending', 'announce_outcome']);
  });
});

describe('what was about to be started', () => {
  it('is looked for, and started where it never was', () => {
    const { state, effects } = restore([starting()]);
    expect([state.phase, effects]).toEqual(['spawning', [{ do: 'adopt' }]]);
    expect(tell([neverStarted(60)], state)).toMatchObject({
      state: { phase: 'preparing', attempt: 1 },
      effects: [{ do: 'prepare' }],
    });
  });

  it('is not started where it was cancelled meanwhile (O9)', () => {
    const { state, effects } = tell([neverStarted(60)], restore([starting(), cancelledAt(30)]).state);
    expect(state).toMatchObject({ phase: 'ended', verdict: { reason: 'requested', at: 30 } });
    expect(names(effects)).not.toContain('prepare');
  });

  it('and the cancel of one that is found ends it', () => {
    const { state, effects } = tell([launched(10)], restore([starting(), cancelledAt(30)]).state);
    expect([state.phase, names(effects)]).toEqual(['closing', ['announce_running', 'set_deadline', 'read_logs']]);
  });
});

describe('what ran', () => {
  it('goes on with its deadline, that of the first process', () => {
    const records = [starting(), launchedAt(10), suspended(), starting(2, 'resume'), launchedAt(40, 2)];
    const { state, effects } = tell([launched(40)], restore(records, { limits: RESUME_LIMITS }).state);
    expect(state).toMatchObject({ phase: 'running', startedAt: 10, attempt: 2, session: 'resume' });
    expect(effects).toContainEqual({ do: 'set_deadline', at: 510 });
  });

  it('has as many further attempts left as it had, and each that goes on with the session costs one', () => {
    const resumed = [starting(), launchedAt(10), suspended(), starting(2, 'resume')];
    expect(restore(resumed, { limits: RESUME_LIMITS }).state).toMatchObject({ resumesLeft: 1, isAttemptDue: true });
    const afresh = [starting(), launchedAt(10), suspended({ next: 'start' }), starting(2), launchedAt(40, 2)];
    expect(restore(afresh, { limits: RESUME_LIMITS }).state).toMatchObject({ resumesLeft: 2, isAttemptDue: false });
    expect(restore([starting(), launchedAt(10)], { limits: RESUME_LIMITS }).state.resumesLeft).toBe(2);
  });

  it('is not held until its request comes again, and its budget is spent by what it waited', () => {
    const held = [starting(), launchedAt(10), { is: 'held', id: 'a', heldMs: 7, hold } as const];
    const { state } = tell([launched(10)], restore(held, { limits: HOLD_LIMITS, nowMs: 50 }).state);
    expect([stateOf(state), state.hold, state.heldMs]).toEqual(['running', null, 37]);
    // Others were told that it is held, at 20; what they are told now has to be news.
    expect(state.since).toBe(50);
  });

  it('has failed where the hold ran out while nobody could release it', () => {
    const held = [starting(), launchedAt(10), { is: 'held', id: 'a', heldMs: 0, hold } as const];
    const restored = restore(held, { limits: HOLD_LIMITS, nowMs: 300 });
    const { state } = tell([launched(10), logsRead], restored.state);
    expect(state).toMatchObject({ phase: 'killing', verdict: { reason: 'auth_expired', at: 120 } });
    expect(state.refusal).toEqual(hold.refusal);
  });
});

describe('what was between two attempts', () => {
  const records = [starting(), launchedAt(10), suspended()];

  it('is killed again, then waits for a credential with its clocks running', () => {
    const { state, effects } = restore(records, { limits: RESUME_LIMITS });
    expect(stateOf(state)).toBe('held');
    expect(effects).toEqual([{ do: 'set_deadline', at: 510 }, { do: 'set_hold', at: 120 }, { do: 'adopt' }]);
    const waiting = tell([adopted(60), treeDead(61)], state);
    expect(waiting.effects).toEqual([
      { do: 'kill', graceMs: 0 },
      { do: 'await_credential', refusal: hold.refusal },
    ]);
    expect(tell([credentialReady(70)], waiting.state).state).toMatchObject({
      phase: 'preparing',
      attempt: 2,
      session: 'resume',
      heldMs: 50,
      resumesLeft: 1,
    });
  });

  it('has failed of what the attempt failed of where something survives (I1)', () => {
    const { state } = tell([adopted(60), treeDead(61, 1)], restore(records, { limits: RESUME_LIMITS }).state);
    expect(state).toMatchObject({ phase: 'ended', verdict: { reason: 'auth_expired', at: 20 }, survivors: 1 });
  });

  it('goes on at once where it waits for nothing', () => {
    const again = [starting(), launchedAt(10), suspended({ hold: null, next: 'start' })];
    const { state, effects } = restore(again);
    expect(effects).toEqual([{ do: 'set_deadline', at: 210 }, { do: 'adopt' }]);
    expect(names(tell([adopted(60), treeDead(61)], state).effects)).toContain('prepare');
  });
});

describe('what was decided', () => {
  const decided = (verdict: object) =>
    ({ is: 'decided', id: 'a', verdict: { ...VERDICT, ...verdict }, refusal: null, ends: [] }) as const;
  const killOf = (verdict: object, adoptedAt: number) => {
    const { state, effects } = restore([starting(), launchedAt(10), decided(verdict)]);
    expect([state.phase, effects]).toEqual(['killing', [{ do: 'adopt' }]]);
    return tell([adopted(adoptedAt)], state).effects;
  };

  it('is killed when what is left of its grace is over', () => {
    expect(killOf({ at: 45 }, 55)).toEqual([{ do: 'kill', graceMs: 10 }]);
    expect(killOf({ at: 45 }, 100)).toEqual([{ do: 'kill', graceMs: 0 }]);
    expect(killOf({ status: 'timed_out', reason: 'idle', at: 45 }, 55)).toEqual([{ do: 'kill', graceMs: 10 }]);
  });

  it('had its grace where it has ended by itself', () => {
    expect(killOf({ status: 'succeeded', reason: 'completed', at: 45 }, 50)).toEqual([{ do: 'kill', graceMs: 0 }]);
  });

  it('keeps its verdict, whatever comes to light (I2)', () => {
    const { state } = restore([starting(), launchedAt(10), decided({ at: 45 })]);
    const told = tell([launched(10), cancel(20), adopted(60), treeDead(70)], state);
    expect(told.state).toMatchObject({ phase: 'ended', verdict: { ...VERDICT, at: 45 }, survivors: 0 });
    expect(names(told.effects)).toEqual(['kill', 'announce_outcome']);
  });
});
