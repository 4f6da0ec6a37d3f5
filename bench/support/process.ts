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
  const child = spawn(process.execPath, [SIDECAR, ...flags, ...args], {
    env: {
      ...process.env,
      OUTRIGGER_TOKEN: TOKEN,
      CLAUDE_CODE_OAUTH_TOKEN: CREDENTIAL,
      OUTRIGGER_LOG_LEVEL: 'warn',
    },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const url = await readyLine(child, /ready: (\S+)/);
  return {
    url,
    pid: child.pid ?? 0,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await once(child, 'exit');
      rmSync(stateDir, { recursive: true, force: true });
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

/** A field of `/proc/PID/status` in MiB: `VmRSS` is the memory now, `VmHWM` the most there ever was. */
export function memoryMiB(pid: number, field: 'VmRSS' | 'VmHWM'): number {
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
