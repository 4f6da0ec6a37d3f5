import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { fakeClaudePath } from '@outrigger/sdk/testing';

const SIDECAR = fileURLToPath(new URL('../../packages/sidecar/dist/main.js', import.meta.url));

/** How long a sidecar that was asked to stop may take before it is killed. */
const STOP_MS_MAX = 20_000;

export interface SidecarSetup {
  /** The sidecar's file. @default the built one */
  main?: string;
  /** @default the scripted fake CLI */
  claude?: string;
  /** The provider's API, e.g. the `url` of a stand-in. @default the CLI's own */
  upstream?: string;
  /**
   * How runs reach the provider. @default 'env', since the fake CLI answers without asking anybody
   */
  mode?: 'gateway' | 'env';
  /** The control token; null: none is given, so the sidecar uses `--token-file` or makes one. */
  token?: string | null;
  /** The standing credential; null: there is none. */
  credential?: string | null;
  /** @default a new temporary folder, removed at the end. A given one is left alone. */
  stateDir?: string;
  maxExecutions?: number;
  /** How long the first SIGTERM waits for runs. @default 0, so that a test ends soon */
  drainTimeoutMs?: number;
  /** Further flags; they win over those above. */
  args?: string[];
  /** On top of PATH and HOME; nothing else is inherited. */
  env?: Record<string, string>;
  /** Called with its process before it is ready. */
  onSpawn?: (process: ChildProcess) => void;
}

/** A line of the sidecar's log. */
export interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A sidecar process that is ready for connections. Disposing of it ends it and every run of its own. */
export interface TestSidecar extends AsyncDisposable {
  readonly url: string;
  readonly agentId: string;
  /** What to authenticate with; empty when the test gave none. */
  readonly token: string;
  /** The file with the token the sidecar made. */
  readonly tokenFile: string | null;
  readonly stateDir: string;
  readonly process: ChildProcess;
  readonly exited: Promise<Exit>;
  /** Its log so far; live. */
  readonly log: readonly LogLine[];
  /** The first line, past or to come, for which `wanted` holds. Rejects when the sidecar ends without one. */
  waitForLog(wanted: (line: LogLine) => boolean): Promise<LogLine>;
  /** Sends SIGTERM, and SIGKILL to one that does not end. May be called twice. */
  stop(): Promise<Exit>;
}

/** A token that is good enough for a sidecar. */
export const TOKEN = 'a-control-token-for-tests';

/** Starts a sidecar and waits until it is ready. @throws Error with its stderr when it ends instead. */
export async function startSidecar(setup: SidecarSetup = {}): Promise<TestSidecar> {
  const stateDir = setup.stateDir ?? mkdtempSync(join(tmpdir(), 'outrigger-test-'));
  const token = setup.token === undefined ? TOKEN : setup.token;
  const child = spawnSidecar(setup.main ?? SIDECAR, flagsOf(setup, stateDir), {
    ...(token === null ? {} : { OUTRIGGER_TOKEN: token }),
    ...(setup.credential === null ? {} : { CLAUDE_CODE_OAUTH_TOKEN: setup.credential ?? 'a-credential-for-tests' }),
    ...setup.env,
  });
  setup.onSpawn?.(child);
  const exited = exitOf(child);
  const log = new Log(child, exited);
  const ready = await readyLine(child, exited).catch((error: unknown) => {
    if (setup.stateDir === undefined) rmSync(stateDir, { recursive: true, force: true });
    throw new Error(`the sidecar did not start: ${log.text}`, { cause: error });
  });

  const killWithUs = () => void child.kill('SIGKILL');
  process.once('exit', killWithUs);
  void exited.then(() => process.off('exit', killWithUs));
  const stop = async () => {
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
    const exit = await exited;
    clearTimeout(timer);
    return exit;
  };
  return {
    ...ready,
    token: token ?? '',
    stateDir,
    process: child,
    exited,
    log: log.lines,
    waitForLog: (wanted) => log.waitFor(wanted),
    stop,
    [Symbol.asyncDispose]: async () => {
      await stop();
      killLeftovers(stateDir);
      if (setup.stateDir === undefined) rmSync(stateDir, { recursive: true, force: true });
    },
  };
}

