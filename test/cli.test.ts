import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fakeScript } from '@outrigger/sdk/testing';
import { execa, type Options } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeFolder } from './support/runs.js';
import { startSidecar, type TestSidecar } from './support/sidecar.js';

const PACKAGE = fileURLToPath(new URL('../packages/sdk', import.meta.url));
const MAIN = join(PACKAGE, 'bin/outrigger.js');
const HANGING = fakeScript([
  { do: 'init' },
  { do: 'assistant', text: 'Here.' },
  { do: 'assistant', text: 'And there.' },
  { do: 'hang' },
]);
const SECRET = 'sk-ant-oat01-of-the-other-team';

const folder = makeFolder();
let sidecar: TestSidecar;
beforeAll(async () => {
  sidecar = await startSidecar({ args: ['--agent-id=agent-7'], maxExecutions: 2 });
});
afterAll(async () => {
  await sidecar[Symbol.asyncDispose]();
  folder.remove();
});

function start(args: readonly string[], { env = {}, ...options }: Options = {}) {
  return execa(process.execPath, [MAIN, ...args], {
    extendEnv: false,
    reject: false,
    env: {
      PATH: process.env['PATH'],
      HOME: folder.path,
      OUTRIGGER_URL: sidecar.url,
      OUTRIGGER_TOKEN: sidecar.token,
      ...env,
    },
    ...options,
  });
}
async function outrigger(...args: string[]) {
  const { exitCode, stdout, stderr } = await start(args);
  return { exitCode, stdout: String(stdout), stderr: String(stderr) };
}
const json = async (...args: string[]) =>
  (await outrigger('--json', ...args)).stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

/** What `top --json` prints. */
interface TopFrame {
  at: number;
  agents: { info: { agentId: string }; status: object | null }[];
  unreached: string[];
}
/** Reads on to the next frame that is as wanted. */
function watchFrames(top: ReturnType<typeof start>) {
  const lines = top[Symbol.asyncIterator]();
  return async (isWanted: (frame: TopFrame) => boolean): Promise<TopFrame> => {
    for (;;) {
      const next = await lines.next();
      if (next.done === true) throw new Error('top has ended');
      const frame = JSON.parse(String(next.value)) as TopFrame;
      if (isWanted(frame)) return frame;
    }
  };
}

describe('outrigger run', () => {
  it('prints what the agent says, what happens to it beside that, and ends with 0', async () => {
    const { exitCode, stdout, stderr } = await outrigger('run', '--id', 'said', 'Say', 'this.');
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: 'Say this.' });
    expect(stderr).toMatch(/^said: succeeded \(completed\) after [\d.]+s, 1 turn, \$/m);
    // Its outcome is taken.
    expect(await json('ps', '--all')).toEqual([]);
  });

  it('takes its prompt from standard input, and prints events as JSON', async () => {
    const { stdout, exitCode } = await start(['run', '--json'], { input: 'From a pipe.' });
    const events = String(stdout)
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string });
    expect(exitCode).toBe(0);
    expect(events[0]).toMatchObject({ type: 'state', state: 'starting' });
    expect(events.at(-1)).toMatchObject({ type: 'outcome', outcome: { status: 'succeeded', result: 'From a pipe.' } });
  });

  it.each([
    ['failed', 1, fakeScript([{ do: 'init' }, { do: 'exit', code: 1 }]), []],
    ['timed_out', 5, HANGING, ['--timeout', '300ms']],
  ])('that has %s ends with %d', async (status, code, prompt, flags) => {
    const { exitCode, stderr } = await outrigger('run', ...flags, prompt);
    expect(stderr).toContain(`: ${status} (`);
    expect(exitCode).toBe(code);
  });

  it('is cancelled by an interrupt, and ends with 6', async () => {
    const running = start(['run', '--id', 'interrupted', HANGING]);
    await expect.poll(() => json('ps')).toMatchObject([{ executionId: 'interrupted', state: 'running' }]);
    running.kill('SIGINT');
    const { exitCode, stderr } = await running;
    expect(stderr).toContain('interrupted: cancelling; once more stops waiting for it');
    expect(stderr).toContain('interrupted: cancelled (requested)');
    expect(exitCode).toBe(6);
  });

  it('that nobody is there for, or with a wrong value, says so in one line', async () => {
    expect(await outrigger('--url', 'ws://127.0.0.1:1', 'run', 'x')).toMatchObject({
      exitCode: 4,
      stderr: expect.stringMatching(/^outrigger: agent_unreachable: .+$/) as string,
    });
    expect(await outrigger('run', '--timeout', '3x', 'y')).toMatchObject({
      ...{ exitCode: 2, stdout: '' },
      stderr: expect.stringMatching(
        /^outrigger: option '--timeout <time>' argument '3x' is invalid. 3x: .+$/,
      ) as string,
    });
    expect(await outrigger('run', ' ')).toMatchObject({ exitCode: 2, stderr: 'outrigger: the prompt is empty' });
    const unauthorized = await start(['ps'], { env: { OUTRIGGER_TOKEN: 'wrong' } });
    expect(unauthorized).toMatchObject({
      ...{ exitCode: 4, stdout: '' },
      stderr: expect.stringMatching(/^outrigger: unauthorized: .*; the token came from OUTRIGGER_TOKEN$/) as string,
    });
    const without = await start(['ps'], { env: { OUTRIGGER_TOKEN: '' } });
    expect(without.stderr).toMatch(/^outrigger: there is no control token: .+$/);
    expect(without.exitCode).toBe(2);
  });
});

