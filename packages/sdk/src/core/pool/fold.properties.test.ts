import fc from 'fast-check';
import { expect, it } from 'vitest';
import { isGood } from './choose.js';
import { foldPool } from './fold.js';
import { EMPTY_POOL, type PoolEvent, type PoolPolicy, type PoolState } from './state.js';

const AGENTS = ['x', 'y', 'z'];
const CREDENTIALS = ['a', 'b', 'c'];
const POLICY: PoolPolicy = { coolingMs: 200, switchAtUtilization: 0.9 };

const agentId = fc.constantFrom(...AGENTS);
const id = fc.constantFrom(...CREDENTIALS);
const fingerprint = fc.constantFrom('1', '2');
const soon = fc.nat(500);

/** What happens next: an event as hosts report it, a need of what an agent has, a swap that is carried out, or time that passes. */
type Happening =
  | { do: 'event'; event: PoolEvent }
  | { do: 'need'; agentId: string; reason: 'rate_limited' | 'auth_expired' | 'billing'; retryInMs: number }
  | { do: 'give'; agentId: string }
  | { do: 'wait'; ms: number };

const happening: fc.Arbitrary<Happening> = fc.oneof(
  fc.record({
    do: fc.constant('event' as const),
    event: fc.oneof(
      fc.record({ is: fc.constant('put' as const), id, kind: fc.constant('oauth' as const), fingerprint }),
      fc.record({
        ...{ is: fc.constant('put' as const), id, kind: fc.constant('oauth' as const), fingerprint },
        expiresAt: fc.nat(5000),
      }),
      fc.record({ is: fc.constant('removed' as const), id }),
      fc.record({ is: fc.constant('pinned' as const), agentId, isPinned: fc.boolean() }),
      fc.record({ is: fc.constant('gone' as const), agentId }),
      fc.record({
        ...{ is: fc.constant('limits' as const), credentialId: id },
        windows: fc.record({ '5h': fc.record({ utilization: fc.double({ min: 0, max: 1, noNaN: true }) }) }),
      }),
      fc.record({
        ...{ is: fc.constant('agent' as const), agentId, journalId: fc.constantFrom('j', 'k') },
        generation: fc.option(fc.nat(9)),
        credentialId: fc.option(id),
      }),
    ),
  }),
  fc.record({
    ...{ do: fc.constant('need' as const), agentId, retryInMs: soon },
    reason: fc.constantFrom('rate_limited' as const, 'auth_expired' as const, 'billing' as const),
  }),
  fc.record({ do: fc.constant('give' as const), agentId }),
  fc.record({ do: fc.constant('wait' as const), ms: soon }),
);

function eventOf(pool: PoolState, step: Happening, nowMs: number): PoolEvent | null {
  if (step.do === 'wait') return { is: 'tick' };
  if (step.do === 'event') return step.event;
  const agent = pool.agents[step.agentId];
  if (agent === undefined) return null;
  const { journalId, generation, credentialId, wanted } = agent;
  if (step.do === 'need') {
    return {
      ...{ is: 'needed', agentId: step.agentId, journalId, generation, credentialId, reason: step.reason },
      ...{ message: '', at: nowMs, retryAt: nowMs + step.retryInMs, isOfModel: false },
    };
  }
  if (wanted === undefined) return null;
  return {
    ...{ is: 'agent', agentId: step.agentId, journalId, generation: (generation ?? 0) + 1 },
    ...{ credentialId: wanted.credentialId, fingerprint: pool.credentials[wanted.credentialId]?.fingerprint ?? '' },
  };
}

it('whatever happens, agents are sent only to good credentials, never to and fro, and the same told twice changes nothing', () => {
  fc.assert(
    fc.property(fc.array(happening, { minLength: 10, maxLength: 60, size: 'max' }), (steps) => {
      let pool = EMPTY_POOL;
      let nowMs = 0;
      for (const step of steps) {
        if (step.do === 'wait') nowMs += step.ms;
        const event = eventOf(pool, step, nowMs);
        if (event === null) continue;
        const before = pool;
        pool = foldPool(pool, event, nowMs, POLICY);
        // Another host tells the same, and time that stands still brings nothing new.
        expect(foldPool(pool, event, nowMs, POLICY)).toEqual(pool);
        expect(foldPool(pool, { is: 'tick' }, nowMs, POLICY)).toBe(pool);
        for (const [name, { wanted, isPinned, fingerprint: has, generation }] of Object.entries(pool.agents)) {
          if (wanted === undefined) continue;
          const chosen = pool.credentials[wanted.credentialId];
          expect(isPinned).toBe(false);
          expect(wanted.replaces).toBe(generation);
          expect(chosen && isGood(chosen, undefined, nowMs)).toBe(true);
          expect(chosen?.fingerprint === has && has !== undefined).toBe(false);
          // A credential with a fault is not gone back to before its time.
          const fault = before.credentials[wanted.credentialId]?.fault;
          const isRenewed = event.is === 'put' && event.id === wanted.credentialId;
          const stands = fault != null && (fault.until === null || fault.until > nowMs);
          if (stands && before.agents[name]?.wanted?.credentialId !== wanted.credentialId) expect(isRenewed).toBe(true);
        }
        for (const [credentialId, { fault, fingerprint: now }] of Object.entries(before.credentials)) {
          const after = pool.credentials[credentialId];
          // Evidence is kept, but for a secret that was replaced or taken out.
          if (fault !== null && after?.fingerprint === now) expect(after.fault).not.toBeNull();
        }
        const lacks = Object.values(pool.agents).some(({ need, wanted, isPinned }) => need && !wanted && !isPinned);
        if (pool.exhausted !== null) expect(lacks).toBe(true);
      }
    }),
    { numRuns: 2000 },
  );
});