/** Runs a sidecar that is expected to end by itself. Flags and environment are the caller's alone. */
export async function runSidecar(
  flags: string[],
  env: Record<string, string> = {},
): Promise<Exit & { stdout: string; stderr: string }> {
  const child = spawnSidecar(SIDECAR, flags, env);
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
  const [stdout, stderr, exit] = await Promise.all([text(child.stdout), text(child.stderr), exitOf(child)]);
  clearTimeout(timer);
  return { stdout, stderr, ...exit };
}

function spawnSidecar(main: string, flags: string[], env: Record<string, string>) {
  const { PATH = '', HOME = '' } = process.env;
  return spawn(process.execPath, [main, ...flags], {
    env: { PATH, HOME, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

async function exitOf(child: ChildProcess): Promise<Exit> {
  const [code, signal] = (await once(child, 'exit')) as [Exit['code'], Exit['signal']];
  return { code, signal };
}

function flagsOf(setup: SidecarSetup, stateDir: string): string[] {
  return [
    '--listen=127.0.0.1:0',
    `--state-dir=${stateDir}`,
    `--claude=${setup.claude ?? fakeClaudePath}`,
    `--credential-mode=${setup.mode ?? 'env'}`,
    `--drain-timeout-ms=${setup.drainTimeoutMs ?? 0}`,
    ...(setup.upstream === undefined ? [] : [`--upstream=${setup.upstream}`]),
    ...(setup.maxExecutions === undefined ? [] : [`--max-executions=${setup.maxExecutions}`]),
    ...(setup.args ?? []),
  ];
}

async function readyLine(child: ChildProcess, exited: Promise<Exit>) {
  if (child.stdout === null) throw new Error('stdout is no pipe');
  const lines = createInterface({ input: child.stdout });
  const line = await Promise.race([
    once(lines, 'line').then(([first]) => String(first)),
    exited.then(({ code, signal }) => Promise.reject(new Error(`exit ${code ?? signal ?? ''}`))),
  ]);
  const match = /^outrigger-sidecar ready: (?<url>wss?:\S+) agent=(?<agentId>\S+)(?: token-file=(?<file>\S+))?$/.exec(
    line,
  );
  const { url, agentId, file } = match?.groups ?? {};
  if (url === undefined || agentId === undefined) throw new Error(`no ready line: ${line}`);
  return { url, agentId, tokenFile: file ?? null };
}

/** Reads stderr; a line that is no JSON becomes one with the text as its message. */
class Log {
  readonly lines: LogLine[] = [];
  readonly #checks = new Set<() => void>();
  readonly #ended: Promise<never>;

  constructor(child: ChildProcess, exited: Promise<Exit>) {
    if (child.stderr === null) throw new Error('stderr is no pipe');
    createInterface({ input: child.stderr }).on('line', (line) => {
      this.lines.push(line.startsWith('{') ? (JSON.parse(line) as LogLine) : { level: 50, msg: line });
      this.#checks.forEach((check) => check());
    });
    this.#ended = exited.then(() => Promise.reject(new Error(`the sidecar ended; its log: ${this.text}`)));
    this.#ended.catch(() => undefined);
  }

  get text(): string {
    return this.lines.map((line) => line.msg).join('\n');
  }

  async waitFor(wanted: (line: LogLine) => boolean): Promise<LogLine> {
    let check = (): void => undefined;
    const found = new Promise<LogLine>((resolve) => {
      check = () => {
        const line = this.lines.find(wanted);
        if (line !== undefined) resolve(line);
      };
    });
    this.#checks.add(check);
    check();
    return Promise.race([found, this.#ended]).finally(() => this.#checks.delete(check));
  }
}

/** Ends what a killed sidecar left behind: processes with a stream in its own state folder. Linux only. */
function killLeftovers(stateDir: string): void {
  for (const pid of readNames('/proc').filter((name) => /^\d+$/.test(name))) {
    const isOurs = ['0', '1', '2'].some((fd) => linkTarget(`/proc/${pid}/fd/${fd}`).startsWith(`${stateDir}/`));
    if (isOurs) process.kill(Number(pid), 'SIGKILL');
  }
}

function readNames(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function linkTarget(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
