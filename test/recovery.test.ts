import { type Outcome } from '@outrigger/protocol';
import { fakeScript, type FakeStep } from '@outrigger/sdk/testing';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { collect, connectFleet, script } from './support/fleet.js';
import { processesIn } from './support/outside.js';
import { RawClient } from './support/raw-client.js';
import { startRestartable } from './support/restart.js';
import { hanging, hasPrinted, isRunning, isWaiting, refused, SECOND, temporaryFolder, until } from './support/runs.js';

const numbered = (from: number, to: number): FakeStep[] =>
  Array.from({ length: to - from }, (_value, n) => ({ do: 'write', text: `line ${from + n}\n` }) as const);

describe('a sidecar is killed in mid-run and started again', () => {
  it('the run goes on in the same process, its output is complete, and its outcome right (R1)', async () => {
    const folder = temporaryFolder();
    const gate = join(folder, 'gate');
    await using sidecar = await startRestartable();
    await using host = await connectFleet(sidecar);
    const prompt = script({ do: 'init' }, ...numbered(0, 50), { do: 'waitForFile', path: gate }, ...numbered(50, 100), {
      do: 'result',
      result: 'done',
    });
    const execution = await host.agent.dispatch({ executionId: 'run', prompt, cwd: folder });
    const reading = collect(execution);
    await expect.poll(() => readFileSync(join(sidecar.stateDir, 'executions/run/1/stdout'), 'utf8')).toContain('49');
    const before = processesIn(folder);
    await sidecar.kill();
    expect(processesIn(folder)).toEqual(before);
    await sidecar.start();
    expect(processesIn(folder)).toEqual(before);
    writeFileSync(gate, '');
    const outcome = await execution.outcome;
    expect(outcome).toMatchObject({
      status: 'succeeded',
      result: 'done',
      attempts: 1,
      survivors: 0,
      exit: { code: null, signal: null },
    });
    const lines = (await reading).flatMap((event) => (event.type === 'message' ? [event.line] : []));
    expect(lines.filter((line) => line.startsWith('line'))).toEqual(
      Array.from({ length: 100 }, (_value, n) => `line ${n}`),
    );
    expect(processesIn(folder)).toEqual([]);
  });

  it('what ended meanwhile has its outcome from its logs, dated by them (R2)', async () => {
    const folder = temporaryFolder();
    const gates = ['good', 'silent'].map((name) => join(folder, name));
    await using sidecar = await startRestartable();
    {
      await using client = await RawClient.connect(sidecar);
      await client.dispatch('good', until(gates[0] ?? ''), { cwd: folder });
      await client.dispatch('silent', [{ do: 'init' }, { do: 'waitForFile', path: gates[1] ?? '' }], { cwd: folder });
      await hasPrinted(client, 'good');
      await hasPrinted(client, 'silent');
    }
    await sidecar.kill();
    const killedAt = Date.now();
    gates.forEach((gate) => writeFileSync(gate, ''));
    await expect.poll(() => processesIn(folder)).toEqual([]);
    const endedAt = Date.now();
    await new Promise((resolve) => setTimeout(resolve, 300));
    await sidecar.start();
    await using client = await RawClient.connect(sidecar);
    const good = await client.outcome('good');
    expect(good).toMatchObject({ status: 'succeeded', survivors: 0, exit: { code: null, signal: null } });
    // A file's own times come from a clock of the kernel's that is some milliseconds behind.
    expect(good.endedAt).toBeGreaterThanOrEqual(killedAt - 50);
    expect(good.endedAt).toBeLessThanOrEqual(endedAt + 50);
    expect(await client.outcome('silent')).toMatchObject({ status: 'failed', reason: 'crashed' });
    expect(await client.request('status')).toMatchObject({ counts: { live: 0 } });
  });

  it('what was being ended is ended, with the verdict that was told (I2)', async () => {
    const folder = temporaryFolder();
    await using sidecar = await startRestartable();
    let told: unknown;
    {
      await using client = await RawClient.connect(sidecar);
      const deaf: FakeStep[] = [{ do: 'ignoreSignals', signals: ['SIGTERM'] }, ...hanging];
      await client.dispatch('run', deaf, { cwd: folder, graceMs: 60_000 });
      await hasPrinted(client, 'run');
      await client.request('cancel', { executionId: 'run' });
      const { verdict } = await client.waitFor('state', ({ state }) => state === 'ending');
      told = verdict;
    }
    await sidecar.restart();
    await using client = await RawClient.connect(sidecar);
    // The grace goes on where it was; a second cancel changes nothing.
    expect(await client.request('status', { executionId: 'run' })).toMatchObject({
      execution: { state: 'ending', verdict: told },
    });
    sidecar.current.process.kill('SIGTERM');
    const outcome = await client.outcome('run');
    expect(outcome).toMatchObject({ status: 'cancelled', reason: 'requested', survivors: 0 });
    expect((told as { at: number }).at).toBe(outcome.endedAt);
    expect(processesIn(folder)).toEqual([]);
  });

  it('outcomes that nobody has acknowledged are sent by the next one, the same, and what was is known', async () => {
    await using sidecar = await startRestartable();
    let first: Outcome;
    {
      await using client = await RawClient.connect(sidecar);
      await client.dispatch('told', [{ do: 'result', result: 'x' }]);
      await client.dispatch('stored', [{ do: 'result' }]);
      first = await client.outcome('told');
      await client.outcome('stored');
      await client.request('ack', { executionId: 'stored' });
    }
    await sidecar.restart();
    await using client = await RawClient.connect(sidecar);
    expect(await client.outcome('told')).toEqual(first);
    expect(client.frames.filter(({ type }) => type === 'snapshot')).toMatchObject([
      { executions: [{ executionId: 'told' }] },
    ]);
    expect(await client.dispatch('stored', [{ do: 'result' }])).toMatchObject({
      known: true,
      state: 'ended',
      outcome: { status: 'succeeded' },
    });
    expect(await client.refusedDispatch('stored', script({ do: 'hang' }))).toBe('execution_conflict');
  });

  it('who waits in the queue still does, in the same order, and takes the place of what is over', async () => {
    const gate = join(temporaryFolder(), 'gate');
    await using sidecar = await startRestartable({ maxExecutions: 1 });
    {
      await using client = await RawClient.connect(sidecar);
      await client.dispatch('first', until(gate));
      await isRunning(client, 'first');
      for (const id of ['second', 'third']) await client.dispatch(id, [{ do: 'result' }], { whenBusy: 'queue' });
      await client.dispatch('unwanted', [{ do: 'result' }], { whenBusy: 'queue' });
      await client.request('cancel', { executionId: 'unwanted' });
    }
    await sidecar.restart();
    await using client = await RawClient.connect(sidecar);
    expect(await client.request('status')).toMatchObject({ counts: { live: 1, queued: 2 } });
    writeFileSync(gate, '');
    for (const id of ['first', 'second', 'third']) {
      expect(await client.outcome(id)).toMatchObject({ status: 'succeeded', attempts: 1 });
    }
    expect(await client.outcome('unwanted')).toMatchObject({ status: 'cancelled', attempts: 0 });
    const started = client.frames.flatMap((frame) =>
      frame.type === 'state' && frame.state === 'running' ? [frame.executionId] : [],
    );
    expect(started.slice(-2)).toEqual(['second', 'third']);
  });

  it('a cancel of what is not known yet is remembered (D8)', async () => {
    await using sidecar = await startRestartable();
    {
      await using client = await RawClient.connect(sidecar);
      expect(await client.request('cancel', { executionId: 'later' })).toEqual({ known: false });
    }
    await sidecar.restart();
    await using client = await RawClient.connect(sidecar);
    await client.dispatch('later', hanging);
    expect(await client.outcome('later')).toMatchObject({ status: 'cancelled', reason: 'requested', attempts: 0 });
  });

  it('a deadline that passed meanwhile is when the run timed out, whatever it printed later', async () => {
    const folder = temporaryFolder();
    const gate = join(folder, 'gate');
    await using sidecar = await startRestartable();
    {
      await using client = await RawClient.connect(sidecar);
      await client.dispatch('run', until(gate), { cwd: folder, timeoutMs: 1500 });
      await hasPrinted(client, 'run');
    }
    await sidecar.kill();
    await new Promise((resolve) => setTimeout(resolve, 1600));
    writeFileSync(gate, '');
    await expect.poll(() => processesIn(folder)).toEqual([]);
    await sidecar.start();
    await using client = await RawClient.connect(sidecar);
    const outcome = await client.outcome('run');
    expect(outcome).toMatchObject({ status: 'timed_out', reason: 'deadline' });
    expect(outcome.endedAt - (outcome.startedAt ?? 0)).toBe(1500);
  });
});

