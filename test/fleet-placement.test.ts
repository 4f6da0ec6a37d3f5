import { createFleet, type Fleet, memoryStore, type Outcome, type Store } from '@outrigger/sdk';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { script } from './support/fleet.js';
import { startSidecar } from './support/sidecar.js';

const HANGING = script({ do: 'init' }, { do: 'hang' });

/** A fleet of agents with one slot each. */
async function startFleet(names: string[], options: Parameters<typeof createFleet>[0] = {}) {
  const sidecars = await Promise.all(
    names.map((name) => startSidecar({ args: [`--agent-id=${name}`], maxExecutions: 1 })),
  );
  const fleet = createFleet(options);
  for (const [n, sidecar] of sidecars.entries()) await fleet.connect({ ...sidecar, labels: { number: String(n) } });
  return {
    fleet,
    [Symbol.asyncDispose]: async () => {
      await fleet.close();
      await Promise.all(sidecars.map((sidecar) => sidecar[Symbol.asyncDispose]()));
    },
  };
}

const fill = (fleet: Fleet, ids: string[]) =>
  Promise.all(ids.map((executionId) => fleet.dispatch({ executionId, prompt: HANGING })));

describe('fleet.dispatch', () => {
  it('puts each execution where there is room, also when many come at once, and says so when there is none', async () => {
    await using host = await startFleet(['a', 'b', 'c']);
    const executions = await fill(host.fleet, ['one', 'two', 'three']);
    expect(executions.map(({ agentId }) => agentId).sort()).toEqual(['a', 'b', 'c']);
    await expect(host.fleet.dispatch({ executionId: 'four', prompt: HANGING })).rejects.toMatchObject({
      code: 'no_place',
      data: { refusals: { a: 'at_capacity', b: 'at_capacity', c: 'at_capacity' } },
    });
    const [first] = executions;
    await first?.cancel();
    await first?.outcome;
    const again = await host.fleet.dispatch({ executionId: 'four', prompt: HANGING });
    expect(again.agentId).toBe(first?.agentId);
  });

  it('stays with the agent that an id was dispatched to before', async () => {
    await using host = await startFleet(['a', 'b']);
    const request = { executionId: 'run', prompt: HANGING };
    const execution = await host.fleet.dispatch(request);
    for (const whenBusy of [undefined, 'refuse', 'queue', 'skip'] as const) {
      const again = await host.fleet.dispatch({ ...request, ...(whenBusy && { whenBusy }) });
      expect(again.agentId).toBe(execution.agentId);
    }
    await expect(host.fleet.dispatch({ ...request, prompt: 'another' })).rejects.toMatchObject({
      code: 'execution_conflict',
    });
  });

  it('starts one run for an id that is dispatched twice at once, with other agents to choose from each time', async () => {
    await using host = await startFleet(['a', 'b']);
    const request = { executionId: 'run', prompt: HANGING };
    const executions = await Promise.all(
      ['0', '1'].map((number) => host.fleet.dispatch({ ...request, agentLabels: { number } })),
    );
    expect(new Set(executions.map(({ agentId }) => agentId)).size).toBe(1);
    // Nothing is left behind where it might have run as well.
    await fill(host.fleet, ['other']);
  });

  it('takes only agents that carry the labels', async () => {
    await using host = await startFleet(['a', 'b']);
    const execution = await host.fleet.dispatch({ prompt: HANGING, agentLabels: { number: '1' } });
    expect(execution.agentId).toBe('b');
    await expect(host.fleet.dispatch({ prompt: HANGING, agentLabels: { number: '7' } })).rejects.toMatchObject({
      code: 'no_place',
    });
  });

  it('goes elsewhere when an agent is drained', async () => {
    await using host = await startFleet(['a', 'b']);
    const [first] = await fill(host.fleet, ['one']);
    await first?.cancel();
    await first?.outcome;
    const elsewhere = first?.agentId === 'a' ? 'b' : 'a';
    const other = await host.fleet.dispatch({
      prompt: HANGING,
      agentLabels: { number: elsewhere === 'a' ? '0' : '1' },
    });
    await other.cancel();
    expect(other.agentId).toBe(elsewhere);
  });

  it('queues or records what finds no place, as it is asked to (D1)', async () => {
    const outcomes: Outcome[] = [];
    await using host = await startFleet(['a'], { onOutcome: (outcome) => void outcomes.push(outcome) });
    const [running] = await fill(host.fleet, ['running']);
    const skipped = await host.fleet.dispatch({ executionId: 'skipped', prompt: HANGING, whenBusy: 'skip' });
    expect(await skipped.outcome).toMatchObject({ status: 'skipped', reason: 'at_capacity' });
    const queued = await host.fleet.dispatch({ prompt: script({ do: 'result' }), whenBusy: 'queue' });
    await running?.cancel();
    expect(await queued.outcome).toMatchObject({ status: 'succeeded' });
    await expect.poll(() => outcomes).toHaveLength(3);
  });

  it('of an id that has ended says how, though a limit of the fleet is used up', async () => {
    await using host = await startFleet(['a', 'b'], { limits: { maxExecutions: 1 } });
    const request = { executionId: 'done', prompt: script({ do: 'result' }) };
    const execution = await host.fleet.dispatch(request);
    await execution.outcome;
    await expect
      .poll(() =>
        fill(host.fleet, ['running']).then(
          () => true,
          () => false,
        ),
      )
      .toBe(true);
    const again = await host.fleet.dispatch(request);
    expect(await again.outcome).toMatchObject({ status: 'succeeded' });
  });

  it('treats a limit of the fleet in the same way: refused, recorded, or waited for (D1)', async () => {
    const outcomes: Outcome[] = [];
    const onOutcome = (outcome: Outcome) => void outcomes.push(outcome);
    await using host = await startFleet(['a', 'b'], { limits: { maxExecutions: 1 }, onOutcome });
    const [running] = await fill(host.fleet, ['running']);
    const more = (whenBusy: 'refuse' | 'skip' | 'queue') =>
      host.fleet.dispatch({ executionId: whenBusy, prompt: script({ do: 'result' }), whenBusy });
    await expect(more('refuse')).rejects.toMatchObject({ code: 'limit_reached', data: { limit: 'fleet', max: 1 } });
    const skipped = await more('skip');
    expect(await skipped.outcome).toMatchObject({ status: 'skipped', reason: 'at_capacity', attempts: 0 });
    const queuing = more('queue');
    await running?.cancel();
    const queued = await queuing;
    expect(await queued.outcome).toMatchObject({ status: 'succeeded' });
    await expect
      .poll(() => outcomes.map(({ executionId }) => executionId).sort())
      .toEqual(['queue', 'running', 'skip']);
  });
});

