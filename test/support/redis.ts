import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { ensureInstalled } from './installed.js';

/** A Redis server of the test's own, empty, that forgets everything when it ends. */
export interface TestRedis extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly process: ChildProcess;
  /** With SIGKILL. Resolves when it is gone, and everything it knew. */
  kill(): Promise<void>;
  /** Starts it anew on the same port, empty. */
  start(): Promise<void>;
}

/** Makes sure that there is a redis-server. @throws Error with one line that says what to do */
export function ensureRedisServer(): void {
  ensureInstalled({
    what: 'redis-server on PATH',
    debianPackage: 'redis-server',
    isThere: () => spawnSync('redis-server', ['--version']).status === 0,
  });
}

export async function startRedis(flags: readonly string[] = []): Promise<TestRedis> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-redis-'));
  let child = await launch(port, folder, flags);
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  };
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    get process() {
      return child;
    },
    kill,
    start: async () => {
      child = await launch(port, folder, flags);
    },
    [Symbol.asyncDispose]: async () => {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A cluster of three masters. */
export async function startRedisCluster(): Promise<{ urls: string[] } & AsyncDisposable> {
  const flags = ['--cluster-enabled', 'yes', '--cluster-require-full-coverage', 'no'];
  const nodes = await Promise.all([1, 2, 3].map(() => startRedis(flags)));
  const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`);
  execFileSync('redis-cli', ['--cluster', 'create', ...addresses, '--cluster-replicas', '0', '--cluster-yes']);
  for (const { url } of nodes) await clusterIsUp(url);
  return {
    urls: nodes.map(({ url }) => url),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(nodes.map((node) => node[Symbol.asyncDispose]()));
    },
  };
}

async function launch(port: number, folder: string, flags: readonly string[]): Promise<ChildProcess> {
  const options = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder];
  const child = spawn('redis-server', [...options, ...flags], { stdio: 'ignore' });
  const killWithUs = () => void child.kill('SIGKILL');
  process.once('exit', killWithUs);
  child.once('exit', () => process.off('exit', killWithUs));
  await answers(`redis://127.0.0.1:${port}`, async (client) => {
    await client.ping();
    return true;
  });
  return child;
}

const clusterIsUp = (url: string) =>
  answers(url, async (client) => (await client.cluster('INFO')).includes('cluster_state:ok'));

/** Resolves when `isReady`; asks again and again, as there is nothing that tells. */
async function answers(url: string, isReady: (client: Redis) => Promise<boolean>): Promise<void> {
  const client = new Redis(url, { retryStrategy: () => 20, maxRetriesPerRequest: null });
  client.on('error', () => undefined);
  try {
    while (!(await isReady(client))) await new Promise((resolve) => setTimeout(resolve, 20));
  } finally {
    client.disconnect();
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  // A node of a cluster has its bus 10,000 above its port.
  return port > 55_000 ? freePort() : port;
}
