import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FakeStep } from '@outrigger/sdk/testing';
import { describe, expect, it } from 'vitest';
import { openFiles, processesIn, zombiesOf } from './support/outside.js';
import { RawClient } from './support/raw-client.js';
import { temporaryFolder } from './support/runs.js';
import { startSidecar, type TestSidecar } from './support/sidecar.js';

const GRACE_MS = 200;
const LIFE_SECONDS = 600;

/** Everything that has been seen to get away from a kill, at once. */
const ADVERSARY: FakeStep[] = [
  { do: 'ignoreSignals', signals: ['SIGTERM', 'SIGINT', 'SIGHUP'] },
  { do: 'spawn', seconds: LIFE_SECONDS, setsid: true },
  { do: 'spawn', seconds: LIFE_SECONDS, cleanEnv: true, ignoreSignals: true },
  { do: 'spawn', seconds: LIFE_SECONDS, setsid: true, cleanEnv: true, holdStdout: true },
  { do: 'spawn', seconds: LIFE_SECONDS, setsid: true, cleanEnv: true, doubleFork: true, ignoreSignals: true },
  { do: 'spawn', seconds: LIFE_SECONDS, setsid: true, cleanEnv: true, respawn: true, ignoreSignals: true },
  { do: 'hang' },
];
const SIBLING: FakeStep[] = [
  { do: 'spawn', seconds: LIFE_SECONDS },
  { do: 'spawn', seconds: LIFE_SECONDS, setsid: true, cleanEnv: true },
  { do: 'hang' },
];

/** Dispatches a run in a folder of its own and waits until it has started all its processes. */
async function start(client: RawClient, id: string, steps: FakeStep[], options: { graceMs?: number } = {}) {
  const cwd = temporaryFolder();
  const spawned = steps.filter((step) => step.do === 'spawn').length;
  await client.dispatch(id, steps, { cwd, graceMs: GRACE_MS, ...options });
  await client.request('subscribe', {
    subscription: id,
    executionId: id,
    from: { attempt: 1, stdout: 0, stderr: 0 },
    creditBytes: 100_000,
  });
  const hasSpawned = () =>
    client.frames
      .filter((frame) => frame.type === 'output' && frame.executionId === id)
      .flatMap((frame) => (frame.type === 'output' ? frame.lines : []))
      .filter((line) => line.includes('fake_spawned')).length === spawned;
  if (spawned > 0) await client.waitFor('output', (frame) => frame.executionId === id && hasSpawned());
  return cwd;
}

async function offeredMethods(): Promise<string[]> {
  await using sidecar = await startSidecar();
  await using client = await RawClient.connect(sidecar);
  return (await client.waitFor('welcome')).killMethods;
}

/** The complete methods are tried one at a time; what a machine does not offer cannot be tried on it. */
const methods = (await offeredMethods()).filter((method) => method !== 'lineage');

