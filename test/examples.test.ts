import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createFleet, type Outcome } from '@outrigger/sdk';
import { fakeClaudePath, fakeScript, refusal, startStandInApi } from '@outrigger/sdk/testing';
import { execa } from 'execa';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { connectTasks } from '../examples/migrating/after.js';
import { runTask as runBefore } from '../examples/migrating/before.js';
import { claudePath } from './support/claude.js';
import { read, ROOT } from './support/pages.js';
import { RawClient } from './support/raw-client.js';
import { startRedis } from './support/redis.js';
import { startRestartable } from './support/restart.js';
import { hasPrinted, temporaryFolder, until } from './support/runs.js';
import { startSidecar } from './support/sidecar.js';

const run = (file: string, env: Record<string, string> = {}) =>
  execa('npx', ['tsx', '--tsconfig', 'tsconfig.run.json', file], { cwd: ROOT, env, reject: false });

describe('the demo', () => {
  it('shows three runs of the real CLI survive their sidecar and a swap, then fail without one, and exits 0, plain where there is no terminal (R1, C1)', async () => {
    const { stdout, exitCode } = await run('examples/demo/main.ts', { CI: 'true' });
    const count = (pattern: RegExp) => stdout.match(pattern)?.length;
    expect(exitCode, stdout).toBe(0);
    expect(count(/ held {2,}auth_expired: /g)).toBe(6);
    expect(count(/ killed {2,}with SIGKILL; /g)).toBe(1);
    expect(count(/ swapped {2,}generation 2 is in force/g)).toBe(1);
    expect(count(/ released {2,}/g)).toBe(3);
    expect(count(/ outcome {2,}succeeded: completed/g)).toBe(6);
    expect(count(/ outcome {2,}failed: auth_expired/g)).toBe(3);
    expect(stdout).toContain('All twelve tests pass.');
    expect(count(/^✓ /gm)).toBe(12);
    expect(stdout).not.toMatch(/^✗/m);
    expect(stdout).not.toContain('\u001b[');
  });

  it('asks for a credential before it turns to the real API', async () => {
    const { stderr, exitCode } = await execa(
      'npx',
      ['tsx', '--tsconfig', 'tsconfig.run.json', 'examples/demo/main.ts', '--real'],
      {
        cwd: ROOT,
        env: { PATH: process.env['PATH'], HOME: process.env['HOME'] },
        extendEnv: false,
        reject: false,
      },
    );
    expect(exitCode).toBe(1);
    expect(stderr).toContain('--real needs CLAUDE_CODE_OAUTH_TOKEN or ANTHROPIC_API_KEY');
  });
});

describe('the sandbox', () => {
  it('has an agent whose token expires when asked to, and tells how to go on', async () => {
    const sandbox = execa('node_modules/.bin/tsx', ['--tsconfig', 'tsconfig.run.json', 'examples/sandbox/main.ts'], {
      cwd: ROOT,
      reject: false,
    });
    onTestFinished(() => void sandbox.kill());
    let output = '';
    sandbox.stdout.on('data', (data: Buffer) => (output += data.toString()));
    const printed = async (pattern: RegExp) => {
      await expect.poll(() => output, { timeout: 30_000 }).toMatch(pattern);
      return pattern.exec(output) ?? [];
    };
    const [, url = '', token = ''] = await printed(/OUTRIGGER_URL=(\S+) OUTRIGGER_TOKEN=(\S+)/);
    await using fleet = createFleet();
    const agent = await fleet.connect({ url, token });
    const needed = once(fleet, 'credentialNeeded');
    const execution = await agent.dispatch({ prompt: 'Fix the failing test', allowedTools: ['Bash'] });
    sandbox.stdin.write('\n');
    const [, secret = '', id = ''] = await printed(/echo (\S+) \| npx outrigger swap --id (\S+)/);
    await needed;
    await agent.swapCredential({ id, kind: 'oauth', secret });
    expect(await execution.outcome).toMatchObject({ status: 'succeeded', attempts: 1 });
    const texts: string[] = [];
    for await (const text of execution.text()) texts.push(text);
    expect(texts.join()).toContain('All done');
    sandbox.kill('SIGINT');
    expect(await sandbox).toMatchObject({ exitCode: 0 });
  });
});

describe('the quickstart', () => {
  it('runs against a sidecar and prints what the agent said and how it ended', async () => {
    await using sidecar = await startSidecar();
    const { stdout, exitCode } = await run('examples/quickstart.ts', {
      OUTRIGGER_URL: sidecar.url,
      OUTRIGGER_TOKEN: sidecar.token,
    });
    expect(exitCode).toBe(0);
    expect(stdout).toContain('Fix the failing test and tell me what was wrong.');
    expect(stdout).toMatch(/^fix-\d+: succeeded \(completed\)$/m);
  });

  it('is what the README shows', () => {
    expect(read('README.md')).toContain(read('examples/quickstart.ts'));
  });
});

describe('the conversation', () => {
  it('is held with a run, turn by turn, until the run is told that nothing more is to come', async () => {
    await using sidecar = await startSidecar();
    const { stdout, exitCode } = await run('examples/talk.ts', {
      OUTRIGGER_URL: sidecar.url,
      OUTRIGGER_TOKEN: sidecar.token,
    });
    expect(exitCode).toBe(0);
    expect(stdout.trim().split('\n')).toEqual([
      'Find out why the test fails, but change nothing yet.',
      'Now fix it.',
      'And write a test that would have caught it.',
      'succeeded',
    ]);
  });

  it('is what the README shows', () => {
    expect(read('README.md')).toContain(read('examples/talk.ts'));
  });
});

