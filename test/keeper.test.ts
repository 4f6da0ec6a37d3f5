import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { fakeClaudePath } from '@outrigger/sdk/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { RawClient } from './support/raw-client.js';
import { hasPrinted, temporaryFolder, until } from './support/runs.js';
import { TOKEN } from './support/sidecar.js';

const root = (path: string) => fileURLToPath(new URL(`../packages/sidecar/${path}`, import.meta.url));

/** A keeper of a sidecar on a port of its own. `ready` gives the URL of each start. */
function startKeeper(args: string[] = []) {
  const folder = temporaryFolder();
  const sidecar = join(folder, 'outrigger-sidecar');
  const pids = join(folder, 'pids');
  writeFileSync(sidecar, `#!/bin/sh\necho $$ >${pids}\nexec ${process.execPath} ${root('dist/main.js')} "$@"\n`, {
    mode: 0o755,
  });
  const options = [
    '--credential-mode=env',
    `--claude=${fakeClaudePath}`,
    `--state-dir=${join(folder, 'state')}`,
    '--drain-timeout-ms=0',
    ...args,
  ];
  const keeper = spawn(root('bin/outrigger-keeper'), options, {
    env: {
      PATH: process.env['PATH'],
      HOME: folder,
      OUTRIGGER_SIDECAR: sidecar,
      OUTRIGGER_TOKEN: TOKEN,
      CLAUDE_CODE_OAUTH_TOKEN: 'a-credential-for-tests',
      OUTRIGGER_KEEPER_BACKOFF_MIN: '0',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void keeper.kill('SIGKILL'));
  const lines = createInterface({ input: keeper.stdout })[Symbol.asyncIterator]();
  const ready = async () => /ready: (\S+)/.exec(String((await lines.next()).value))?.[1] ?? '';
  return { keeper, ready, sidecarPid: () => Number(readFileSync(pids, 'utf8')) };
}

const exitOf = async (keeper: ChildProcess) => (await once(keeper, 'exit')) as [number | null, string | null];

describe('the keeper', () => {
  it('starts a sidecar again that was killed, and its runs go on (R1)', async () => {
    const gate = join(temporaryFolder(), 'gate');
    const { keeper, ready, sidecarPid } = startKeeper(['--listen=127.0.0.1:0']);
    {
      await using client = await RawClient.connect({ url: await ready(), token: TOKEN });
      await client.dispatch('run', until(gate));
      await hasPrinted(client, 'run');
    }
    process.kill(sidecarPid(), 'SIGKILL');
    await using client = await RawClient.connect({ url: await ready(), token: TOKEN });
    writeFileSync(gate, '');
    expect(await client.outcome('run')).toMatchObject({ status: 'succeeded', attempts: 1 });
    keeper.kill('SIGTERM');
    expect(await exitOf(keeper)).toEqual([0, null]);
  });

  it('passes signals on, and leaves with a sidecar that stops', async () => {
    const { keeper, ready, sidecarPid } = startKeeper(['--listen=127.0.0.1:0', '--drain-timeout-ms=60000']);
    await using client = await RawClient.connect({ url: await ready(), token: TOKEN });
    await client.dispatch('run', [{ do: 'init' }, { do: 'hang' }]);
    await hasPrinted(client, 'run');
    keeper.kill('SIGTERM');
    await client.waitFor('drain_progress', ({ state }) => state === 'draining');
    keeper.kill('SIGTERM');
    expect(await client.outcome('run')).toMatchObject({ status: 'cancelled', reason: 'drained' });
    expect(await exitOf(keeper)).toEqual([0, null]);
    expect(() => process.kill(sidecarPid(), 0)).toThrow('ESRCH');
  });

  it('loses no signal, however soon after its own start one comes', async () => {
    for (let tenths = 0; tenths < 100; tenths += 2) {
      const { keeper } = startKeeper(['--listen=127.0.0.1:0']);
      const exit = exitOf(keeper);
      const sendAt = performance.now() + tenths / 10;
      // No timer is as fine.
      while (performance.now() < sendAt);
      keeper.kill('SIGTERM');
      // Neither a shell that has read nothing yet nor a sidecar that has not begun can do more than end by it.
      expect(['0', '143', 'SIGTERM']).toContain(String((await exit).find((how) => how !== null)));
    }
  });

  it('does not start again what cannot be started: wrong options end it at once (B3)', async () => {
    const { keeper } = startKeeper(['--listen=nowhere']);
    expect(await exitOf(keeper)).toEqual([2, null]);
  });
});
