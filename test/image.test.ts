import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { delimiter, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Agent, createFleet, type Fleet } from '@outrigger/sdk';
import { fakeClaudePath, fakeScript, type FakeStep } from '@outrigger/sdk/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { filesOf, readDocker, readImage, REPOSITORY } from './support/image.js';
import { readCompose } from './support/manifests.js';
import { hanging, temporaryFolder } from './support/runs.js';

const dockerfile = readDocker('Dockerfile');
const image = readImage(dockerfile);
const service = readCompose(readDocker('compose.yaml')).services['agent-one'];
const node = dirname(process.execPath);
const PATH = [node, ...(process.env['PATH'] ?? '').split(delimiter)].join(delimiter);
const hasTini = spawnSync('tini', ['--version']).error === undefined;
/** An entry point without tini is the keeper, for a machine that has none. */
const entrypoint = hasTini ? image.entrypoint : image.entrypoint.slice(2);

/** What the image's steps put into it, in a folder. Secrets are those of compose.yaml. */
function layOut() {
  const root = temporaryFolder();
  for (const { from, to } of filesOf(dockerfile, 'sidecar')) {
    mkdirSync(dirname(join(root, to)), { recursive: true });
    cpSync(join(REPOSITORY, from), join(root, to));
    chmodSync(join(root, to), 0o555);
  }
  const made = temporaryFolder();
  execFileSync('sh', [`${REPOSITORY}docker/make-secrets.sh`, made]);
  cpSync(join(made, 'agent'), join(root, 'run/secrets'), { recursive: true });
  writeFileSync(join(root, 'run/secrets/claude-credential'), 'made-up', { mode: 0o600 });
  const secret = (name: string) => readFileSync(join(root, 'run/secrets', name), 'utf8').trim();
  return { root, token: secret('outrigger-token'), ca: secret('tls.crt') };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

/** The variables of the image and of compose.yaml, and what a test needs otherwise. */
const environment = (port: number) => ({
  PATH,
  ...image.env,
  ...service?.environment,
  OUTRIGGER_LISTEN: `127.0.0.1:${port}`,
  OUTRIGGER_CREDENTIAL_MODE: 'env', // the fake CLI asks nobody
  OUTRIGGER_CREDENTIAL_FILE: '/run/secrets/claude-credential',
  OUTRIGGER_DRAIN_TIMEOUT_MS: '0',
  OUTRIGGER_KEEPER_BACKOFF_MIN: '0',
});

async function readyUrl(process: ChildProcess): Promise<string> {
  if (process.stdout === null) throw new Error('stdout is no pipe');
  for await (const line of createInterface({ input: process.stdout })) {
    const url = /ready: (\S+)/.exec(line)?.[1];
    if (url !== undefined) return url;
  }
  throw new Error('it did not start');
}

async function connect(options: { url: string; token: string; ca: string }): Promise<{ agent: Agent; fleet: Fleet }> {
  const fleet = createFleet();
  onTestFinished(() => fleet.close());
  return { fleet, agent: await fleet.connect(options) };
}

const exitOf = async (process: ChildProcess) => (await once(process, 'exit')) as [number | null, string | null];

describe("the image's files", () => {
  it('start a sidecar that is healthy, drains when it is told to stop, and exits 0', async () => {
    const { root, token, ca } = layOut();
    const port = await freePort();
    const env = Object.entries({ ...environment(port), OUTRIGGER_CLAUDE: fakeClaudePath }).map(([name, value]) => {
      const isInImage = /^\/(run|var)\//.test(value);
      return [name, isInImage ? join(root, value) : value] as const;
    });
    const { OUTRIGGER_RUN_AS: _needsRoot, ...rest } = Object.fromEntries(env);
    const inRoot = (argv: readonly string[]) => argv.map((one) => (one.startsWith('/') ? join(root, one) : one));
    const healthcheck = () => {
      const [command = '', ...argv] = inRoot(image.healthcheck);
      return spawnSync(command, argv, { env: rest, encoding: 'utf8' });
    };
    expect(healthcheck()).toMatchObject({ status: 1, stderr: expect.stringContaining('ECONNREFUSED') as string });

    const [command = '', ...argv] = inRoot(entrypoint);
    const container = spawn(command, argv, { env: rest, stdio: ['ignore', 'pipe', 'ignore'] });
    onTestFinished(() => void container.kill('SIGKILL'));
    const exited = exitOf(container);
    const { agent } = await connect({ url: await readyUrl(container), token, ca });
    expect(healthcheck()).toMatchObject({ status: 0, stderr: '' });

    const execution = await agent.dispatch({ prompt: fakeScript(hanging) });
    container.kill('SIGTERM');
    expect(await execution.outcome).toMatchObject({ status: 'cancelled', reason: 'drained' });
    expect(await exited).toEqual([0, null]);
    expect(healthcheck()).toMatchObject({ status: 1 });
  });
});

const childrenOf = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);