describe('a run that was left alone', () => {
  it('is listed, read and cancelled, and taken by whoever runs its id again', async () => {
    const flags = ['run', '--detach', '--id', 'left', '--label', 'team=a'];
    expect(await outrigger(...flags, HANGING)).toMatchObject({ exitCode: 0, stdout: 'left' });
    await expect
      .poll(() => json('ps'))
      .toMatchObject([{ executionId: 'left', state: 'running', labels: { team: 'a' } }]);

    const wide = await outrigger('ps');
    expect(wide.stdout).toMatch(
      /^EXECUTION +STATE +AGE +AGENT +ATTEMPT +LABELS\nleft +running +\S+ +agent-7 +1 +team=a$/,
    );
    const raw = await outrigger('logs', '--raw', 'left');
    expect(raw.stdout).toContain('"Here."');
    const following = start(['logs', '--follow', 'left']);

    const cancelled = await outrigger('cancel', 'left');
    expect(cancelled).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/^left: cancelled \(requested\)/) as string,
    });
    expect(await following).toMatchObject({ exitCode: 0, stdout: 'Here.' });
    expect(await json('ps')).toEqual([]);
    expect(await json('ps', '-a')).toMatchObject([{ executionId: 'left', outcome: { status: 'cancelled' } }]);

    const again = await outrigger('run', '--id', 'left', '--label', 'team=a', HANGING);
    expect(again.exitCode).toBe(6);
    expect(await json('ps', '-a')).toEqual([]);
    expect(await outrigger('logs', 'nobody')).toMatchObject({
      exitCode: 3,
      stderr: expect.stringMatching(/^outrigger: unknown_execution: .+$/) as string,
    });
  });
});

describe('outrigger drain', () => {
  it('says what still runs, and ends with 1; resume admits again', async () => {
    await outrigger('run', '-d', '--id', 'long', HANGING);
    const drained = await outrigger('drain', '--deadline', '200ms');
    expect(drained).toMatchObject({ exitCode: 1, stdout: 'agent-7: not drained (deadline); still running: long' });
    expect(await outrigger('run', 'x')).toMatchObject({
      exitCode: 3,
      stderr: expect.stringContaining('outrigger: draining: ') as string,
    });
    expect(await outrigger('resume')).toMatchObject({ stdout: 'agent-7: admits again' });
    const [cancelling] = await json('drain', 'agent-7', '--deadline', '0', '--cancel');
    expect(cancelling).toEqual({ agentId: 'agent-7', drained: true, remaining: [] });
    await outrigger('resume', '--all');
    expect(await outrigger('drain', 'nobody')).toMatchObject({ exitCode: 2 });
    await outrigger('run', '--id', 'long', HANGING);
  });
});

describe('outrigger swap', () => {
  it('takes the secret from standard input or a file, and shows it nowhere', async () => {
    const piped = await start(['swap', '--id', 'team-b'], { input: `${SECRET}\n` });
    expect(piped.stdout).toMatch(/^agent-7: team-b is in force, generation \d+$/);
    const file = join(folder.path, 'secret');
    writeFileSync(file, SECRET);
    const [same] = await json('swap', '--id', 'team-b', '--file', file);
    expect(same).toMatchObject({ agentId: 'agent-7', credentialId: 'team-b' });
    const other = ['swap', '--id', 'team-c', '--if-generation', '0'];
    const stale = await start(other, { input: `${SECRET}-2` });
    expect(stale).toMatchObject({ exitCode: 3, stderr: expect.stringContaining('stale_generation') as string });
    expect(JSON.stringify([piped, same, stale])).not.toContain(SECRET);
    expect(await start(['swap', '--id', 'x'], { input: '' })).toMatchObject({ exitCode: 2 });
  });
});