describe('the state folder', () => {
  it('names the same journal as long as it is there, and another process each time', async () => {
    await using sidecar = await startRestartable();
    const greet = async () => {
      await using client = await RawClient.connect(sidecar);
      return await client.waitFor('welcome');
    };
    const before = await greet();
    await sidecar.restart();
    const after = await greet();
    expect(after.journalId).toBe(before.journalId);
    expect(after.bootId).not.toBe(before.bootId);
  });

  it('generations go on, so that what was said of one is never said of another credential (C4)', async () => {
    await using sidecar = await startRestartable();
    {
      await using client = await RawClient.connect(sidecar);
      const credential = { id: 'b', kind: 'oauth', secret: 'sk-ant-oat01-b' } as const;
      expect(await client.request('swap_credential', { credential })).toMatchObject({ generation: 2 });
    }
    await sidecar.restart();
    await using client = await RawClient.connect(sidecar);
    expect(await client.request('status')).toMatchObject({ generation: 3, credentialId: 'standing' });
    await sidecar.restart({ credential: null });
    await using bare = await RawClient.connect(sidecar);
    expect(await bare.request('status')).toMatchObject({ generation: null });
    const credential = { id: 'c', kind: 'oauth', secret: 'sk-ant-oat01-c' } as const;
    expect(await bare.request('swap_credential', { credential, ifGeneration: null })).toMatchObject({ generation: 4 });
  });
});