describe('the swap of a credential', () => {
  it('answers the need of a run whose token is refused, which goes on and succeeds', async () => {
    await using api = await startStandInApi({ accept: ['the-spare-token'] });
    api.refuse('a-credential-for-tests', refusal.expired());
    await using sidecar = await startSidecar({ claude: claudePath('2.1.329'), mode: 'gateway', upstream: api.url });
    const { stdout, exitCode } = await run('examples/swap.ts', {
      OUTRIGGER_URL: sidecar.url,
      OUTRIGGER_TOKEN: sidecar.token,
      SPARE_TOKEN: 'the-spare-token',
    });
    expect(exitCode).toBe(0);
    expect(stdout).toContain('the agent needs another credential: auth_expired');
    expect(stdout).toMatch(/^hold\nreleased\nsucceeded after a hold$/m);
  });

  it('is what the README shows', () => {
    expect(read('README.md')).toContain(read('examples/swap.ts'));
  });
});

describe('the fleet', () => {
  it('places a run on an agent, gives it a credential, and another one when that is refused', async () => {
    await using redis = await startRedis();
    await using api = await startStandInApi({ accept: ['the-second-token'] });
    const claude = claudePath('2.1.329');
    const setup = { claude, mode: 'gateway', upstream: api.url, credential: null } as const;
    await using one = await startSidecar({ ...setup, args: ['--agent-id=one'] });
    await using two = await startSidecar({ ...setup, args: ['--agent-id=two'] });
    api.refuse('the-first-token', refusal.expired());
    const { stdout, exitCode } = await run('examples/fleet.ts', {
      REDIS_URL: redis.url,
      OUTRIGGER_URLS: `${one.url},${two.url}`,
      OUTRIGGER_TOKEN: one.token,
      TEAM_A_TOKEN: 'the-first-token',
      TEAM_B_TOKEN: 'the-second-token',
    });
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^one has team-a now: credential_missing$/m);
    expect(stdout).toMatch(/^one has team-b now: auth_expired$/m);
    expect(stdout).toMatch(/^\S+ succeeded$/m);
  });

  it('is what the README shows', () => {
    expect(read('README.md')).toContain(read('examples/fleet.ts'));
  });
});

describe('the replacement of a container', () => {
  it('waits for what runs, has it replaced, and for the new sidecar', async () => {
    const folder = temporaryFolder();
    const [gate, go] = [join(folder, 'gate'), join(folder, 'go')];
    await using sidecar = await startRestartable();
    await using client = await RawClient.connect(sidecar);
    await client.dispatch('busy', until(gate));
    await hasPrinted(client, 'busy');
    const replacing = run('examples/replace.ts', {
      OUTRIGGER_URL: sidecar.url,
      OUTRIGGER_TOKEN: sidecar.token,
      REPLACE_COMMAND: `touch ${go}`,
    });
    await client.waitFor('drain_progress');
    expect(existsSync(go)).toBe(false);
    writeFileSync(gate, '');
    await expect.poll(() => existsSync(go)).toBe(true);
    await sidecar.restart();
    const { stdout, exitCode } = await replacing;
    expect(stdout.split('\n')).toEqual(['draining busy', 'drained', 'replaced: a new sidecar has answered']);
    expect(exitCode).toBe(0);
  });

  it('is what the page shows', () => {
    expect(read('docs/drain-and-replacement.md')).toContain(read('examples/replace.ts'));
  });
});

describe('the migration', () => {
  it('leaves a backend that does what it did, and stores what came of it', async () => {
    vi.stubEnv('CLAUDE', fakeClaudePath);
    const folder = temporaryFolder();
    expect(await runBefore('Say hello', folder)).toBe('Say hello');
    await expect(runBefore(fakeScript([{ do: 'exit', code: 3 }]), folder)).rejects.toThrow('claude exited with 3');
    vi.unstubAllEnvs();

    await using sidecar = await startSidecar();
    const saved: string[] = [];
    const save = (outcome: Outcome) => Promise.resolve(void saved.push(`${outcome.executionId} ${outcome.reason}`));
    const tasks = await connectTasks({ url: sidecar.url, token: sidecar.token, save });
    expect(await tasks.runTask('good', 'Say hello', folder)).toBe('Say hello');
    expect(await tasks.runTask('good', 'Say hello', folder)).toBe('Say hello');
    const bad = fakeScript([{ do: 'exit', code: 3 }]);
    await expect(tasks.runTask('bad', bad, folder)).rejects.toThrow('failed (crashed): ');
    await tasks.close();
    expect(saved).toEqual(['good completed', 'bad crashed']);
  });

  it.each(['before', 'after'])('is what the page shows, %s', (file) => {
    expect(read('docs/migrating.md')).toContain(read(`examples/migrating/${file}.ts`));
  });
});

describe('the tests of a backend', () => {
  // They run themselves.
  it.each(['sidecar', 'backend.test'])('are what the page shows: %s', (file) => {
    expect(read('docs/testing.md')).toContain(read(`examples/testing/${file}.ts`));
  });
});
