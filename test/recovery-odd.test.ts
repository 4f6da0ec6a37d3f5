import { type ChildProcess, execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { type FakeStep } from '@outrigger/sdk/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { connectFleet, script } from './support/fleet.js';
import { recordsIn } from './support/journal.js';
import { processesIn } from './support/outside.js';
import { RawClient } from './support/raw-client.js';
import { startRestartable } from './support/restart.js';
import { hanging, hasPrinted, temporaryFolder, until } from './support/runs.js';

const TASK: FakeStep = { do: 'event', event: { type: 'system', subtype: 'task_started', task_id: 't' } };
const TASK_ENDS: FakeStep = { do: 'event', event: { type: 'system', subtype: 'task_notification', task_id: 't' } };

describe('a log that is something else when its sidecar is started again (R1)', () => {
  const makers: Record<string, (path: string) => void> = {
    folder: (path) => mkdirSync(path),
    fifo: (path) => void execFileSync('mkfifo', [path]),
    link: (path) => symlinkSync('/etc/passwd', path),
    nothing: () => undefined,
  };

  it.each(Object.keys(makers))('%s: costs its run its output, and nobody else anything (I12)', async (kind) => {
    const folder = temporaryFolder();
    const gate = join(folder, 'gate');
    await using sidecar = await startRestartable();
    {
      await using client = await RawClient.connect(sidecar);
      for (const id of ['run', 'other']) {
        await client.dispatch(id, until(gate), { cwd: folder });
        await hasPrinted(client, id);
      }
    }
    await sidecar.kill();
    const log = join(sidecar.stateDir, 'executions/run/1/stdout');
    rmSync(log);
    makers[kind]?.(log);
    await sidecar.start();
    await using client = await RawClient.connect(sidecar);
    writeFileSync(gate, '');
    expect(await client.outcome('other')).toMatchObject({ status: 'succeeded' });
    expect(await client.outcome('run')).toMatchObject({ status: 'failed', reason: 'crashed', survivors: 0 });
    expect(processesIn(folder)).toEqual([]);
  });
});

describe('a run whose exit nobody saw (R1)', () => {
  const runs: [string, FakeStep[], object][] = [
    ['with a good result and a task open', [TASK, { do: 'result', result: 'x' }], { status: 'succeeded' }],
    ['after its last task', [TASK, { do: 'result', result: 'x' }, TASK_ENDS], { status: 'succeeded' }],
    ['within another turn', [{ do: 'result', result: 'x' }, { do: 'init' }], { status: 'failed', reason: 'crashed' }],
    [
      'with words on stderr',
      [{ do: 'write', to: 'stderr', text: 'Invalid API key · Please run /login\n' }],
      { status: 'failed', reason: 'auth_invalid' },
    ],
  ];

  it.each(runs)('%s has ended as its logs say', async (_name, steps, expected) => {
    const folder = temporaryFolder();
    const gate = join(folder, 'gate');
    await using sidecar = await startRestartable();
    {
      await using client = await RawClient.connect(sidecar);
      const script: FakeStep[] = [{ do: 'init' }, { do: 'waitForFile', path: gate }, ...steps, { do: 'exit', code: 0 }];
      await client.dispatch('run', script, { cwd: folder });
      await hasPrinted(client, 'run');
    }
    await sidecar.restart();
    writeFileSync(gate, '');
    await using client = await RawClient.connect(sidecar);
    expect(await client.outcome('run')).toMatchObject(expected);
  });
});

describe('a journal that is not as it was written', () => {
  const start = async (sidecar: Awaited<ReturnType<typeof startRestartable>>, folder: string) => {
    const host = await connectFleet(sidecar);
    const dispatch = async (executionId: string) => {
      const execution = await host.agent.dispatch({ executionId, prompt: script(...hanging), cwd: folder });
      for await (const { type } of execution) if (type === 'message') break;
      return execution;
    };
    return { host, first: await dispatch('first'), second: await dispatch('second') };
  };

  it('with a damaged line in its middle keeps all else, under another name, so that what it lacks is lost (R16)', async () => {
    const folder = temporaryFolder();
    await using sidecar = await startRestartable();
    const { host, first, second } = await start(sidecar, folder);
    await using _host = host;
    await sidecar.kill();
    const path = join(sidecar.stateDir, 'journal');
    const [header] = recordsIn(sidecar.stateDir);
    const lines = readFileSync(path, 'utf8').split('\n');
    const damaged = lines.map((line) =>
      line.includes('"accepted"') && line.includes('"second"') ? line.replace('"digest"', '"dxgest"') : line,
    );
    writeFileSync(path, damaged.join('\n'));
    await sidecar.start();
    expect(await second.outcome).toMatchObject({ status: 'lost', reason: 'sidecar_restarted' });
    expect(recordsIn(sidecar.stateDir)[0]?.['journalId']).not.toBe(header?.['journalId']);
    expect(existsSync(`${path}.damaged`)).toBe(true);
    // Of the other one everything is known, and it goes on alone.
    expect(processesIn(folder)).toHaveLength(1);
    await first.cancel();
    expect(await first.outcome).toMatchObject({ status: 'cancelled', survivors: 0 });
  });

  it('with a record of a kind that nobody knows is read, and one that makes no sense ends its execution alone', async () => {
    const folder = temporaryFolder();
    await using sidecar = await startRestartable();
    const { host, first, second } = await start(sidecar, folder);
    await using _host = host;
    await sidecar.kill();
    const append = (record: object) => {
      const json = JSON.stringify(record);
      const line = `${crc32(json).toString(16).padStart(8, '0')} ${json}\n`;
      appendFileSync(join(sidecar.stateDir, 'journal'), line);
    };
    append({ is: 'of_tomorrow', id: 'first' });
    append({ is: 'held', id: 'second', heldMs: 0, hold: 'none' });
    append({ is: 'starting', id: 'second', attempt: 2, session: 'start', sessionId: 's', start: null });
    await sidecar.start();
    expect(await second.outcome).toMatchObject({ status: 'failed', reason: 'crashed' });
    await first.cancel();
    expect(await first.outcome).toMatchObject({ status: 'cancelled', survivors: 0 });
    expect(processesIn(folder)).toEqual([]);
  });

  it('and is lost, leaves nothing behind that goes on, by whatever name its folder is called (I1)', async () => {
    const base = temporaryFolder();
    const folder = temporaryFolder();
    mkdirSync(join(base, 'real'));
    symlinkSync(join(base, 'real'), join(base, 'link'));
    await using sidecar = await startRestartable({ stateDir: join(base, 'link') });
    const { host } = await start(sidecar, folder);
    await using _host = host;
    await sidecar.kill();
    rmSync(join(sidecar.stateDir, 'journal'));
    await sidecar.start();
    expect(processesIn(folder)).toEqual([]);
  });
});

describe('a sidecar that is killed again and again', () => {
  it('takes a run for lost whose gateway it has given up, though it was killed before it could say so (R17)', async () => {
    const folder = temporaryFolder();
    const mode = { mode: 'gateway', upstream: 'http://127.0.0.1:9', args: ['--gateway-rebind-ms=0'] } as const;
    await using sidecar = await startRestartable({ ...mode, args: [...mode.args] });
    {
      await using client = await RawClient.connect(sidecar);
      await client.dispatch('run', hanging, { cwd: folder });
      await hasPrinted(client, 'run');
    }
    await sidecar.kill();
    // What the one in between had time for: it has noted the other port, and nothing else.
    const file = join(sidecar.stateDir, 'gateway-port');
    writeFileSync(file, `${Number(readFileSync(file, 'utf8')) - 1}\n`);
    await sidecar.start();
    await using client = await RawClient.connect(sidecar);
    expect(await client.outcome('run')).toMatchObject({ status: 'failed', reason: 'gateway_lost', survivors: 0 });
  });

  it('while it recovers comes to the same end (R1)', async () => {
    const folder = temporaryFolder();
    const gate = join(folder, 'gate');
    await using sidecar = await startRestartable({ maxExecutions: 4 });
    {
      await using client = await RawClient.connect(sidecar);
      await client.dispatch('good', until(gate), { cwd: folder });
      await client.dispatch('late', hanging, { cwd: folder, timeoutMs: 2500, graceMs: 200 });
      for (const id of ['good', 'late']) await hasPrinted(client, id);
    }
    const before = processesIn(folder);
    for (let n = 0; n < 6; n++) {
      await sidecar.kill();
      // Wherever it is by then.
      const onSpawn = (child: ChildProcess) => setTimeout(() => child.kill('SIGKILL'), 80 + 50 * n);
      const started = await sidecar.start({ onSpawn }).catch(() => null);
      await started?.exited;
      // Nobody is started, whatever else comes to its end meanwhile.
      expect(before).toEqual(expect.arrayContaining(processesIn(folder)));
      await sidecar.start();
    }
    writeFileSync(gate, '');
    await using client = await RawClient.connect(sidecar);
    expect(await client.outcome('good')).toMatchObject({ status: 'succeeded', attempts: 1 });
    const late = await client.outcome('late');
    expect(late).toMatchObject({ status: 'timed_out', reason: 'deadline', attempts: 1, survivors: 0 });
    expect(late.endedAt - (late.startedAt ?? 0)).toBe(2500);
  });
});

it('SIGTERM while a sidecar takes over is heeded once it has: its runs are ended, and it stops (D4)', async () => {
  const folder = temporaryFolder();
  await using sidecar = await startRestartable({ mode: 'gateway', upstream: 'http://127.0.0.1:9' });
  {
    await using client = await RawClient.connect(sidecar);
    await client.dispatch('run', hanging, { cwd: folder, graceMs: 200 });
    await hasPrinted(client, 'run');
  }
  await sidecar.kill();
  const port = Number(readFileSync(join(sidecar.stateDir, 'gateway-port'), 'utf8'));
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const starting = sidecar.start({ onSpawn: (child) => setTimeout(() => child.kill('SIGTERM'), 700) });
  await new Promise((resolve) => setTimeout(resolve, 1200));
  server.close();
  const { exited } = await starting;
  expect(await exited).toEqual({ code: 0, signal: null });
  expect(processesIn(folder)).toEqual([]);
  expect(recordsIn(sidecar.stateDir)).toContainEqual(expect.objectContaining({ is: 'ended', id: 'run' }));
});
