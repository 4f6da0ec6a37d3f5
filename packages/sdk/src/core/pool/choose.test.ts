import { describe, expect, it } from 'vitest';
import { chooseCredential, earliestGood, isGood, type Standing, standingOf, utilizationOf } from './choose.js';
import { type PoolAgent, type PoolCredential, type PoolState } from './state.js';

const NOW = 1_000_000_000_000;
const HOUR = 3_600_000;

function credential(change: Partial<PoolCredential> = {}): PoolCredential {
  return { kind: 'oauth', fingerprint: 'f', fault: null, models: {}, windows: {}, ...change };
}
const fault = (until: number | null) => ({
  fault: { reason: 'rate_limited' as const, message: 'used up', at: NOW, agentId: 'x', until },
});
const used = (utilization: number, resetsAt?: number) => ({ utilization, ...(resetsAt !== undefined && { resetsAt }) });

function agent(credentialId: string | null, wanted?: string): PoolAgent {
  const change = wanted === undefined ? {} : { wanted: { credentialId: wanted, replaces: 1, why: 'removed' as const } };
  return { credentialId, generation: 1, journalId: 'j', isPinned: false, ...change };
}
function pool(credentials: Record<string, PoolCredential>, agents: Record<string, PoolAgent> = {}): PoolState {
  return { credentials, agents, exhausted: null };
}

describe('a credential', () => {
  it.each<[string, Partial<PoolCredential>, Standing, boolean]>([
    ['of which nothing is known', {}, { is: 'healthy' }, true],
    ['past its end', { expiresAt: NOW }, { is: 'expired', expiresAt: NOW }, false],
    ['near its end', { expiresAt: NOW + HOUR }, { is: 'expiring', expiresAt: NOW + HOUR }, true],
    ['that lasts', { expiresAt: NOW + HOUR + 1 }, { is: 'healthy' }, true],
    ['that is bad', fault(null), { is: 'invalid' }, false],
    ['that has hit a limit', fault(NOW + 1), { is: 'cooling', until: NOW + 1 }, false],
    ['whose limit has begun anew', fault(NOW), { is: 'healthy' }, true],
    [
      'past its end with a limit',
      { ...fault(NOW + 1), expiresAt: NOW - 1 },
      { is: 'expired', expiresAt: NOW - 1 },
      false,
    ],
  ])('%s stands so', (_, change, standing, good) => {
    expect(standingOf(credential(change), NOW)).toEqual(standing);
    expect(isGood(credential(change), undefined, NOW)).toBe(good);
  });

  it('that is used up for a model is good for others, and for that one from its reset on', () => {
    const limited = credential({ models: { opus: NOW + 1 } });
    expect(isGood(limited, 'opus', NOW)).toBe(false);
    expect(isGood(limited, 'opus', NOW + 1)).toBe(true);
    expect(isGood(limited, 'sonnet', NOW)).toBe(true);
    expect(isGood(limited, undefined, NOW)).toBe(true);
  });

  it('is used as much as the limit of it that is used most, while that lasts', () => {
    const windows = { '5h': used(0.9, NOW), '7d': used(0.4, NOW + 1), other: used(0.2) };
    expect(utilizationOf(credential({ windows }), NOW)).toBe(0.4);
    expect(utilizationOf(credential({ windows }), NOW - 1)).toBe(0.9);
    expect(utilizationOf(credential({ windows }), NOW + 1)).toBe(0.2);
    expect(utilizationOf(credential(), NOW)).toBe(0);
  });
});

describe('the credential for an agent', () => {
  const choose = (state: PoolState, wish: object = {}) => chooseCredential(state, { agentId: 'me', ...wish }, NOW);

  it('is the one with the fewest other agents, counting what they are about to have', () => {
    const credentials = { a: credential(), b: credential(), c: credential() };
    expect(choose(pool(credentials, { x: agent('a'), y: agent('b'), z: agent('b', 'c'), none: agent(null) }))).toBe(
      'a',
    );
    expect(choose(pool(credentials, { x: agent('a'), y: agent('a', 'b'), z: agent('c'), w: agent('a') }))).toBe('b');
    // What it has itself does not count.
    expect(choose(pool({ a: credential(), b: credential() }, { me: agent('a'), x: agent('b'), y: agent('b') }))).toBe(
      'a',
    );
  });

  it('is the least used of those, then the one that lasts longest, then the first by name', () => {
    const full = credential({ windows: { w: used(0.5) } });
    expect(choose(pool({ a: full, b: credential() }))).toBe('b');
    const ends = (at: number) => credential({ expiresAt: NOW + at * HOUR });
    expect(choose(pool({ a: ends(2), b: ends(4), c: ends(3) }))).toBe('b');
    expect(choose(pool({ a: ends(2), b: credential() }))).toBe('b');
    expect(choose(pool({ b: credential(), a: ends(2) }))).toBe('b');
    expect(choose(pool({ b: credential(), c: credential(), a: credential() }))).toBe('a');
  });

  it('is none that is bad, that will not do, or that is used too much', () => {
    expect(choose(pool({ a: credential(fault(null)), b: credential({ fingerprint: 'g' }) }))).toBe('b');
    expect(choose(pool({ a: credential() }), { not: 'f' })).toBeNull();
    const half = pool({ a: credential({ windows: { w: used(0.5) } }) });
    expect(choose(half, { utilizationBelow: 0.5 })).toBeNull();
    expect(choose(half, { utilizationBelow: 0.51 })).toBe('a');
    expect(choose(pool({ a: credential({ models: { opus: NOW + 1 } }) }), { model: 'opus' })).toBeNull();
    expect(choose(pool({}))).toBeNull();
  });
});

describe('the time at which a credential is good again', () => {
  const opus = (until: number) => credential({ models: { opus: until } });

  it.each<[string, Record<string, PoolCredential>, string | undefined, number | null]>([
    ['is the earliest reset', { a: credential(fault(NOW + 5)), b: credential(fault(NOW + 3)) }, undefined, NOW + 3],
    [
      'is never for what is bad or past its end',
      { a: credential(fault(null)), b: credential({ expiresAt: NOW }) },
      'opus',
      null,
    ],
    ['is that of the model asked for', { a: opus(NOW + 4), b: credential(fault(NOW + 5)) }, 'opus', NOW + 4],
    ["is no other model's", { a: opus(NOW + 4) }, 'sonnet', null],
    ['is none where nobody asks for a model', { a: opus(NOW + 4) }, undefined, null],
    ['is none that is over', { a: opus(NOW) }, 'opus', null],
    ["is not the model's of one that is bad", { a: { ...opus(NOW + 4), ...fault(null) } }, 'opus', null],
    ["is not the model's of one past its end", { a: { ...opus(NOW + 4), expiresAt: NOW } }, 'opus', null],
    ['is null where there is none', {}, undefined, null],
  ])('%s', (_, credentials, model, at) => {
    expect(earliestGood(pool(credentials), model, NOW)).toBe(at);
  });
});
