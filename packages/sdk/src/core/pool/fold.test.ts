import { describe, expect, it } from 'vitest';
import { foldPool, needsConfirmation } from './fold.js';
import { EMPTY_POOL, type PoolEvent, type PoolPolicy, type PoolState } from './state.js';

const POLICY: PoolPolicy = { coolingMs: 300, switchAtUtilization: null };
const NOW = 1000;

const put = (id: string, rest: Partial<PoolEvent & { is: 'put' }> = {}): PoolEvent => ({
  ...{ is: 'put', id, kind: 'oauth', fingerprint: `of-${id}` },
  ...rest,
});
const has = (agentId: string, generation: number | null, credentialId: string | null, journalId = 'j'): PoolEvent => ({
  ...{ is: 'agent', agentId, journalId, generation, credentialId },
  ...(credentialId !== null && { fingerprint: `of-${credentialId}` }),
});
/** An agent with a credential of which nobody but the agent knows. */
const unknownOn = (agentId: string): PoolEvent & { is: 'agent' } => ({
  ...{ is: 'agent', agentId, journalId: 'j', generation: 1, credentialId: 'standing' },
});
type Needed = PoolEvent & { is: 'needed' };
const needed = (agentId: string, rest: Partial<Needed> = {}): Needed => ({
  ...{ is: 'needed', agentId, journalId: 'j', generation: 1, credentialId: 'a', reason: 'rate_limited' },
  ...{ message: 'used up', at: NOW, retryAt: NOW + 500, isOfModel: false },
  ...rest,
});
const after = (events: readonly PoolEvent[], { policy = POLICY, nowMs = NOW, pool = EMPTY_POOL } = {}): PoolState =>
  events.reduce((state, event) => foldPool(state, event, nowMs, policy), pool);
const wantedBy = ({ agents }: PoolState) =>
  Object.fromEntries(Object.entries(agents).map(([id, { wanted }]) => [id, wanted?.credentialId]));

