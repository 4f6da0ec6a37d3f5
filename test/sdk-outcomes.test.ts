import { type Agent, createFleet, memoryStore, type Outcome } from '@outrigger/sdk';
import { describe, expect, it } from 'vitest';
import { collect, connectFleet, nextEvent, script } from './support/fleet.js';
import { RawClient } from './support/raw-client.js';
import { startSidecar } from './support/sidecar.js';
import { TcpProxy } from './support/tcp-proxy.js';

const DONE = script({ do: 'assistant', text: 'done' }, { do: 'result' });

/** Resolves when the agent waits for no acknowledgement, but of executions that are still running. */
async function acknowledged(agent: Agent): Promise<void> {
  const waiting = async () => {
    const { live, unacknowledged } = (await agent.status()).counts;
    return unacknowledged - live;
  };
  await expect.poll(waiting, { timeout: 30_000 }).toBe(0);
}

describe('onOutcome', () => {
  it('is called until it succeeds; only then is the outcome acknowledged, and never handled again', async () => {
    await using sidecar = await startSidecar();
    const calls: Outcome[] = [];
    const unacknowledged: number[] = [];
    await using host = await connectFleet(sidecar, {
      onOutcome: async (outcome) => {
        calls.push(outcome);
        unacknowledged.push((await host.agent.status()).counts.unacknowledged);
        if (calls.length < 3) throw new Error('database is down');
      },
    });
    const failures: unknown[] = [];
    host.fleet.on('outcomeHandlerFailed', (failure) => failures.push(failure));
    const execution = await host.agent.dispatch({ prompt: DONE });
    const outcome = await execution.outcome;
    await acknowledged(host.agent);

    expect(calls).toEqual([outcome, outcome, outcome]);
    expect(unacknowledged).toEqual([1, 1, 1]);
    expect(failures).toMatchObject([
      { executionId: execution.id, failures: 1, error: { message: 'database is down' } },
      { executionId: execution.id, failures: 2 },
    ]);
  });

  it('is called once although the connection is lost between the outcome and its acknowledgement (R5)', async () => {
    await using sidecar = await startSidecar();
    await using proxy = await TcpProxy.to(sidecar.url);
    const calls: Outcome[] = [];
    await using host = await connectFleet(sidecar, {
      url: proxy.url,
      onOutcome: async (outcome) => {
        const back = nextEvent(host.fleet, 'agentBack');
        calls.push(outcome);
        proxy.cut();
        await back;
      },
    });
    const execution = await host.agent.dispatch({ prompt: DONE });
    await execution.outcome;
    await acknowledged(host.agent);
    expect(calls).toHaveLength(1);
  });

  it('gets the outcome at the next host when the first one went before it had handled it (R4)', async () => {
    await using sidecar = await startSidecar();
    const first = await connectFleet(sidecar, { onOutcome: () => Promise.reject(new Error('shutting down')) });
    const failed = nextEvent(first.fleet, 'outcomeHandlerFailed');
    const { id } = await first.agent.dispatch({ prompt: DONE });
    await failed;
    await first.fleet.close();

    const outcomes: string[] = [];
    await using second = await connectFleet(sidecar, {
      onOutcome: ({ executionId }) => void outcomes.push(executionId),
    });
    const execution = await second.fleet.execution(id);
    expect(await execution.outcome).toMatchObject({ executionId: id, status: 'succeeded' });
    await acknowledged(second.agent);
    expect(outcomes).toEqual([id]);
  });

  it('gets it again from a store that outlived a fleet which never handled it', async () => {
    await using sidecar = await startSidecar();
    const store = memoryStore();
    const first = await connectFleet(sidecar, { store, onOutcome: () => Promise.reject(new Error('not now')) });
    const failed = nextEvent(first.fleet, 'outcomeHandlerFailed');
    const { id } = await first.agent.dispatch({ prompt: DONE });
    await failed;
    await first.fleet.close();
    const outcomes: string[] = [];
    await using second = await connectFleet(sidecar, {
      store,
      onOutcome: ({ executionId }) => void outcomes.push(executionId),
    });
    await acknowledged(second.agent);
    expect(outcomes).toEqual([id]);
  });

  it('gets the outcomes of executions that others dispatched', async () => {
    await using sidecar = await startSidecar();
    await using other = await RawClient.connect(sidecar);
    const outcomes: string[] = [];
    await using host = await connectFleet(sidecar, { onOutcome: ({ executionId }) => void outcomes.push(executionId) });
    await other.dispatch('theirs', [{ do: 'result' }]);
    await other.outcome('theirs');
    await acknowledged(host.agent);
    expect(outcomes).toEqual(['theirs']);
  });
});

describe('fleet.execution', () => {
  it('re-attaches to what runs and to what has ended, with its whole output, acknowledged or not', async () => {
    await using sidecar = await startSidecar();
    const first = await connectFleet(sidecar);
    const running = await first.agent.dispatch({ prompt: script({ do: 'init' }, { do: 'hang' }) });
    const ended = await first.agent.dispatch({ prompt: DONE });
    await ended.outcome;
    await acknowledged(first.agent);
    expect(await collect((await first.fleet.execution(ended.id)).text())).toEqual(['done']);
    await first.fleet.close();

    await using second = await connectFleet(sidecar);
    const again = await second.fleet.execution(running.id);
    const events = collect(again);
    await again.cancel();
    expect((await events).at(-1)).toMatchObject({ type: 'outcome', outcome: { status: 'cancelled' } });
    expect(await collect((await second.fleet.execution(ended.id)).text())).toEqual(['done']);
  });

  it('resolves what an earlier handle was promised once a closed agent is connected again', async () => {
    await using sidecar = await startSidecar();
    await using fleet = createFleet();
    const { url, token } = sidecar;
    const agent = await fleet.connect({ url, token });
    const execution = await agent.dispatch({ prompt: script({ do: 'sleep', ms: 50 }, { do: 'result' }) });
    await agent.close();
    await expect(execution.cancel()).rejects.toMatchObject({ code: 'agent_closed' });
    await fleet.connect({ url, token });
    expect(await execution.outcome).toMatchObject({ status: 'succeeded' });
  });

  it('that is being handled when the fleet is closed is acknowledged first', async () => {
    await using sidecar = await startSidecar();
    let isSaved = false;
    const save = async () => {
      await new Promise((resolve) => setTimeout(resolve, 200));
      isSaved = true;
    };
    const host = await connectFleet(sidecar, { onOutcome: save });
    const execution = await host.agent.dispatch({ prompt: script({ do: 'result' }) });
    await execution.outcome;
    await host.fleet.close();
    expect(isSaved).toBe(true);

    const again: unknown[] = [];
    await using next = await connectFleet(sidecar, { onOutcome: (outcome) => void again.push(outcome) });
    expect((await next.agent.status()).counts.unacknowledged).toBe(0);
    expect(again).toEqual([]);
  });
});
