import { randomUUID } from 'node:crypto';
import { type Outcome } from '@outrigger/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { outcomeOf } from './contract-values.js';
import { type Claimant, type Store } from './store.js';

const END = { attempt: 1, stdout: 10, stderr: 0 };
const HOST: Claimant = { holder: 'host-1', ttlMs: 60_000 };
const OTHER: Claimant = { holder: 'host-2', ttlMs: 60_000 };
const AGENT = 'agent-1';

const lost = (executionId: string) => outcomeOf(executionId, { status: 'lost', reason: 'agent_gone' });

/**
 * The suite every store has to pass, to be called at the top level of a test file.
 *
 * @param open gives a store; another one that shares with the first when it is called again with the same name
 */
export function describeStore(name: string, open: (share: string) => Store | Promise<Store>): void {
  describe(name, () => {
    let store: Store;
    beforeAll(async () => {
      store = await open('shared');
    });
    afterAll(() => store.close());

    /** Ids that no other test uses. */
    const ids = (...names: string[]) => names.map((id) => `${id}-${randomUUID()}`);
    const put = (executionId: string, rest: { agentId?: string; limits?: string[]; createdAt?: number } = {}) =>
      store.putExecution({ executionId, agentId: AGENT, createdAt: 1, ...rest }, `dispatch of ${executionId}`);
    const key = (executionId: string) => ({ agentId: AGENT, executionId });
    const record = (outcome: Outcome, { claimant = HOST, fence }: { claimant?: Claimant; fence?: number } = {}) =>
      store.recordOutcome({ agentId: AGENT, outcome, end: END, ...(fence !== undefined && { fence }) }, claimant);
    const expired = async (claimant: Claimant): Promise<Claimant> => {
      await expect.poll(() => performance.now()).toBeGreaterThan(performance.now() + claimant.ttlMs);
      return claimant;
    };

    describe('records', () => {
      it('are given back as they were put; there is none for an unknown id', async () => {
        const [a = '', b = ''] = ids('a', 'b');
        await store.putExecution(
          { executionId: a, agentId: AGENT, createdAt: 1, journalId: 'j', limits: ['fleet'] },
          'd',
        );
        expect(await store.getExecution(a)).toEqual({
          executionId: a,
          agentId: AGENT,
          createdAt: 1,
          journalId: 'j',
          limits: ['fleet'],
        });
        expect(await store.getExecution(b)).toBeUndefined();
      });

      it('of one agent are listed oldest first while they are open', async () => {
        const [a = '', b = '', c = '', d = '', agentId = '', another = ''] = ids(
          'a',
          'b',
          'c',
          'd',
          'agent',
          'another',
        );
        await put(b, { agentId, createdAt: 2 });
        await put(a, { agentId, createdAt: 1 });
        await put(c, { agentId, createdAt: 3 });
        await put(d, { agentId: another });
        await store.recordOutcome({ agentId, outcome: outcomeOf(c), end: END }, HOST);
        const { records, unreadable } = await store.openExecutions(agentId);
        expect(records.map(({ executionId }) => executionId)).toEqual([a, b]);
        expect(unreadable).toEqual([]);
      });

      it('belong to the agent they were put for first', async () => {
        const [a = ''] = ids('a');
        await put(a);
        await expect(put(a, { agentId: 'agent-2' })).rejects.toMatchObject({
          code: 'wrong_agent',
          data: { agentId: AGENT },
        });
        const theirs = { agentId: 'agent-2', outcome: outcomeOf(a), end: END };
        await expect(store.recordOutcome(theirs, HOST)).rejects.toMatchObject({ code: 'wrong_agent' });
        expect(await store.getExecution(a)).toMatchObject({ agentId: AGENT });
      });

      it('are replaced by a later dispatch while they have no conclusion', async () => {
        const [a = ''] = ids('a');
        await put(a);
        await store.putExecution({ ...key(a), createdAt: 2, journalId: 'later' }, 'later');
        expect(await store.getExecution(a)).toMatchObject({ journalId: 'later' });
        await record(outcomeOf(a));
        await store.putExecution({ ...key(a), createdAt: 3, journalId: 'last' }, 'last');
        expect(await store.getExecution(a)).toMatchObject({ journalId: 'later', conclusion: { end: END } });
        expect((await store.openExecutions(AGENT)).records.filter(({ executionId }) => executionId === a)).toEqual([]);
      });

      it('go when every dispatch was refused, and may be put for another agent then', async () => {
        const [a = ''] = ids('a');
        await store.putExecution({ ...key(a), createdAt: 1 }, 'first');
        await store.putExecution({ ...key(a), createdAt: 1 }, 'second');
        await store.withdrawExecution(key(a), 'second');
        await store.withdrawExecution(key(a), 'second');
        expect(await store.getExecution(a)).toBeDefined();
        await store.withdrawExecution(key(a), 'first');
        expect(await store.getExecution(a)).toBeUndefined();
        await put(a, { agentId: 'agent-2' });
        expect(await store.getExecution(a)).toMatchObject({ agentId: 'agent-2' });
      });

      it('with a conclusion never go', async () => {
        const [a = ''] = ids('a');
        await put(a);
        await record(outcomeOf(a));
        await store.withdrawExecution(key(a), `dispatch of ${a}`);
        const fence = (await store.acquireLease(AGENT, HOST)) ?? 0;
        await store.forgetExecution({ ...key(a), createdAt: 1 }, fence);
        await store.releaseLease(AGENT, fence);
        expect(await store.getExecution(a)).toMatchObject({ conclusion: { isHandled: false } });
      });

      it('are forgotten under a lease that is held, and no other, unless they were put again', async () => {
        const [a = '', agentId = ''] = ids('a', 'agent');
        await put(a, { agentId });
        const fence = (await store.acquireLease(agentId, HOST)) ?? 0;
        const read = { agentId, executionId: a, createdAt: 1 };
        await expect(store.forgetExecution(read, fence - 1)).rejects.toMatchObject({ code: 'stale_fence' });
        await put(a, { agentId, createdAt: 2 });
        await store.forgetExecution(read, fence);
        expect(await store.getExecution(a)).toBeDefined();
        await store.forgetExecution({ ...read, createdAt: 2 }, fence);
        expect(await store.getExecution(a)).toBeUndefined();
        await put(a, { agentId: 'agent-2' });
        expect(await store.getExecution(a)).toMatchObject({ agentId: 'agent-2' });
      });
    });

    describe('outcomes', () => {
      it('are stored once, however often they are sent (R5)', async () => {
        const [a = ''] = ids('a');
        await put(a, { limits: ['fleet'] });
        expect(await record(outcomeOf(a))).toMatchObject({ isHandled: false, limits: ['fleet'], end: END });
        const again = await record(outcomeOf(a, { status: 'failed', reason: 'crashed' }));
        expect(again).toMatchObject({ isHandled: false, outcome: { status: 'succeeded' } });
      });

      it('of an execution nobody has put are stored all the same (R9)', async () => {
        const [a = ''] = ids('a');
        await record(outcomeOf(a));
        expect(await store.getExecution(a)).toMatchObject({ agentId: AGENT, createdAt: 1, conclusion: { end: END } });
      });

      it('are kept as they were recorded, whatever the caller does to its object afterwards', async () => {
        const [a = ''] = ids('a');
        const outcome = outcomeOf(a, { result: '"\u0000\n{}' });
        await record(outcome);
        outcome.message = 'changed';
        expect((await store.getExecution(a))?.conclusion?.outcome).toEqual(outcomeOf(a, { result: '"\u0000\n{}' }));
      });

      it('that were presumed give way to evidence, marked as corrected and to be handled anew', async () => {
        const [a = '', agentId = ''] = ids('a', 'agent');
        const at = { agentId, end: END };
        const fence = (await store.acquireLease(agentId, HOST)) ?? 0;
        const presumed = await store.recordOutcome({ ...at, outcome: lost(a), fence }, HOST);
        const open = async () => (await store.openExecutions(agentId)).records;
        // No agent sends it again, so it has to be found until it is handled.
        expect(await open()).toMatchObject([{ executionId: a, conclusion: { outcome: { status: 'lost' } } }]);
        expect(await store.markHandled({ agentId, executionId: a }, presumed.claim ?? 0)).toBe(true);
        expect(await open()).toEqual([]);
        const corrected = await store.recordOutcome({ ...at, outcome: outcomeOf(a) }, OTHER);
        expect(corrected).toMatchObject({ isHandled: false, outcome: { status: 'succeeded', corrected: true } });
        expect(corrected.claim).not.toBeNull();
        const late = await store.recordOutcome({ ...at, outcome: lost(a), fence }, OTHER);
        expect(late).toMatchObject({ outcome: { status: 'succeeded' }, claim: corrected.claim });
      });

      it('that are presumed under a lease that has passed are refused (R11)', async () => {
        const [a = '', agentId = ''] = ids('a', 'agent');
        await put(a, { agentId });
        const fence = (await store.acquireLease(agentId, { holder: 'slow', ttlMs: 20 })) ?? 0;
        await expired({ holder: 'slow', ttlMs: 20 });
        const late = () => store.recordOutcome({ agentId, outcome: lost(a), end: END, fence }, HOST);
        await expect(late()).rejects.toMatchObject({ code: 'stale_fence' });
        const next = await store.acquireLease(agentId, OTHER);
        expect(next).toBeGreaterThan(fence);
        await expect(late()).rejects.toMatchObject({ code: 'stale_fence' });
        expect(await store.getExecution(a)).not.toHaveProperty('conclusion');
      });

      it('are handled by one claimant at a time, and by the next when its claim has passed', async () => {
        const [a = ''] = ids('a');
        const slow = { holder: 'slow', ttlMs: 50 };
        const first = await record(outcomeOf(a), { claimant: slow });
        expect(first.claim).not.toBeNull();
        await expired(slow);
        const third = await record(outcomeOf(a), { claimant: OTHER });
        expect(third).toMatchObject({ claimedForMs: 0 });
        expect(third.claim).not.toBeNull();
        expect(third.claim).not.toBe(first.claim);
        expect(await store.markHandled(key(a), first.claim ?? 0)).toBe(false);
        expect(await store.markHandled(key(a), third.claim ?? 0)).toBe(true);
        expect(await store.markHandled(key(a), third.claim ?? 0)).toBe(true);
        expect(await record(outcomeOf(a))).toMatchObject({ isHandled: true, claim: null, claimedForMs: 0 });
      });

      it('are claimed by somebody else as soon as the claim is released, and a claim is prolonged by who holds it', async () => {
        const [a = ''] = ids('a');
        const { claim } = await record(outcomeOf(a));
        expect(await record(outcomeOf(a))).toMatchObject({ claim });
        const refused = await record(outcomeOf(a), { claimant: OTHER });
        expect(refused.claim).toBeNull();
        expect(refused.claimedForMs).toBeGreaterThan(0);
        await store.releaseClaim(key(a), claim ?? 0);
        const next = await record(outcomeOf(a), { claimant: OTHER });
        expect(next.claim).not.toBeNull();
        await store.releaseClaim(key(a), claim ?? 0);
        expect(await record(outcomeOf(a))).toMatchObject({ claim: null });
      });
    });

    describe('agents', () => {
      it('are known once they were seen, and for how long they were not', async () => {
        const [agentId = ''] = ids('agent');
        expect(await store.unseenForMs(agentId)).toBeNull();
        await store.touchAgent(agentId);
        expect(await store.unseenForMs(agentId)).toBeGreaterThanOrEqual(0);
        expect(await store.agents()).toContain(agentId);
        await store.dropAgent(agentId);
        expect(await store.agents()).not.toContain(agentId);
        expect(await store.unseenForMs(agentId)).toBeNull();
      });

      it('are leased to one holder at a time, under fences that only rise', async () => {
        const [agentId = ''] = ids('agent');
        const first = (await store.acquireLease(agentId, HOST)) ?? 0;
        expect(first).toBeGreaterThan(0);
        expect(await store.acquireLease(agentId, HOST)).toBe(first);
        expect(await store.acquireLease(agentId, OTHER)).toBeNull();
        await store.releaseLease(agentId, first - 1);
        expect(await store.acquireLease(agentId, OTHER)).toBeNull();
        await store.releaseLease(agentId, first);
        const second = (await store.acquireLease(agentId, OTHER)) ?? 0;
        expect(second).toBeGreaterThan(first);
        const third = (await store.acquireLease(agentId, OTHER, second + 1000)) ?? 0;
        expect(third).toBeGreaterThan(second + 1000);
      });
    });

    describe('permits', () => {
      it('are as many as the limit says, one for each execution, and free again once returned', async () => {
        const [limit = '', a = '', b = '', c = ''] = ids('limit', 'a', 'b', 'c');
        expect(await store.takePermit(limit, a, 2)).toBe(true);
        expect(await store.takePermit(limit, a, 2)).toBe(true);
        expect(await store.takePermit(limit, b, 2)).toBe(true);
        expect(await store.takePermit(limit, c, 2)).toBe(false);
        expect((await store.permits(limit)).map(({ executionId }) => executionId)).toEqual([a, b]);
        await store.returnPermit(limit, a);
        await store.returnPermit(limit, a);
        expect(await store.takePermit(limit, c, 2)).toBe(true);
        expect(await store.takePermit(limit, a, 2)).toBe(false);
        expect(await store.takePermit(limit, a, Number.MAX_SAFE_INTEGER)).toBe(true);
        expect((await store.permits(limit)).every(({ heldForMs }) => heldForMs >= 0)).toBe(true);
      });

      it('of a limit that many ask for at once are never too many', async () => {
        const [limit = ''] = ids('limit');
        const asked = ids(...Array.from({ length: 50 }, (_, n) => `x${n}`));
        const taken = await Promise.all(asked.map((executionId) => store.takePermit(limit, executionId, 7)));
        expect(taken.filter((isTaken) => isTaken)).toHaveLength(7);
        expect(await store.permits(limit)).toHaveLength(7);
      });
    });

    describe('documents', () => {
      it('are replaced by who has read them last, and nobody else', async () => {
        const [name = ''] = ids('doc');
        expect(await store.readDocument(name)).toEqual({ value: undefined, version: null });
        expect(await store.writeDocument(name, { value: { n: 1 }, ifVersion: null, version: 'v1' })).toBe(true);
        expect(await store.writeDocument(name, { value: { n: 2 }, ifVersion: null, version: 'v2' })).toBe(false);
        expect(await store.readDocument(name)).toEqual({ value: { n: 1 }, version: 'v1' });
        const again = { value: { n: 3 }, ifVersion: 'v1', version: 'v3' };
        expect(await store.writeDocument(name, again)).toBe(true);
        // Its answer was lost, so it was sent again (R10).
        expect(await store.writeDocument(name, again)).toBe(true);
        expect(await store.readDocument(name)).toEqual({ value: { n: 3 }, version: 'v3' });
      });
    });

    it('has one name', async () => {
      expect(await store.id()).toMatch(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/);
      expect(await store.id()).toBe(await store.id());
    });
  });
}