describe('logs that are not kept any longer', () => {
  it('are a gap from the cursor to their end, and so they are after a restart (T5)', async () => {
    await using sidecar = await startRestartable({ args: ['--log-bytes-max=1000'] });
    const filled: FakeStep[] = [{ do: 'fill', lines: 2, lineBytes: 500 }, { do: 'result' }];
    const ends: Record<string, number> = {};
    {
      await using client = await RawClient.connect(sidecar);
      for (const id of ['old', 'new']) {
        await client.dispatch(id, filled);
        const { end } = await client.waitFor('outcome', ({ outcome }) => outcome.executionId === id);
        ends[id] = end.stdout;
      }
    }
    const gapOf = async () => {
      await using client = await RawClient.connect(sidecar);
      const from = { attempt: 1, stdout: 501, stderr: 0 };
      await client.request('subscribe', { subscription: 's', executionId: 'old', from, creditBytes: 1000 });
      const { start, end, log, reason } = await client.waitFor('gap');
      await client.settled();
      expect(client.frames.filter(({ type }) => ['output', 'gap'].includes(type))).toHaveLength(1);
      return { start, end, log, reason };
    };
    const expected = { start: 501, end: ends['old'], log: 'stdout', reason: 'retention' };
    expect(await gapOf()).toEqual(expected);
    await sidecar.restart();
    expect(await gapOf()).toEqual(expected);
  });
});

describe('a sidecar in env mode that is started again without a credential', () => {
  it('starts nothing without one, and all that was accepted once there is one', async () => {
    const queue = { whenBusy: 'queue' } as const;
    await using sidecar = await startRestartable({ args: ['--max-executions=1'] });
    {
      await using client = await RawClient.connect(sidecar);
      const resumePrompt = fakeScript([{ do: 'init' }, { do: 'result' }]);
      await client.dispatch('resumed', refused, { onCredentialFailure: 'resume', resumePrompt });
      for (const id of ['a', 'b', 'c', 'unwanted'])
        await client.dispatch(id, [{ do: 'init' }, { do: 'result' }], queue);
      await isWaiting(client, 'resumed');
    }
    await sidecar.restart({ credential: null, args: ['--max-executions=8'] });
    await using client = await RawClient.connect(sidecar);
    await client.waitFor('credential_needed', ({ reason }) => reason === 'credential_missing');
    await client.waitFor('credential_needed', ({ executions }) => executions.includes('resumed'));
    const stateOf = async (executionId: string) => (await client.request('status', { executionId })).execution?.state;
    for (const id of ['a', 'b', 'c', 'unwanted']) await expect.poll(() => stateOf(id)).toBe('starting');
    await client.request('cancel', { executionId: 'unwanted' });
    expect(await client.outcome('unwanted')).toMatchObject({ status: 'cancelled', attempts: 0, survivors: 0 });
    await client.request('swap_credential', { credential: SECOND, ifGeneration: null });
    for (const id of ['resumed', 'a', 'b', 'c'])
      expect(await client.outcome(id)).toMatchObject({ status: 'succeeded' });
  });
});
