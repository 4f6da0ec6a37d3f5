/**
 * `better-ccflare` as a user would run it without a screen: a proxy that shares out requests between accounts. Here it has
 * one, which points at the stand-in API.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const BINARY = join(import.meta.dirname, '../node_modules/better-ccflare/dist/better-ccflare');
const START_TRIES = 300;
const START_EVERY_MS = 100;
/** Nobody listens there. */
const NOWHERE = 'http://127.0.0.1:9';

export interface StartedCcflare extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
}

export async function startCcflare(apiUrl: string, apiKey: string): Promise<StartedCcflare> {
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-bench-ccflare-'));
  const port = await freePort();
  const child = spawn(BINARY, ['--serve', '--port', String(port)], {
    cwd: folder,
    stdio: 'ignore',
    env: {
      PATH: process.env['PATH'],
      HOME: folder,
      BETTER_CCFLARE_HOST: '127.0.0.1',
      BETTER_CCFLARE_CONFIG_PATH: join(folder, 'config.json'),
      BETTER_CCFLARE_DB_PATH: join(folder, 'accounts.db'),
      // By default each request and answer is written to its database.
      STORE_PAYLOADS: 'false',
      LOG_LEVEL: 'ERROR',
      // It would ask for prices and for what is left of a quota.
      CF_PRICING_OFFLINE: '1',
      HTTP_PROXY: NOWHERE,
      HTTPS_PROXY: NOWHERE,
      NO_PROXY: '127.0.0.1',
    },
  });
  const url = `http://127.0.0.1:${port}`;
  await addAccount(url, { name: 'bench', apiKey, priority: 0, customEndpoint: apiUrl });
  return {
    url,
    pid: child.pid ?? 0,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await once(child, 'exit');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function addAccount(url: string, account: object): Promise<void> {
  for (let left = START_TRIES; left > 0; left--) {
    try {
      const answer = await fetch(`${url}/api/accounts/anthropic-compatible`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(account),
      });
      if (!answer.ok) throw new Error(`better-ccflare took no account: ${await answer.text()}`);
      return;
    } catch (error) {
      // What fetch throws while nobody listens.
      if (!(error instanceof TypeError)) throw error;
    }
    await sleep(START_EVERY_MS);
  }
  throw new Error('better-ccflare did not listen');
}

/** It cannot be told to take any port that is free. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
