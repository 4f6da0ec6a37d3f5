import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { buffer, text as textOf } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { fakeScript, type FakeStep, refusal, startStandInApi, text } from './index.js';

const fake = fileURLToPath(new URL('../../dist/testing/fake-claude.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'fake-claude-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface Options {
  args?: string[];
  env?: Record<string, string>;
}

function start(
  prompt: string | FakeStep[],
  { args = [], env = {} }: Options = {},
): ChildProcess & { stdout: NodeJS.ReadableStream } {
  const child = spawn(fake, ['-p', ...args], { env: { PATH: process.env['PATH'], ...env } });
  child.stdin.end(typeof prompt === 'string' ? prompt : fakeScript(prompt));
  return child;
}

async function run(prompt: string | FakeStep[], options?: Options) {
  const child = start(prompt, options);
  const [stdout, stderr] = await Promise.all([
    buffer(child.stdout),
    textOf(child.stderr as NodeJS.ReadableStream),
    child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined,
  ]);
  return { stdout, stderr, code: child.exitCode, signal: child.signalCode, events: () => eventsOf(stdout.toString()) };
}

type Event = Record<string, unknown>;
const eventsOf = (output: string): Event[] =>
  output
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Event);

/** The first line for which `wanted` holds. */
async function lineOf(child: { stdout: NodeJS.ReadableStream }, wanted: (event: Event) => boolean): Promise<Event> {
  for await (const line of createInterface({ input: child.stdout })) {
    const event = JSON.parse(line) as Event;
    if (wanted(event)) return event;
  }
  throw new Error('The line never came.');
}

describe('as the real CLI', () => {
  it('is executable and says which version it stands for', async () => {
    const { stdout } = await run('', { args: ['--version'] });
    expect(stdout.toString()).toMatch(/^\d+\.\d+\.\d+ \(Claude Code\).*fake/);
  });

  it('echoes a prompt that is no script as a good answer', async () => {
    const { events, code, stderr } = await run('Say hello\n', { args: ['--session-id', 'abc', '--model', 'm'] });
    const [init, assistant, result] = events();
    expect(init).toMatchObject({ type: 'system', subtype: 'init', session_id: 'abc', model: 'm' });
    expect(assistant).toMatchObject({ type: 'assistant', message: { model: 'm', content: [{ text: 'Say hello' }] } });
    expect(result).toMatchObject({ type: 'result', subtype: 'success', is_error: false, result: 'Say hello' });
    expect(Object.keys(result ?? {})[0]).toBe('duration_api_ms');
    expect([code, stderr]).toEqual([0, '']);
  });

  it('exits 1 after a result that is an error, whatever its subtype says', async () => {
    const { events, code } = await run([
      { do: 'assistant', text: 'API Error: 401', error: 'authentication_failed' },
      { do: 'result', is_error: true, api_error_status: 401 },
    ]);
    expect(events()[0]).toMatchObject({ message: { model: '<synthetic>' }, error: 'authentication_failed' });
    expect(events()[1]).toMatchObject({
      subtype: 'success',
      is_error: true,
      api_error_status: 401,
      result: 'API Error: 401',
    });
    expect(code).toBe(1);
  });

  it('fails without a prompt', async () => {
    const { code, stderr } = await run('');
    expect([code, stderr]).toEqual([1, expect.stringContaining('Input must be provided')]);
  });

  it('takes a message with the UUID of an earlier one once, and goes on after a request that was refused', async () => {
    await using api = await startStandInApi({ respond: refusal.revoked() });
    const asks = fakeScript([{ do: 'request' }, { do: 'assistant', text: 'never said' }]);
    const line = (text: string, uuid?: string) =>
      `${JSON.stringify({ type: 'user', message: { role: 'user', content: [{ type: 'text', text }] }, uuid })}\n`;
    const prompt = [line('one', 'a'), line('one', 'a'), line('two'), line('two'), line(asks, 'b'), line('three')].join(
      '',
    );
    const env = { ANTHROPIC_BASE_URL: api.url, CLAUDE_CODE_OAUTH_TOKEN: 'x' };
    const { events, stdout } = await run(prompt, { args: ['--input-format', 'stream-json'], env });
    const results = events().flatMap((event) => (event['type'] === 'result' ? [event['result']] : []));
    expect(results).toEqual(['one', 'two', 'two', expect.stringContaining('API Error: 403'), 'three']);
    expect(stdout.toString()).not.toContain('never said');
  });

  it('takes one prompt per user line with --input-format stream-json', async () => {
    const line = (content: unknown) => `${JSON.stringify({ type: 'user', message: { role: 'user', content } })}\n`;
    const prompt = `{"type":"control_request"}\n${line('one')}${line([{ type: 'text', text: 'two' }])}`;
    const { events } = await run(prompt, { args: ['--input-format', 'stream-json'] });
    expect(events().flatMap((event) => (event['type'] === 'result' ? [event['result']] : []))).toEqual(['one', 'two']);
  });
});

describe('scripts', () => {
  it.each([
    ['[{"do":"slep"}]', 'step 0: unknown step "slep"'],
    ['[{"do":"init"},{"do":"sleep"}]', 'step 1 (sleep): "ms" is no valid number'],
    ['[{"do":"hang","ms":1}]', 'step 0 (hang): unknown field "ms"'],
    ['[{"do":"onSignal","signal":"SIGTERM","steps":[{"do":"exit"}]}]', 'step 0 (onSignal), step 0 (exit): "code"'],
    ['{}', 'expected an array'],
    ['[', 'not JSON'],
  ])('ends %s with exit code 2 and one line', async (json, words) => {
    const { code, stderr, stdout } = await run(`FAKE-CLAUDE-SCRIPT\n${json}`);
    expect([code, stdout.length]).toEqual([2, 0]);
    expect(stderr).toContain(words);
    expect(stderr.trimEnd()).not.toContain('\n');
  });

  it('refuses to build a wrong script', () => {
    expect(() => fakeScript([{ do: 'sleep' } as unknown as FakeStep])).toThrow(TypeError);
  });

  it('writes raw bytes and loses none at an exit', async () => {
    const { stdout, stderr, code } = await run([
      { do: 'event', event: { type: 'x' } },
      { do: 'write', base64: '//4=' },
      { do: 'write', to: 'stderr', text: 'half a li' },
      { do: 'fill', bytes: 1_000_000 },
      { do: 'write', text: 'end' },
      { do: 'exit', code: 7 },
    ]);
    expect(stdout.subarray(0, 14)).toEqual(Buffer.concat([Buffer.from('{"type":"x"}\n'), Buffer.from([0xff])]));
    expect(stdout.subarray(-3).toString()).toBe('end');
    expect(stdout).toHaveLength(13 + 2 + Math.ceil(1_000_000 / 1024) * 1024 + 3);
    expect([stderr, code]).toEqual(['half a li', 7]);
  });

  it('numbers the lines of a fill, across its chunks', async () => {
    const { events, stdout } = await run([{ do: 'fill', lines: 1500, lineBytes: 100, as: 'assistant' }]);
    expect(events().map((event) => event['n'])).toEqual(Array.from({ length: 1500 }, (_, n) => n));
    expect(stdout.toString().indexOf('\n', 200)).toBe(stdout.toString().indexOf('\n') * 2 + 1);
  });

  it('stamps each line with the time it was written', async () => {
    const { events } = await run([{ do: 'fill', lines: 3, stamped: true, everyMs: 1 }]);
    const times = events().map((event) => event['at'] as number);
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(times.every((time) => time > 0)).toBe(true);
  });

  it('tells its arguments, environment and descriptors', async () => {
    const output = join(folder, 'out');
    const prompt = join(folder, 'prompt');
    writeFileSync(prompt, fakeScript([{ do: 'printEnv' }]));
    const child = spawn(fake, ['-p', '--verbose'], {
      cwd: folder,
      env: { PATH: process.env['PATH'], MINE: 'yes' },
      stdio: [openSync(prompt, 'r'), openSync(output, 'w'), 'ignore'],
    });
    await once(child, 'exit');
    expect(eventsOf(readFileSync(output, 'utf8'))[0]).toMatchObject({
      argv: ['-p', '--verbose'],
      env: { MINE: 'yes' },
      stdio: { stdin: 'file', stdout: 'file', stderr: 'device' },
    });
  });

  it('waits for a file, and makes one', async () => {
    const [go, done] = [join(folder, 'go'), join(folder, 'done')];
    const child = start([{ do: 'init' }, { do: 'waitForFile', path: go }, { do: 'touch', path: done, text: 'x' }]);
    const exit = once(child, 'exit');
    await once(child.stdout, 'data');
    expect(existsSync(done)).toBe(false);
    writeFileSync(go, '');
    await exit;
    expect(statSync(done).size).toBe(1);
  });
});

describe('signals and children', () => {
  it('prints a late success after SIGTERM', async () => {
    const late: FakeStep[] = [
      { do: 'result', result: 'late' },
      { do: 'exit', code: 0 },
    ];
    const { events, code } = await run([
      { do: 'onSignal', signal: 'SIGTERM', steps: late },
      { do: 'kill', signal: 'SIGTERM' },
      { do: 'hang' },
    ]);
    expect([events()[0]?.['result'], code]).toEqual(['late', 0]);
  });

  it('is deaf to the signals it ignores, and dies of others', async () => {
    const { signal, events } = await run([
      { do: 'ignoreSignals', signals: ['SIGTERM', 'SIGINT'] },
      { do: 'kill', signal: 'SIGTERM' },
      { do: 'event', event: { alive: true } },
      { do: 'kill', signal: 'SIGKILL' },
    ]);
    expect([events(), signal]).toEqual([[{ alive: true }], 'SIGKILL']);
  });

  it('hears signals during a long fill', async () => {
    const child = start([
      { do: 'onSignal', signal: 'SIGTERM', steps: [{ do: 'exit', code: 5 }] },
      { do: 'fill', bytes: 1e12 },
    ]);
    const exit = once(child, 'exit');
    child.stdout.once('data', () => child.kill('SIGTERM'));
    child.stdout.resume();
    expect(await exit).toEqual([5, null]);
  });

  it.each<[string, Omit<FakeStep & { do: 'spawn' }, 'do' | 'seconds'>]>([
    ['plain', {}],
    [
      'in a session of its own, orphaned, without environment, deaf',
      { setsid: true, doubleFork: true, cleanEnv: true, ignoreSignals: true },
    ],
  ])('starts a child that outlives it: %s', async (_, options) => {
    const { events } = await run([{ do: 'spawn', seconds: 60, ...options }]);
    const pid = events()[0]?.['pid'] as number;
    if (options.ignoreSignals) process.kill(pid, 'SIGTERM');
    expect(process.kill(pid, 0)).toBe(true);
    process.kill(pid, 'SIGKILL');
  });

  it('starts a child that holds stdout open after the fake is gone', async () => {
    const child = start([{ do: 'spawn', seconds: 60, holdStdout: true }]);
    const exit = once(child, 'exit');
    const closed = once(child, 'close');
    const { pid } = await lineOf(child, (event) => event['subtype'] === 'fake_spawned');
    await exit;
    child.stdout.resume();
    process.kill(pid as number, 'SIGKILL');
    await closed;
  });

  it('starts a child that never keeps its pid', async () => {
    const child = start([{ do: 'spawn', seconds: 0.2, holdStdout: true, respawn: true, setsid: true }]);
    const { pid } = await lineOf(child, (event) => event['subtype'] === 'fake_spawned');
    child.stdout.resume();
    // Open until the last of its successors has gone.
    await once(child, 'close');
    // Gone, or a zombie where nothing reaps orphans.
    expect(spawnSync('ps', ['-o', 'stat=', '-p', String(pid)]).stdout.toString()).toMatch(/^(Z.*)?\s*$/);
  });
});

describe('requests', () => {
  it('asks the API with the credential of its environment, and prints the answer or the refusal', async () => {
    await using api = await startStandInApi({ respond: text('from the API'), accept: ['good'] });
    const step: FakeStep[] = [{ do: 'request', prompt: 'Hi' }, { do: 'result' }];
    const env = { ANTHROPIC_BASE_URL: api.url };
    const good = await run(step, { env: { ...env, CLAUDE_CODE_OAUTH_TOKEN: 'good' } });
    expect([good.events()[1]?.['result'], good.code]).toEqual(['from the API', 0]);
    const bad = await run(step, { env: { ...env, ANTHROPIC_API_KEY: 'bad' } });
    expect(bad.events().at(-1)).toMatchObject({ is_error: true, api_error_status: 401 });
    expect(bad.events().at(-1)?.['result']).toContain(refusal.invalidApiKey().message);
    expect([bad.code, api.requests.map(({ prompt }) => prompt)]).toEqual([1, ['Hi', 'Hi']]);
  });
});
