import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { fakeClaudePath } from '@outrigger/sdk/testing';
import { expect, it, onTestFinished } from 'vitest';
import { RawClient } from './support/raw-client.js';
import { temporaryFolder } from './support/runs.js';
import { TOKEN } from './support/sidecar.js';

const SIDECAR = fileURLToPath(new URL('../packages/sidecar/dist/main.js', import.meta.url));

/** Far more lines than a pipe holds: 64 KiB. */
const EXECUTIONS = 500;

it('a log that nobody reads stops neither the sidecar nor its end', async () => {
  const folder = temporaryFolder();
  const pipe = join(folder, 'log');
  execFileSync('mkfifo', [pipe]);
  const unread = openSync(pipe, 'r+');
  const flags = ['--listen=127.0.0.1:0', `--state-dir=${folder}/state`, `--claude=${fakeClaudePath}`];
  const child = spawn(process.execPath, [SIDECAR, ...flags, '--log-level=trace'], {
    env: {
      PATH: process.env['PATH'],
      HOME: folder,
      OUTRIGGER_TOKEN: TOKEN,
      ANTHROPIC_API_KEY: 'a-credential-for-tests',
    },
    stdio: ['ignore', 'pipe', unread],
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
    closeSync(unread);
  });
  if (child.stdout === null) throw new Error('stdout is no pipe');
  const [ready] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const url = /ws:\S+/.exec(ready)?.[0] ?? '';

  await using client = await RawClient.connect({ url, token: TOKEN });
  for (let n = 0; n < EXECUTIONS; n++) {
    const executionId = `unread-${n}`;
    client.send({ type: 'cancel', id: executionId, executionId });
    client.send({ type: 'dispatch', id: executionId, executionId, request: { prompt: 'x' } });
  }
  await client.outcome(`unread-${EXECUTIONS - 1}`);
  const health = await fetch(`${url.replace('ws:', 'http:')}/healthz`);
  expect(await health.json()).toMatchObject({ status: 'ok', counts: { live: 0, unacknowledged: EXECUTIONS } });

  await client.close();
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
});
