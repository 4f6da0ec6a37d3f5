import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';

export const TOKEN = 'bench-control-token';
/** The standing credential of every sidecar that is started here. */
export const CREDENTIAL = 'sk-ant-oat01-bench';
const SIDECAR = 'packages/sidecar/dist/main.js';

export interface StartedSidecar extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
}

export interface SidecarSetup {
  readonly claude: string;
  /** @default 'env', since the fake CLI asks no API */
  readonly mode?: 'gateway' | 'env';
  readonly args?: readonly string[];
}

/** Starts the built sidecar as a user would, on a state folder of its own. */
export async function startSidecar(setup: SidecarSetup): Promise<StartedSidecar> {
  const { claude, mode = 'env', args = [] } = setup;
  const stateDir = mkdtempSync(join(tmpdir(), 'outrigger-bench-'));
  const flags = ['--listen', '127.0.0.1:0', '--state-dir', stateDir, '--claude', claude, '--credential-mode', mode];
  const {
    said,
    pid,
    [Symbol.asyncDispose]: end,
  } = await startNode([SIDECAR, ...flags, ...args], {
    OUTRIGGER_TOKEN: TOKEN,
    CLAUDE_CODE_OAUTH_TOKEN: CREDENTIAL,
    OUTRIGGER_LOG_LEVEL: 'warn',
  });
  return {
    url: said,
    pid,
    [Symbol.asyncDispose]: async () => {
      await end();
      rmSync(stateDir, { recursive: true, force: true });
    },
  };
}

/** The least that a sidecar could be: Node that imports `ws` and listens. */
export const WS_SERVER: readonly string[] = [
  '--input-type=module',
  '-e',
  `import { WebSocketServer } from 'ws'; new WebSocketServer({ port: 0, host: '127.0.0.1' }, () => console.log('ready: it'));`,
];

export interface StartedNode extends AsyncDisposable {
  readonly pid: number;
  /** What it printed behind `ready: `. */
  readonly said: string;
}

/** Resolves once the program prints that it is ready. */
export async function startNode(argv: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<StartedNode> {
  const child = spawn(process.execPath, argv, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const said = await readyLine(child, /ready: (\S+)/);
  return {
    pid: child.pid ?? 0,
    said,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

/** The first group of `pattern`, once the child has printed a line that matches. */
export async function readyLine(child: ChildProcess, pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let printed = '';
    child.stdout?.on('data', (data: Buffer) => {
      printed += data.toString();
      const match = pattern.exec(printed);
      if (match !== null) resolve(match[1] ?? '');
    });
    child.once('exit', (code) => reject(new Error(`exited with ${code ?? 'a signal'} before it was ready`)));
  });
}

/**
 * A field of `/proc/PID/status` in MiB: `VmRSS` is the memory now, `RssAnon` that of it which is no part of a file, `VmHWM` the
 * most there ever was.
 */
export function memoryMiB(pid: number, field: 'VmRSS' | 'RssAnon' | 'VmHWM'): number {
  const match = new RegExp(`${field}:\\s+(\\d+) kB`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(match?.[1] ?? NaN) / 1024;
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The smallest value that `share` of all do not exceed. */
export function quantile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.ceil(values.length * share) - 1] ?? NaN;
}
