import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FakeStep } from '@outrigger/sdk/testing';
import { describe, expect, it } from 'vitest';
import { cutJournalBehind, recordsIn } from './support/journal.js';
import { readOutput } from './support/output.js';
import { processesIn } from './support/outside.js';
import { RawClient } from './support/raw-client.js';
import { startRestartable } from './support/restart.js';
import { hasPrinted, isRunning, temporaryFolder } from './support/runs.js';

const METHODS = ['auto', 'rlimit', 'lineage'] as const;

/** Each start leaves a line, and says nothing. */
function silentRun() {
  const folder = temporaryFolder();
  const starts = join(folder, 'starts');
  const steps: FakeStep[] = [
    { do: 'touch', path: starts, text: 'started\n' },
    { do: 'waitForFile', path: join(folder, 'gate') },
    { do: 'result' },
  ];
  return {
    folder,
    starts: () => (existsSync(starts) ? readFileSync(starts, 'utf8').split('\n').length - 1 : 0),
    steps,
  };
}

/** A sidecar that was killed once its run had got as far as `reached`. */
async function killedWhen(reached: (client: RawClient) => Promise<unknown>, steps: FakeStep[], folder: string) {
  const sidecar = await startRestartable();
  {
    await using client = await RawClient.connect(sidecar);
    await client.dispatch('run', steps, { cwd: folder });
    await reached(client);
  }
  await sidecar.kill();
  return sidecar;
}

/** Ends what runs in a folder, from outside. */
async function endAll(folder: string): Promise<void> {
  processesIn(folder).forEach((pid) => process.kill(pid, 'SIGKILL'));
  await expect.poll(() => processesIn(folder)).toEqual([]);
}

describe('a sidecar that is killed between the start of a process and its note of that (R2)', () => {
  it.each(METHODS)('is followed by one that finds the process, by %s, and starts no other', async (method) => {
    const { folder, steps, starts } = silentRun();
    await using sidecar = await startRestartable({ args: [`--kill-method=${method}`] });
    {
      await using client = await RawClient.connect(sidecar);
      await client.dispatch('run', steps, { cwd: folder });
      await expect.poll(starts).toBe(1);
    }
    await sidecar.kill();
    const before = processesIn(folder);
    cutJournalBehind(sidecar.stateDir, ({ is }) => is === 'starting');
    await sidecar.start();
    await using client = await RawClient.connect(sidecar);
    await isRunningNow(client);
    expect([processesIn(folder), starts()]).toEqual([before, 1]);
    expect(recordsIn(sidecar.stateDir)).toContainEqual(expect.objectContaining({ is: 'launched', pid: before[0] }));
    await client.request('cancel', { executionId: 'run' });
    const outcome = await client.outcome('run');
    expect(outcome).toMatchObject({ status: 'cancelled', attempts: 1 });
    expect(processesIn(folder)).toEqual([]);
  });

  it('is followed by one that starts it, where nothing was started', async () => {
    const { folder, steps, starts } = silentRun();
    await using sidecar = await killedWhen(() => expect.poll(starts).toBe(1), steps, folder);
    // As if it had not got that far.
    await endAll(folder);
    rmSync(join(folder, 'starts'));
    cutJournalBehind(sidecar.stateDir, ({ is }) => is === 'starting');
    await sidecar.start();
    await using client = await RawClient.connect(sidecar);
    await expect.poll(starts).toBe(1);
    await isRunningNow(client);
    await client.request('cancel', { executionId: 'run' });
    expect(await client.outcome('run')).toMatchObject({ status: 'cancelled', attempts: 1, survivors: 0 });
  });

  it('is followed by one that starts it, and whoever reads meanwhile reads what it prints, to its end (T4)', async () => {
    const { folder, steps, starts } = silentRun();
    await using sidecar = await killedWhen(() => expect.poll(starts).toBe(1), steps, folder);
    await endAll(folder);
    cutJournalBehind(sidecar.stateDir, ({ is }) => is === 'starting');
    // It takes a while to clear this away: the reader is there before the run is started.
    for (let n = 0; n < 20_000; n++) writeFileSync(join(sidecar.stateDir, `executions/run/1/${n}`), '');
    await sidecar.start();
    await using client = await RawClient.connect(sidecar);
    const reading = readOutput(client, 'run');
    writeFileSync(join(folder, 'gate'), '');
    expect(await client.outcome('run')).toMatchObject({ status: 'succeeded', attempts: 1 });
    expect((await reading).stdout.lines).toHaveLength(1);
  });

  it('is followed by one that starts nothing that has printed, though nobody is found', async () => {
    const { folder, steps, starts } = silentRun();
    const printed = (client: RawClient) => hasPrinted(client, 'run');
    await using sidecar = await killedWhen(printed, [{ do: 'init' }, ...steps], folder);
    await endAll(folder);
    cutJournalBehind(sidecar.stateDir, ({ is }) => is === 'starting');
    await sidecar.start();
    await using client = await RawClient.connect(sidecar);
    expect(await client.outcome('run')).toMatchObject({ status: 'failed', reason: 'crashed', attempts: 1 });
    expect(starts()).toBe(1);
  });

  it('is followed by one that starts what was only accepted, and nothing that was cancelled then (O9)', async () => {
    const { folder, steps, starts } = silentRun();
    await using sidecar = await killedWhen(() => expect.poll(starts).toBe(1), steps, folder);
    cutJournalBehind(sidecar.stateDir, ({ is }) => is === 'accepted');
    // Its process is nobody's now: it is ended before anything is started.
    await sidecar.start();
    await using client = await RawClient.connect(sidecar);
    await isRunningNow(client);
    await expect.poll(starts).toBe(2);
    expect(processesIn(folder)).toHaveLength(1);
    expect(sidecar.current.log.some(({ msg }) => msg.startsWith('processes were left'))).toBe(true);
    await client.request('cancel', { executionId: 'run' });
    expect(await client.outcome('run')).toMatchObject({ status: 'cancelled' });
  });
});