describe('the pool of credentials', () => {
  it('gives an agent that has none the first one, and leaves alone one that has one of which it knows nothing', () => {
    const pool = after([put('a'), has('x', null, null), unknownOn('y')]);
    expect(wantedBy(pool)).toEqual({ x: 'a', y: undefined });
    expect(pool.agents['x']?.wanted).toEqual({ credentialId: 'a', replaces: null, why: 'credential_missing' });
  });

  it('spreads agents that lose theirs at once over what is left, and keeps the evidence (C3)', () => {
    const agents = Array.from({ length: 9 }, (_, n) => `agent-${n}`);
    const pool = after([
      ...['a', 'b', 'c', 'd'].map((id) => put(id)),
      ...agents.map((id) => has(id, 1, 'a')),
      ...agents.map((id) => needed(id)),
    ]);
    const given = Object.values(wantedBy(pool));
    for (const id of ['b', 'c', 'd']) expect(given.filter((each) => each === id)).toHaveLength(3);
    expect(pool.credentials['a']?.fault).toMatchObject({ reason: 'rate_limited', until: NOW + 500 });
    expect(pool.exhausted).toBeNull();
  });

  it('is the same however often, and by however many hosts, the same is reported', () => {
    const once = after([put('a'), put('b'), put('c'), has('x', 1, 'a'), needed('x')]);
    expect(after([needed('x'), put('b'), has('x', 1, 'a'), needed('x')], { pool: once })).toBe(once);
  });

  it('switches nothing for a refusal of a generation that is not in force any more (C4)', () => {
    const pool = after([put('a'), put('b'), has('x', 2, 'b')]);
    const late = foldPool(pool, needed('x', { generation: 1 }), NOW, POLICY);
    expect(wantedBy(late)).toEqual({ x: undefined });
    expect(foldPool(pool, has('x', 1, 'a'), NOW, POLICY)).toBe(pool);
  });

  it('takes the generations of another journal as they come, though they are lower', () => {
    const pool = after([put('a'), put('b'), has('x', 7, 'b'), has('x', 1, 'a', 'another')]);
    expect(pool.agents['x']).toMatchObject({ generation: 1, credentialId: 'a', journalId: 'another' });
    expect(wantedBy(after([needed('x', { journalId: 'another' })], { pool }))).toEqual({ x: 'b' });
  });

  it('says once that all are exhausted, with the earliest reset, and sends no agent to and fro (C5)', () => {
    const pool = after([
      ...[put('a'), put('b'), has('x', 1, 'a'), has('y', 1, 'b')],
      needed('x', { retryAt: NOW + 900 }),
      needed('y', { credentialId: 'b', retryAt: NOW + 500 }),
      needed('x', { generation: 1, retryAt: NOW + 900 }),
    ]);
    expect(pool.exhausted).toEqual({ since: NOW, until: NOW + 500 });
    // What x was promised before b was used up is taken back.
    expect(wantedBy(pool)).toEqual({ x: undefined, y: undefined });
    for (const id of ['a', 'b']) expect(pool.credentials[id]?.fault).toMatchObject({ reason: 'rate_limited' });

    const later = after([{ is: 'tick' }], { pool, nowMs: NOW + 500 });
    expect(wantedBy(later)).toEqual({ x: 'b', y: undefined });
    expect(later.exhausted).toBeNull();
  });

  it('gives what waits a credential that is put later', () => {
    const waiting = after([put('a'), has('x', 1, 'a'), needed('x')]);
    expect(wantedBy(waiting)).toEqual({ x: undefined });
    expect(waiting.exhausted).not.toBeNull();
    const pool = after([put('b')], { pool: waiting });
    expect(wantedBy(pool)).toEqual({ x: 'b' });
    expect(pool.exhausted).toBeNull();
  });

  it('gives a new secret of the same name to those that have the old one, and forgets what was held against that', () => {
    const refused = after([put('a'), has('x', 1, 'a'), needed('x', { reason: 'auth_expired', retryAt: undefined })]);
    expect(refused.credentials['a']?.fault).toMatchObject({ until: null });
    const pool = after([put('a', { fingerprint: 'new' })], { pool: refused });
    expect(pool.credentials['a']?.fault).toBeNull();
    expect(wantedBy(pool)).toEqual({ x: 'a' });
    expect(after([put('a')], { pool: refused })).toBe(refused);
  });

  it('condemns no credential for the limit of one model, and gives the agent one that is good for it (C21)', () => {
    const limit = needed('x', { isOfModel: true, model: 'opus' });
    const pool = after([put('a'), put('b'), has('x', 1, 'a'), limit]);
    expect(pool.credentials['a']).toMatchObject({ fault: null, models: { opus: NOW + 500 } });
    expect(wantedBy(pool)).toEqual({ x: 'b' });
    const next = after([has('y', null, null)], { pool: after([has('x', 2, 'b')], { pool }) });
    expect(wantedBy(next)).toEqual({ x: undefined, y: 'a' });
  });

  it('has an unnamed refusal confirmed before it condemns a credential, and another one given either way', () => {
    const pool = after([put('a'), put('b'), has('x', 1, 'a')]);
    const unnamed = needed('x', { reason: 'auth_invalid', retryAt: undefined });
    expect(needsConfirmation(pool, unnamed)).toBe(true);
    expect(needsConfirmation(pool, needed('x', { reason: 'auth_expired' }))).toBe(false);
    for (const [confirmed, reason] of [
      ['refused', 'auth_invalid'],
      ['good', undefined],
      ['unknown', undefined],
    ] as const) {
      const told = after([{ ...unnamed, confirmed }], { pool });
      expect(told.credentials['a']?.fault?.reason).toBe(reason);
      expect(wantedBy(told)).toEqual({ x: 'b' });
      expect(needsConfirmation(told, { ...unnamed, confirmed })).toBe(false);
    }
  });

  it('leaves a pinned agent alone, keeps what is said against its credential, and gives it another once it is unpinned', () => {
    const pinned = after([
      put('a'),
      put('b'),
      has('x', 1, 'a'),
      { is: 'pinned', agentId: 'x', isPinned: true },
      needed('x'),
    ]);
    expect(wantedBy(pinned)).toEqual({ x: undefined });
    expect(pinned.credentials['a']?.fault).not.toBeNull();
    const free = after([{ is: 'pinned', agentId: 'x', isPinned: false }], { pool: pinned });
    expect(wantedBy(free)).toEqual({ x: 'b' });
  });

  it('replaces a credential that is past its end, and one that was taken out', () => {
    const pool = after([put('a', { expiresAt: NOW + 10 }), put('b'), has('x', 1, 'a')]);
    expect(wantedBy(pool)).toEqual({ x: undefined });
    expect(wantedBy(after([{ is: 'tick' }], { pool, nowMs: NOW + 10 }))).toEqual({ x: 'b' });
    expect(wantedBy(after([{ is: 'removed', id: 'a' }], { pool }))).toEqual({ x: 'b' });
  });

  it('prefers what is less used, then what lasts longer', () => {
    const used = (credentialId: string, utilization: number, resetsAt?: number): PoolEvent => ({
      ...{ is: 'limits', credentialId },
      windows: { '5h': { utilization, resetsAt } },
    });
    const some = [put('a'), put('b'), put('c', { expiresAt: NOW + 10_000_000 })];
    const given = (events: PoolEvent[]) => wantedBy(after([...some, ...events, has('x', null, null)]))['x'];
    expect(given([used('a', 0.5), used('b', 0.2)])).toBe('c');
    expect(given([used('a', 0.5), used('b', 0.2), used('c', 0.4)])).toBe('b');
    expect(given([used('a', 0.9, NOW), used('b', 0.2), used('c', 0.4)])).toBe('a');
    expect(given([used('a', 0.1)])).toBe('b');
  });

  it('switches ahead of a limit where that is asked for, and only to one that is clearly less used', () => {
    const policy = { ...POLICY, switchAtUtilization: 0.9 };
    const used = (credentialId: string, utilization: number): PoolEvent => ({
      ...{ is: 'limits', credentialId },
      windows: { '5h': { utilization } },
    });
    const events = [put('a'), put('b'), has('x', 1, 'a'), used('a', 0.92)];
    expect(wantedBy(after(events, { policy }))).toEqual({ x: 'b' });
    expect(wantedBy(after(events))).toEqual({ x: undefined });
    expect(wantedBy(after([...events.slice(0, 3), used('b', 0.85), used('a', 0.92)], { policy }))).toEqual({
      x: undefined,
    });
    expect(after([...events.slice(0, 3), used('b', 0.85), used('a', 0.92)], { policy }).exhausted).toBeNull();
  });

  it('takes another one when what it wanted to give turns out to be what the agent has', () => {
    const pool = after([put('a'), put('b'), unknownOn('x'), needed('x', { credentialId: 'standing' })]);
    expect(wantedBy(pool)).toEqual({ x: 'a' });
    expect(wantedBy(after([{ ...unknownOn('x'), fingerprint: 'of-a' }], { pool }))).toEqual({ x: 'b' });
  });

  it('knows by what is in force that an agent has what it was to have, though the answer to the swap was lost', () => {
    const answer = { ...unknownOn('x'), credentialId: 'a' };
    const pool = after([put('a'), has('x', null, null), answer]);
    expect(pool.agents['x']).toMatchObject({ generation: 1, fingerprint: 'of-a' });
    expect(wantedBy(after([put('a', { fingerprint: 'new' })], { pool }))).toEqual({ x: 'a' });
  });

  it('forgets an agent that is gone for good', () => {
    expect(after([put('a'), has('x', 1, 'a'), { is: 'gone', agentId: 'x' }]).agents).toEqual({});
  });
});