/** The process below another one that has an argument with this end. */
function descendant(pid: number, end: string): number {
  const all = (parent: number): number[] => childrenOf(parent).flatMap((child) => [child, ...all(child)]);
  const isIt = (child: number) =>
    readFileSync(`/proc/${child}/cmdline`, 'utf8')
      .split('\0')
      .some((argument) => argument.endsWith(end));
  const found = all(pid).find(isIt);
  if (found === undefined) throw new Error(`there is no process of ${end}`);
  return found;
}

/** Whether this machine lets us make a container's namespaces. */
const canIsolate =
  spawnSync('unshare', ['--mount', '--pid', '--fork', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0;

describe.runIf(canIsolate)('in a read-only root, with the capabilities of compose.yaml', () => {
  /** What a run tells of where it is: who it is, and whether it can read and write what it should not. */
  const claude = `#!/bin/sh
echo "uid $(id -u)" >&2
for name in outrigger-token tls.key claude-credential; do cat /run/secrets/$name >&2; done
ls /var/lib/outrigger >&2
echo >/opt/outrigger/dist/main.js
exec node /src/packages/sdk/dist/testing/fake-claude.js "$@"
`;

  async function start() {
    const files = layOut();
    writeFileSync(join(files.root, 'opt/claude'), claude);
    chmodSync(join(files.root, 'opt/claude'), 0o755);
    const port = await freePort();
    const env = { ...environment(port), OUTRIGGER_CLAUDE: '/opt/claude' };
    const capabilities = service?.cap_add?.map((name) => `,+${name.toLowerCase()}`).join('') ?? '';
    const script = `${REPOSITORY}test/support/image-root.sh`;
    const folders = [temporaryFolder(), files.root, REPOSITORY, process.execPath];
    const argv = ['--mount', '--pid', '--fork', '--kill-child', 'sh', script, ...folders, capabilities, ...entrypoint];
    const outside = spawn('unshare', argv, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    onTestFinished(() => void outside.kill('SIGKILL'));
    outside.stderr.resume();
    const exited = exitOf(outside);
    const url = await readyUrl(outside);
    const [pid = 0] = childrenOf(outside.pid ?? 0);
    const inside = (...command: string[]) => spawnSync('chroot', [`/proc/${pid}/root`, ...command], { env });
    return { ...files, url, pid, inside, exited };
  }

  const collectStderr = async (agent: Agent, steps: FakeStep[]) => {
    const execution = await agent.dispatch({ prompt: fakeScript(steps), settings: { cleanupPeriodDays: 7 } });
    const lines: string[] = [];
    for await (const event of execution) if (event.type === 'stderr') lines.push(event.line);
    return { outcome: await execution.outcome, told: lines.join('\n') };
  };

  it('runs are a user of their own, who reads no secret and no state', async () => {
    const { url, token, ca, inside, pid, exited } = await start();
    expect(inside(...image.healthcheck).status).toBe(0);
    const { agent } = await connect({ url, token, ca });
    const { outcome, told } = await collectStderr(agent, [{ do: 'init' }, { do: 'result' }]);
    expect(outcome).toMatchObject({ status: 'succeeded', survivors: 0 });
    expect(told).toContain('uid 10001');
    expect(told.match(/Permission denied/g)).toHaveLength(4);
    expect(told).toMatch(/main\.js: Read-only file system/);
    // What was handed to the run, its settings, is taken away again.
    await expect.poll(() => inside('ls', '/tmp').stdout.toString()).toBe('');
    process.kill(pid, 'SIGTERM');
    expect(await exited).toEqual([0, null]);
  });

  it('what such a run has started is found and ended, also by the sidecar that comes after one that was killed', async () => {
    const { url, token, ca, pid, exited } = await start();
    const { agent, fleet } = await connect({ url, token, ca });
    const spawned: FakeStep = { do: 'spawn', seconds: 600, setsid: true, cleanEnv: true, ignoreSignals: true };
    const execution = await agent.dispatch({ prompt: fakeScript([{ do: 'init' }, spawned, ...hanging]), graceMs: 100 });
    for await (const event of execution) if (event.type === 'message') break;
    const back = new Promise((resolve) => void fleet.on('agentBack', resolve));
    process.kill(descendant(pid, '/dist/main.js'), 'SIGKILL');
    await back;
    process.kill(pid, 'SIGTERM');
    expect(await execution.outcome).toMatchObject({ reason: 'drained', attempts: 1, survivors: 0 });
    expect(await exited).toEqual([0, null]);
  });
});
