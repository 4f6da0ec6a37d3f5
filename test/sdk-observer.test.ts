import { createFleet, type Outcome } from '@outrigger/sdk';
import { describe, expect, it } from 'vitest';
import { script } from './support/fleet.js';
import { startSidecar } from './support/sidecar.js';

describe('a fleet that takes its own outcomes alone', () => {
  it('sees how what others dispatched stands and ends, and leaves the outcome to them', async () => {
    await using sidecar = await startSidecar();
    const taken: Outcome[] = [];
    const split: unknown[] = [];
    const owner = createFleet();
    const dispatching = await owner.connect(sidecar);
    const theirs = { executionId: 'theirs', labels: { team: 'a' } };
    await dispatching.dispatch({ ...theirs, prompt: script({ do: 'init' }, { do: 'hang' }) });
    await owner.close();

    await using observer = createFleet({ outcomes: 'own', onOutcome: (outcome) => void taken.push(outcome) });
    observer.on('splitStore', (event) => split.push(event));
    const agent = await observer.connect(sidecar);
    await expect.poll(() => agent.executions()).toMatchObject([{ ...theirs, state: 'running', attempt: 1 }]);
    const execution = await observer.execution('theirs');
    await execution.cancel();
    expect(await execution.outcome).toMatchObject({ status: 'cancelled' });
    expect(await agent.executions()).toMatchObject([{ ...theirs, state: 'ended', outcome: { status: 'cancelled' } }]);

    // It is still there for whom it belongs to; and once that has it, for nobody.
    const handled: Outcome[] = [];
    await using next = createFleet({ onOutcome: (outcome) => void handled.push(outcome) });
    next.on('splitStore', (event) => split.push(event));
    await next.connect(sidecar);
    await expect.poll(() => handled).toMatchObject([theirs].map(({ executionId }) => ({ executionId })));
    expect(taken).toEqual([]);
    expect(split).toEqual([]);
  });

  it('takes the outcome of what it has dispatched itself', async () => {
    await using sidecar = await startSidecar();
    const taken: string[] = [];
    await using fleet = createFleet({ outcomes: 'own', onOutcome: ({ executionId }) => void taken.push(executionId) });
    const agent = await fleet.connect(sidecar);
    const execution = await agent.dispatch({ executionId: 'mine', prompt: script({ do: 'result' }) });
    expect(await execution.outcome).toMatchObject({ status: 'succeeded' });
    await expect.poll(() => agent.executions()).toEqual([]);
    expect(taken).toEqual(['mine']);
  });
});

it('an agent says what it is, and how its machine stands when it is asked', async () => {
  await using sidecar = await startSidecar();
  await using fleet = createFleet();
  const agent = await fleet.connect(sidecar);
  const { agentId, sidecarVersion, killMethods, isolation } = agent.info;
  expect({ agentId, isolation }).toEqual({ agentId: agent.id, isolation: 'none' });
  expect(sidecarVersion).toMatch(/^\d+\.\d+\.\d+/);
  expect(killMethods).not.toEqual([]);
  expect(await agent.status()).not.toHaveProperty('machine');
  const before = Date.now();
  const { machine } = await agent.status({ machine: true });
  expect(machine?.at).toBeGreaterThanOrEqual(before);
  expect(machine?.freeBytes).toBeGreaterThan(0);
  expect(machine?.init).toMatch(/./);
});
