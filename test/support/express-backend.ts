import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { type Exit, type TestSidecar, TOKEN } from './sidecar.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MAIN = 'examples/express-backend/main.ts';

type Line = Readonly<Record<string, unknown>> & { readonly msg: string };

/** A process of the example. */
export interface Backend extends AsyncDisposable {
  readonly url: string;
  readonly log: readonly Line[];
  readonly exited: Promise<Exit & { stderr: string }>;
  /** The line of that message, past or to come, or the first one for which `wanted` holds. */
  logged(msg: string, wanted?: (line: Line) => boolean): Promise<Line>;
  kill(signal: 'SIGTERM' | 'SIGKILL'): void;
  post(body: unknown): Promise<Answer>;
  /** @param path Below `/tasks/`. */
  get(path: string): Promise<Answer>;
  cancel(id: string): Promise<Answer>;
  follow(id: string, lastEventId?: string): Promise<Stream>;
}

export interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  readonly retryAfter: string | null;
}

/** An event of a stream, or a comment. */
export interface StreamItem {
  readonly event?: string;
  readonly id?: string;
  readonly data?: Readonly<Record<string, unknown>>;
  readonly comment?: string;
}

/** A stream of events, as its client sees it. */
export interface Stream extends AsyncDisposable {
  readonly status: number;
  /** Everything that has come so far. */
  readonly items: StreamItem[];
  readonly lastEventId: string;
  /** Reads until `wanted` holds, or to the end. */
  readUntil(wanted: (item: StreamItem) => boolean): Promise<void>;
  readAll(): Promise<void>;
}

export interface BackendSetup {
  redisUrl: string;
  agents: readonly Pick<TestSidecar, 'agentId' | 'url'>[];
  credentialsFile: string;
  env?: Record<string, string>;
}

/** Starts a backend and waits until it listens. */
export async function startBackend({ redisUrl, agents, credentialsFile, env }: BackendSetup): Promise<Backend> {
  const child = spawnBackend({
    REDIS_URL: redisUrl,
    OUTRIGGER_AGENTS: agents.map(({ agentId, url }) => `${agentId}=${url}`).join(','),
    OUTRIGGER_TOKEN: TOKEN,
    CREDENTIALS_FILE: credentialsFile,
    PORT: '0',
    ...env,
  });
  const log: Line[] = [];
  const checks = new Set<() => void>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    log.push(JSON.parse(line) as Line);
    for (const check of checks) check();
  });
  const exited = exitOf(child);
  const logged = async (msg: string, wanted: (line: Line) => boolean = () => true) => {
    let check = (): void => undefined;
    const found = new Promise<Line>((resolve) => {
      check = () => {
        const line = log.find((each) => each.msg === msg && wanted(each));
        if (line !== undefined) resolve(line);
      };
    });
    checks.add(check);
    check();
    const ended = exited.then(({ code, stderr }) => Promise.reject(new Error(`the backend ended: ${code} ${stderr}`)));
    return Promise.race([found, ended]).finally(() => checks.delete(check));
  };
  const { port } = await logged('listening');
  const url = `http://127.0.0.1:${String(port)}`;
  const ask = (path: string, init?: RequestInit) => fetch(`${url}${path}`, init).then(readAnswer);
  return {
    ...{ url, log, exited, logged },
    kill: (signal) => void child.kill(signal),
    post: (body) =>
      ask('/tasks', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      }),
    get: (path) => ask(`/tasks/${path}`),
    cancel: (id) => ask(`/tasks/${id}`, { method: 'DELETE' }),
    follow: (id, lastEventId) => follow(`${url}/tasks/${id}/events`, lastEventId),
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** Runs a backend that is expected to end by itself, in that environment and nothing else. */
export async function runBackend(env: Record<string, string>): Promise<Exit & { stdout: string; stderr: string }> {
  const child = spawnBackend(env);
  const [stdout, exit] = await Promise.all([text(child.stdout), exitOf(child)]);
  return { stdout, ...exit };
}

function spawnBackend(env: Record<string, string>) {
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(process.execPath, ['--import', 'tsx', MAIN], {
    cwd: ROOT,
    env: { PATH, HOME, TSX_TSCONFIG_PATH: 'tsconfig.run.json', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const killWithUs = () => void child.kill('SIGKILL');
  process.once('exit', killWithUs);
  child.once('exit', () => process.off('exit', killWithUs));
  return child;
}

async function exitOf(child: ReturnType<typeof spawnBackend>): Promise<Exit & { stderr: string }> {
  const exit = once(child, 'close') as Promise<[Exit['code'], Exit['signal']]>;
  const [stderr, [code, signal]] = await Promise.all([text(child.stderr), exit]);
  return { code, signal, stderr };
}

async function readAnswer(response: Response): Promise<Answer> {
  const body = (await response.json()) as Answer['body'];
  return { status: response.status, body, retryAfter: response.headers.get('Retry-After') };
}

async function follow(url: string, lastEventId = ''): Promise<Stream> {
  const leave = new AbortController();
  const response = await fetch(url, { headers: { 'Last-Event-ID': lastEventId }, signal: leave.signal });
  const source = parse(response.body ?? new ReadableStream());
  const items: StreamItem[] = [];
  const readUntil = async (wanted: (item: StreamItem) => boolean) => {
    for (let next = await source.next(); next.done !== true; next = await source.next()) {
      items.push(next.value);
      if (wanted(next.value)) return;
    }
  };
  return {
    ...{ status: response.status, items, readUntil },
    get lastEventId() {
      return items.findLast(({ id }) => id !== undefined)?.id ?? lastEventId;
    },
    readAll: () => readUntil(() => false),
    [Symbol.asyncDispose]: async () => {
      leave.abort();
      await source.return(undefined).catch(() => undefined);
    },
  };
}

/** Ends with the stream, also one that is cut: what came in full counts. */
async function* parse(body: ReadableStream<Uint8Array>): AsyncGenerator<StreamItem, void> {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let buffered = '';
  for (;;) {
    const chunk = await reader.read().catch(() => ({ done: true, value: undefined }));
    if (chunk.done) return;
    buffered += decoder.decode(chunk.value, { stream: true });
    const blocks = buffered.split('\n\n');
    buffered = blocks.pop() ?? '';
    for (const block of blocks) yield parseItem(block);
  }
}

function parseItem(block: string): StreamItem {
  const fields = block.split('\n').map((line): [string, string] => {
    const [name = '', ...value] = line.split(': ');
    return name === '' ? ['comment', value.join(': ')] : [name, value.join(': ')];
  });
  const { data, ...item } = Object.fromEntries(fields);
  return data === undefined ? item : { ...item, data: JSON.parse(data) as Record<string, unknown> };
}
