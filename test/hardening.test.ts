import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fakeScript } from '@outrigger/sdk/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { listeningPorts, processesIn } from './support/outside.js';
import { RawClient } from './support/raw-client.js';
import { hanging, hasPrinted, temporaryFolder } from './support/runs.js';
import { startSidecar, type TestSidecar } from './support/sidecar.js';

/** An inspector takes any free port, so that none is missed because another process has the usual one. */
const ANY_PORT = '--inspect-port=0';
const asModule = (code: string) => `--import=data:text/javascript,${encodeURIComponent(code)}`;

const portOf = (url: string) => Number(new URL(url).port);
const coreLimits = (pid: number) =>
  /^Max core file size +(?<soft>\S+) +(?<hard>\S+)/m.exec(readFileSync(`/proc/${pid}/limits`, 'utf8'))?.groups;

function pidOf({ pid }: ChildProcess): number {
  if (pid === undefined) throw new Error('the process was not started');
  return pid;
}

describe('the inspector', () => {
  it('is opened by SIGUSR1 in any other Node process', async () => {
    const child = spawn(process.execPath, [ANY_PORT, '-e', 'console.log("up"); setInterval(() => {}, 1000)']);
    onTestFinished(() => void child.kill('SIGKILL'));
    await once(child.stdout, 'data');
    child.kill('SIGUSR1');
    await once(createInterface({ input: child.stderr }), 'line');
    expect(listeningPorts(pidOf(child))).toHaveLength(1);
  });

  it('is not opened by SIGUSR1, whatever the sidecar is doing', async () => {
    await using sidecar = await startSidecar({ env: { NODE_OPTIONS: ANY_PORT } });
    sidecar.process.kill('SIGUSR1');
    await sidecar.waitForLog(({ msg }) => msg.startsWith('SIGUSR1 does not open the inspector'));
    expect(listeningPorts(pidOf(sidecar.process))).toEqual([portOf(sidecar.url)]);
  });

  it('is closed again where the signal came before the sidecar could take it', async () => {
    const signalled = asModule(`
      import inspector from 'node:inspector';
      process.kill(process.pid, 'SIGUSR1');
      while (inspector.url() === undefined) await new Promise((resolve) => setImmediate(resolve));
    `);
    await using sidecar = await startSidecar({ env: { NODE_OPTIONS: `${ANY_PORT} ${signalled}` } });
    await sidecar.waitForLog(({ msg }) => msg.startsWith('Debugger listening'));
    expect(listeningPorts(pidOf(sidecar.process))).toEqual([portOf(sidecar.url)]);
  });

  it('stays where it was asked for, with a warning for it and for whatever else lays memory open', async () => {
    const flags = ['--inspect=127.0.0.1:0', '--heapsnapshot-signal=SIGUSR2', '--report_on_fatalerror'];
    await using sidecar = await startSidecar({ env: { NODE_OPTIONS: flags.join(' ') } });
    expect(listeningPorts(pidOf(sidecar.process))).toHaveLength(2);
    for (const flag of ['--inspect', '--heapsnapshot-signal', '--report-on-fatalerror']) {
      await sidecar.waitForLog(({ level, msg }) => level === 40 && msg.startsWith(`Node was started with ${flag},`));
    }
  });
});

describe('what a run gets from the sidecar', () => {
  it('is a soft limit that makes no core dumps, which it may raise', async () => {
    await using sidecar = await startSidecar({ args: ['--log-level=debug'] });
    await using run = await startRun(sidecar);
    await sidecar.waitForLog(({ coreDumps }) => coreDumps === 'none');
    const expected = { soft: '1', hard: coreLimits(process.pid)?.['hard'] };
    expect(coreLimits(pidOf(sidecar.process))).toEqual(expected);
    expect(coreLimits(run.pid)).toEqual(expected);
  });

  it('is no variable with a secret, even where the operator hands it on', async () => {
    await using sidecar = await startSidecar({ args: ['--pass-env=OUTRIGGER_TOKEN'] });
    await using run = await startRun(sidecar);
    const environment = readFileSync(`/proc/${run.pid}/environ`, 'utf8');
    expect(environment).toContain('OUTRIGGER_EXECUTION_ID=run');
    expect(environment).not.toContain('OUTRIGGER_TOKEN');
  });
});

async function startRun(sidecar: TestSidecar): Promise<{ pid: number } & AsyncDisposable> {
  const client = await RawClient.connect(sidecar);
  const cwd = temporaryFolder();
  await client.request('dispatch', { executionId: 'run', request: { prompt: fakeScript(hanging), cwd } });
  await hasPrinted(client, 'run');
  const [pid = 0] = processesIn(cwd);
  return { pid, [Symbol.asyncDispose]: () => client[Symbol.asyncDispose]() };
}