describe('a host that stands still in the middle of a dispatch', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  /** A store in which, ten minutes later, somebody else has forgotten the dispatch before it is sent. */
  function overtaken(afterwards: (store: Store) => Promise<void> = () => Promise.resolve()): Store {
    const store = memoryStore();
    return {
      ...store,
      takePermit: async (limit, executionId, max) => {
        const record = await store.getExecution(executionId);
        if (record === undefined) throw new Error('a permit is taken before anything is written down');
        vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 10 * 60_000 });
        const fence = await store.acquireLease(record.agentId, { holder: 'another host', ttlMs: 60_000 });
        await store.forgetExecution(record, fence ?? 0);
        await afterwards(store);
        return store.takePermit(limit, executionId, max);
      },
    };
  }

  it('writes it down again, as another host may have forgotten it', async () => {
    const store = overtaken();
    await using host = await startFleet(['a'], { store, limits: { maxExecutions: 1 } });
    await fill(host.fleet, ['run']);
    expect(await store.getExecution('run')).toMatchObject({ agentId: 'a' });
  });

  it('does not start it a second time when it went to another agent meanwhile (I1)', async () => {
    const store = overtaken((shared) =>
      shared.putExecution({ executionId: 'run', agentId: 'elsewhere', createdAt: Date.now() }, 'another dispatch'),
    );
    await using host = await startFleet(['a'], { store, limits: { maxExecutions: 2 } });
    await expect(fill(host.fleet, ['run'])).rejects.toMatchObject({ code: 'agent_closed' });
    // The one slot is free.
    await fill(host.fleet, ['other']);
  });
});