it('runs of one id, of two sidecars that find them by lineage, are not each other’s (P5)', async () => {
  const folders = [temporaryFolder(), temporaryFolder()] as const;
  const args = ['--kill-method=lineage'];
  await using one = await startRestartable({ args });
  await using other = await startRestartable({ args });
  await using client = await RawClient.connect(one);
  await using neighbour = await RawClient.connect(other);
  await client.dispatch('run', [{ do: 'init' }, { do: 'hang' }], { cwd: folders[0] });
  await neighbour.dispatch('run', [{ do: 'init' }, { do: 'hang' }], { cwd: folders[1] });
  await Promise.all([hasPrinted(client, 'run'), hasPrinted(neighbour, 'run')]);
  await client.request('cancel', { executionId: 'run' });
  expect(await client.outcome('run')).toMatchObject({ status: 'cancelled' });
  expect(folders.map((folder) => processesIn(folder).length)).toEqual([0, 1]);
});

describe('what is left of a journal that was lost', () => {
  it('is ended and removed before anything is admitted', async () => {
    const { folder, steps, starts } = silentRun();
    await using sidecar = await killedWhen(() => expect.poll(starts).toBe(1), steps, folder);
    rmSync(join(sidecar.stateDir, 'journal'));
    await sidecar.start();
    expect(processesIn(folder)).toEqual([]);
    expect(existsSync(join(sidecar.stateDir, 'executions/run'))).toBe(false);
    await using client = await RawClient.connect(sidecar);
    expect(await client.request('status')).toMatchObject({ counts: { live: 0, unacknowledged: 0 } });
  });
});

/** Told by a notice, or by the snapshot. */
async function isRunningNow(client: RawClient): Promise<void> {
  const { execution } = await client.request('status', { executionId: 'run' });
  if (execution?.state !== 'running') await isRunning(client, 'run');
}
