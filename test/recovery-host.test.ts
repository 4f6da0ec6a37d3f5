import { cpSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createFleet, memoryStore, type Outcome } from '@outrigger/sdk';
import { describe, expect, it } from 'vitest';
import { collect, connectFleet, nextEvent, script, signal } from './support/fleet.js';
import { processesIn } from './support/outside.js';
import { startRestartable } from './support/restart.js';
import { hanging, temporaryFolder, until } from './support/runs.js';

/** Ends what runs, and takes what is remembered of it, as the end of a container does. */
async function endContainer(sidecar: Awaited<ReturnType<typeof startRestartable>>, folder: string): Promise<void> {
  await sidecar.kill();
  for (const pid of processesIn(folder)) process.kill(pid, 'SIGKILL');
  for (const what of ['journal', 'executions']) rmSync(join(sidecar.stateDir, what), { recursive: true });
}

describe('a container that dies with its state folder', () => {
  it('leaves runs that are lost, each told once, and other handlers are not disturbed (R3)', async () => {
    const folder = temporaryFolder();
    await using sidecar = await startRestartable();
    const handled: Outcome[] = [];
    await using host = await connectFleet(sidecar, { onOutcome: (outcome) => void handled.push(outcome) });
    const ids = ['one', 'two'];
    const executions = await Promise.all(
      ids.map((executionId) => host.agent.dispatch({ executionId, prompt: script(...hanging), cwd: folder })),
    );
    // Whoever reads is told as well, and not that something has failed.
    const readings = executions.map((execution) => collect(execution));
    await expect.poll(() => processesIn(folder).length).toBe(2);
    await endContainer(sidecar, folder);
    await sidecar.start();
    for (const reading of readings) {
      expect((await reading).at(-1)).toMatchObject({ type: 'outcome', outcome: { status: 'lost' } });
    }
    for (const { outcome } of executions) {
      expect(await outcome).toMatchObject({ status: 'lost', reason: 'sidecar_restarted', retryable: true });
    }
    expect(handled.map(({ executionId }) => executionId).sort()).toEqual(ids);
    expect(await host.agent.status()).toMatchObject({ counts: { live: 0 } });
    const next = await host.agent.dispatch({ prompt: script({ do: 'result' }) });
    expect(await next.outcome).toMatchObject({ status: 'succeeded' });
    expect(handled).toHaveLength(3);
  });

  it('leaves runs that are lost to the next host as well, by its store (R3)', async () => {
    const folder = temporaryFolder();
    await using sidecar = await startRestartable();
    const store = memoryStore();
    const first = createFleet({ store });
    const agent = await first.connect(sidecar);
    await agent.dispatch({ executionId: 'run', prompt: script(...hanging), cwd: folder });
    await first.close();
    await endContainer(sidecar, folder);
    await sidecar.start();
    const outcomes: Outcome[] = [];
    await using second = createFleet({ store, onOutcome: (outcome) => void outcomes.push(outcome) });
    await second.connect(sidecar);
    await expect.poll(() => outcomes).toMatchObject([{ executionId: 'run', status: 'lost' }]);
    const execution = await second.execution('run');
    expect(await execution.outcome).toMatchObject({ status: 'lost', reason: 'sidecar_restarted' });
  });

  it('while a run is dispatched has not lost it: the next sidecar is given it', async () => {
    const folder = temporaryFolder();
    await using sidecar = await startRestartable();
    const memory = memoryStore();
    const isBack = signal();
    // A store takes its time.
    const putExecution: typeof memory.putExecution = async (...put) => {
      await memory.putExecution(...put);
      await isBack.given;
    };
    const handled: Outcome[] = [];
    const onOutcome = (outcome: Outcome) => void handled.push(outcome);
    await using host = await connectFleet(sidecar, { store: { ...memory, putExecution }, onOutcome });
    const back = nextEvent(host.fleet, 'agentBack');
    await endContainer(sidecar, folder);
    const dispatching = host.agent.dispatch({ executionId: 'run', prompt: script({ do: 'result' }), cwd: folder });
    await sidecar.start();
    await back;
    await host.agent.status();
    isBack.give();
    expect(await (await dispatching).outcome).toMatchObject({ status: 'succeeded' });
    expect(handled).toHaveLength(1);
  });

  it('that comes back with it after all brings the evidence, and the outcome is corrected (O14)', async () => {
    const folder = temporaryFolder();
    const gate = join(folder, 'gate');
    const aside = temporaryFolder();
    await using sidecar = await startRestartable();
    const handled: Outcome[] = [];
    await using host = await connectFleet(sidecar, { onOutcome: (outcome) => void handled.push(outcome) });
    await host.agent.dispatch({ executionId: 'run', prompt: script(...until(gate)), cwd: folder });
    await sidecar.kill();
    cpSync(sidecar.stateDir, aside, { recursive: true });
    writeFileSync(gate, '');
    await expect.poll(() => processesIn(folder)).toEqual([]);
    cpSync(join(sidecar.stateDir, 'executions'), join(aside, 'executions'), { recursive: true });
    await endContainer(sidecar, folder);
    await sidecar.start();
    await expect.poll(() => handled).toMatchObject([{ status: 'lost' }]);
    await sidecar.kill();
    cpSync(aside, sidecar.stateDir, { recursive: true });
    await sidecar.start();
    await expect.poll(() => handled.at(-1)).toMatchObject({ status: 'succeeded', corrected: true });
    expect(handled).toHaveLength(2);
  });
});