describe.each(methods)('with --kill-method %s', (method) => {
  const withSidecar = (): Promise<TestSidecar> => startSidecar({ maxExecutions: 4, args: [`--kill-method=${method}`] });

  it('ends a tree that ignores signals, leaves its session, empties its environment and respawns; siblings live (P1, P2, P3, P4)', async () => {
    await using sidecar = await withSidecar();
    await using client = await RawClient.connect(sidecar);
    const siblings = [];
    for (const name of ['a', 'b', 'c']) siblings.push(await start(client, name, SIBLING));
    const before = siblings.map((folder) => processesIn(folder));

    const cwd = await start(client, 'adversary', ADVERSARY);
    expect(processesIn(cwd).length).toBeGreaterThanOrEqual(6);
    await client.request('cancel', { executionId: 'adversary' });
    expect(await client.outcome('adversary')).toMatchObject({ status: 'cancelled', survivors: 0 });

    expect(processesIn(cwd)).toEqual([]);
    expect(siblings.map((folder) => processesIn(folder))).toEqual(before);
  });

  it('ends what a run leaves behind when it exits by itself, also a holder of its stdout (P4, I5)', async () => {
    await using sidecar = await withSidecar();
    await using client = await RawClient.connect(sidecar);
    const cwd = await start(client, 'leaver', [
      { do: 'spawn', seconds: LIFE_SECONDS, setsid: true, cleanEnv: true, holdStdout: true, doubleFork: true },
      { do: 'result' },
    ]);
    expect(await client.outcome('leaver')).toMatchObject({
      status: 'succeeded',
      survivors: 0,
      exit: { code: 0, signal: null },
    });
    expect(processesIn(cwd)).toEqual([]);
  });

  it('ends what lowers the limit it could be known by, and leaves its session with an empty environment (P3)', async () => {
    const claude = join(temporaryFolder(), 'claude');
    const lowered = `prlimit --msgqueue=1000:1000 setsid env -i sleep ${LIFE_SECONDS}`;
    writeFileSync(claude, `#!/bin/sh\n${lowered} &\necho started\nexec sleep ${LIFE_SECONDS}\n`, { mode: 0o755 });
    await using sidecar = await startSidecar({ claude, args: [`--kill-method=${method}`] });
    await using client = await RawClient.connect(sidecar);
    const cwd = temporaryFolder();
    await client.dispatch('lowerer', [], { cwd, graceMs: GRACE_MS });
    const isLowered = (pid: number) => /^Max msgqueue size +1000 /m.test(readFileSync(`/proc/${pid}/limits`, 'utf8'));
    await expect.poll(() => processesIn(cwd).filter(isLowered)).toHaveLength(1);
    await client.request('cancel', { executionId: 'lowerer' });
    expect(await client.outcome('lowerer')).toMatchObject({ status: 'cancelled', survivors: 0 });
    expect(processesIn(cwd)).toEqual([]);

    // Nobody is looked for any more: a timer would hold the sidecar up.
    await client[Symbol.asyncDispose]();
    expect(await sidecar.stop()).toEqual({ code: 0, signal: null });
  });
});

it('the machine offers a method that can count survivors', () => {
  expect(methods).toEqual(expect.arrayContaining(['rlimit']));
});

it('by lineage alone what stays related is ended, and survivors are not claimed to be known', async () => {
  await using sidecar = await startSidecar({ args: ['--kill-method=lineage'] });
  await using client = await RawClient.connect(sidecar);
  expect((await client.waitFor('welcome')).killMethods).toEqual(['lineage']);
  // By the id in their environment all runs of that name are found, those of a sidecar beside this one, too.
  const id = randomUUID();
  const cwd = await start(client, id, [
    { do: 'spawn', seconds: LIFE_SECONDS, setsid: true },
    { do: 'spawn', seconds: LIFE_SECONDS, setsid: true, cleanEnv: true },
    { do: 'hang' },
  ]);
  await client.request('cancel', { executionId: id });
  expect(await client.outcome(id)).toMatchObject({ status: 'cancelled', survivors: null });
  expect(processesIn(cwd)).toEqual([]);
});

it('a run is untouched while ten others beside it end and their pids are free again (P5)', async () => {
  await using outer = await startSidecar({ maxExecutions: 2 });
  await using client = await RawClient.connect(outer);
  const bystander = await start(client, 'bystander', SIBLING);
  const before = processesIn(bystander);
  for (let i = 0; i < 10; i++) {
    await start(client, `short-${i}`, [{ do: 'spawn', seconds: LIFE_SECONDS, setsid: true }, { do: 'result' }]);
    expect(await client.outcome(`short-${i}`)).toMatchObject({ status: 'succeeded', survivors: 0 });
  }
  expect(processesIn(bystander)).toEqual(before);
});

it('100 runs in a row leave no zombie, no open file and no timer behind (P7)', { timeout: 120_000 }, async () => {
  await using sidecar = await startSidecar({ maxExecutions: 4 });
  await using client = await RawClient.connect(sidecar);
  const pid = sidecar.process.pid ?? 0;
  const runBatch = async (name: string, count: number) => {
    for (let i = 0; i < count; i += 4) {
      const ids = [0, 1, 2, 3].map((offset) => `${name}-${i + offset}`);
      await Promise.all(ids.map((id) => client.dispatch(id, [{ do: 'init' }, { do: 'result' }])));
      for (const id of ids) expect(await client.outcome(id)).toMatchObject({ status: 'succeeded' });
    }
  };
  await runBatch('warm-up', 4);
  const before = openFiles(pid);
  await runBatch('run', 100);
  expect(openFiles(pid)).toBe(before);
  expect(zombiesOf(pid)).toEqual([]);

  // A timer that was left behind would hold the process up: without runs and hosts it ends by itself at once.
  await client[Symbol.asyncDispose]();
  expect(await sidecar.stop()).toEqual({ code: 0, signal: null });
});
