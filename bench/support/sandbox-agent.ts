import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface StartedSandboxAgent extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
}

/**
 * Starts the server of sandbox-agent itself, without the Node that its package has in front of it.
 *
 * @param settings Of its process API, such as `maxConcurrentProcesses`; what is not said stays as it is.
 */
export async function startSandboxAgent(settings: Readonly<Record<string, number>>): Promise<StartedSandboxAgent> {
  const platform = `cli-${process.platform}-${process.arch}`;
  const file = join(import.meta.dirname, '../node_modules/@sandbox-agent', platform, 'bin/sandbox-agent');
  const home = mkdtempSync(join(tmpdir(), 'outrigger-bench-'));
  const port = await freePort();
  const flags = ['--no-telemetry', '--no-token', '--host', '127.0.0.1', '--port', String(port)];
  const server = spawn(file, ['server', ...flags], {
    env: { PATH: process.env['PATH'], HOME: home },
    stdio: 'ignore',
  });
  const url = `http://127.0.0.1:${port}`;
  while (!(await isHealthy(url))) {
    if (server.exitCode !== null) throw new Error(`sandbox-agent exited with ${server.exitCode}`);
    await sleep(50);
  }
  const before = (await (await fetch(`${url}/v1/processes/config`)).json()) as object;
  await post(`${url}/v1/processes/config`, { ...before, ...settings });
  return {
    url,
    pid: server.pid ?? 0,
    [Symbol.asyncDispose]: async () => {
      server.kill('SIGKILL');
      await once(server, 'exit');
      rmSync(home, { recursive: true, force: true });
    },
  };
}

export async function post(url: string, body: object): Promise<void> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
}

async function isHealthy(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/v1/health`)).ok;
  } catch {
    return false;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
