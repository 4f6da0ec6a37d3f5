import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Readable } from 'node:stream';
import { execa } from 'execa';

/** A sidecar in a process of its own, as it would run in an agent's container. */
export interface SidecarProcess extends AsyncDisposable {
  readonly url: string;
  readonly token: string;
  /** An empty folder for runs to work in. */
  readonly workFolder: string;
  /** Where it keeps logs and journal. */
  readonly stateFolder: string;
  /** With SIGKILL. Resolves when it is gone. */
  kill(): Promise<void>;
  /** Starts it again after that, as whoever looks after a container would. */
  start(): Promise<void>;
}

/** The Claude Code CLI that is installed as a development dependency. */
export function installedClaude(): { path: string; version: string } {
  const manifest = createRequire(import.meta.url).resolve('@anthropic-ai/claude-code/package.json');
  const { version, bin } = createRequire(import.meta.url)(manifest) as { version: string; bin: { claude: string } };
  return { path: join(dirname(manifest), bin.claude), version };
}

/** @param environment The credential, and whatever else the sidecar is to see besides PATH. */
export async function startSidecar(args: string[], environment: Record<string, string>): Promise<SidecarProcess> {
  const stateFolder = await mkdtemp(join(tmpdir(), 'outrigger-demo-'));
  const workFolder = await mkdtemp(join(tmpdir(), 'outrigger-demo-work-'));
  const token = randomBytes(32).toString('base64url');
  const env = { HOME: stateFolder, OUTRIGGER_TOKEN: token, OUTRIGGER_LOG_LEVEL: 'error', ...environment };
  let sidecar = await launch(['--listen=127.0.0.1:0', `--state-dir=${stateFolder}`, ...args], env);
  const { url } = sidecar;
  return {
    url,
    token,
    workFolder,
    stateFolder,
    kill: async () => {
      sidecar.process.kill('SIGKILL');
      await sidecar.process;
    },
    start: async () => {
      sidecar = await launch([`--listen=${new URL(url).host}`, `--state-dir=${stateFolder}`, ...args], env);
    },
    [Symbol.asyncDispose]: async () => {
      sidecar.process.kill('SIGTERM');
      await sidecar.process;
      await Promise.all([stateFolder, workFolder].map((path) => rm(path, { recursive: true, force: true })));
    },
  };
}

async function launch(args: string[], env: Record<string, string>) {
  const main = createRequire(import.meta.url).resolve('@outrigger/sidecar/package.json');
  const child = execa('node', [join(dirname(main), 'dist', 'main.js'), ...args], {
    extendEnv: false,
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
    reject: false,
  });
  const url = await readyUrl(child.stdout);
  if (url === null) throw new Error('the sidecar did not start; what it said stands above');
  return { process: child, url };
}

/** Where the sidecar listens, from the line it prints when it is ready; null when it ends without one. */
async function readyUrl(stdout: Readable): Promise<string | null> {
  return new Promise((resolve) => {
    createInterface({ input: stdout })
      .on('line', (line) => resolve(/ready: (\S+)/.exec(line)?.[1] ?? null))
      .once('close', () => resolve(null));
  });
}