describe('what an operator looks at', () => {
  it('is the standing of each agent, also where one is not there', async () => {
    const both = await outrigger('--url', `${sidecar.url},ws://127.0.0.1:1`, 'status');
    expect(both.stdout).toMatch(/^AGENT +SLOTS +STATE .*\nagent-7 +0\/2 +ready +\S+@\d+ /);
    expect(both.stderr).toMatch(/^outrigger: ws:\/\/127.0.0.1:1: agent_unreachable: /);
    expect(both.exitCode).toBe(4);
    expect(await json('status')).toMatchObject([{ agentId: 'agent-7', held: 0, counts: { maxExecutions: 2 } }]);
  });

  it('is what doctor finds, with advice', async () => {
    const { stdout, exitCode } = await outrigger('doctor');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^agent-7\n +✓ kill /);
    expect(stdout).toMatch(/! isolation +isolation: none.*\n +→ start the sidecar as root with --run-as USER/);
    const [{ findings } = {}] = await json('doctor');
    expect(findings).toContainEqual(expect.objectContaining({ about: 'disk', grade: 'ok' }));
  });

  it.each([80, 40])('fits %d columns', async (columns) => {
    await outrigger('run', '-d', '--id', 'a-run-with-a-rather-long-name-of-its-own', '--label', 'team=a', HANGING);
    const env = { COLUMNS: String(columns), TERM: 'dumb' };
    for (const args of [['ps'], ['status'], ['doctor'], ['top', '--once'], ['--help']]) {
      const { stdout } = await start(args, { env });
      expect(String(stdout)).not.toContain('\u001b');
      const tooLong = String(stdout)
        .split('\n')
        .filter((line) => line.length > columns);
      expect(tooLong).toEqual([]);
    }
    await outrigger('cancel', 'a-run-with-a-rather-long-name-of-its-own');
  });

  it('is everything at once, until it is stopped', async () => {
    const top = start(['top', '--json', '--interval', '50ms']);
    const look = watchFrames(top);
    const first = await look(() => true);
    await look(({ at }) => at > first.at);
    top.kill('SIGINT');
    expect(await top).toMatchObject({ exitCode: 0 });
    expect(first).toMatchObject({ agents: [{ status: { counts: { maxExecutions: 2 } } }], unreached: [] });
    const { stdout } = await start(['top', '--once']);
    expect(stdout).toMatch(/^\d\d:\d\d:\d\dZ {2}1\/1 agents {2}0\/2 slots\n\nAGENT /);
  });

  it('goes on while an agent does not answer, has it again once it does, and ends at once all the same', async () => {
    await using other = await startSidecar({ args: ['--agent-id=agent-8'] });
    using awake = { [Symbol.dispose]: () => void other.process.kill('SIGCONT') };
    const top = start(['top', '--json', '--interval', '20ms', '--url', `${sidecar.url},${other.url}`]);
    const look = watchFrames(top);
    const isWhole = ({ agents }: TopFrame) => agents.map(({ status }) => status !== null).join() === 'true,true';
    await look(isWhole);
    other.process.kill('SIGSTOP');
    const isWithoutOther = ({ agents }: TopFrame) =>
      agents.map(({ status }) => status !== null).join() === 'true,false';
    await look(isWithoutOther);
    awake[Symbol.dispose]();
    await look(isWhole);
    other.process.kill('SIGSTOP');
    await look(isWithoutOther);
    top.kill('SIGINT');
    expect(await top).toMatchObject({ exitCode: 0 });
  });

  it('has an agent that was not there when it began', async () => {
    await using before = await startSidecar();
    const { url } = before;
    await before.stop();
    const top = start(['top', '--json', '--interval', '20ms', '--url', `${sidecar.url},${url}`]);
    const look = watchFrames(top);
    await look(({ agents, unreached }) => agents.length === 1 && unreached.join() === url);
    await using other = await startSidecar({ args: [`--listen=${new URL(url).host}`] });
    const frame = await look(({ unreached }) => unreached.length === 0);
    expect(frame.agents.map(({ info }) => info.agentId)).toEqual(['agent-7', other.agentId]);
    top.kill('SIGINT');
    expect(await top).toMatchObject({ exitCode: 0 });
  });

  it('is what conformance could not check of an agent that has work, which fails it with --strict', async () => {
    await outrigger('run', '-d', '--id', 'work', HANGING);
    const { exitCode, stdout } = await outrigger('conformance', '--strict');
    expect(stdout).toMatch(/\n- drain\.refuses\n {4}\S.*\n {4}\S.*\n/);
    expect(stdout).toMatch(/: \d+ passed, 0 failed, [1-9] skipped$/);
    expect(exitCode).toBe(1);
    await outrigger('cancel', 'work');
  });

  it('is explained by --help, for each command', async () => {
    const { stdout, exitCode } = await outrigger('--help');
    expect(exitCode).toBe(0);
    const commands = [...stdout.matchAll(/^ {2}([a-z]+) .*$/gm)].map(([, name]) => name ?? '');
    expect(commands).toEqual(
      expect.arrayContaining(['run', 'ps', 'logs', 'cancel', 'drain', 'resume', 'swap', 'status', 'doctor', 'top']),
    );
    expect((await outrigger('top', '--help')).stdout).toMatch(/--interval <time> .*\(default: 1s\)/);
    expect(await outrigger('bogus')).toMatchObject({
      ...{ exitCode: 2, stdout: '' },
      stderr: expect.stringMatching(/^outrigger: unknown command 'bogus'/) as string,
    });
    const { version } = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8')) as { version: string };
    expect(await outrigger('--version')).toMatchObject({ exitCode: 0, stdout: version });
  });
});
