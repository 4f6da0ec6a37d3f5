import { chmodSync, mkdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readOutput } from './support/output.js';
import { RawClient } from './support/raw-client.js';
import { temporaryFolder } from './support/runs.js';
import { startSidecar } from './support/sidecar.js';

describe('a process that cannot be started', () => {
  /** What goes wrong with a CLI and a folder that are good at first. */
  interface Files {
    readonly claude: string;
    readonly cwd: string;
  }

  it.each<[string, (files: Files) => void, string]>([
    ['the executable is missing', ({ claude }) => rmSync(claude), 'claude: it is no executable file'],
    ['the executable is none', ({ claude }) => chmodSync(claude, 0o644), 'claude: it is no executable file'],
    ['the folder is missing', ({ cwd }) => rmdirSync(cwd), 'cwd: there is no such folder'],
    [
      'the folder is a file',
      ({ cwd }) => {
        rmdirSync(cwd);
        writeFileSync(cwd, '');
      },
      'cwd: it is not a folder',
    ],
  ])('because %s is spawn_failed with the reason, and its slot is free (P6)', async (_what, spoil, words) => {
    const folder = temporaryFolder();
    const files = { claude: join(folder, 'claude'), cwd: join(folder, 'cwd') };
    writeFileSync(files.claude, '#!/bin/sh\n', { mode: 0o755 });
    mkdirSync(files.cwd);
    await using sidecar = await startSidecar({ maxExecutions: 1, claude: files.claude });
    spoil(files);
    await using client = await RawClient.connect(sidecar);
    for (const id of ['one', 'two']) {
      await client.dispatch(id, 'hello', { cwd: files.cwd });
      const outcome = await client.outcome(id);
      expect(outcome).toMatchObject({ status: 'failed', reason: 'spawn_failed', attempts: 0, survivors: 0 });
      expect(outcome.message).toContain(words);
      expect(outcome).not.toHaveProperty('startedAt');
    }
    expect((await client.request('status')).counts.live).toBe(0);
  });
});

describe('what a run gets', () => {
  it('is an allow-listed environment, three files for streams, and a prompt that is no argument', async () => {
    await using sidecar = await startSidecar({
      args: ['--pass-env', 'CHOSEN'],
      upstream: 'http://127.0.0.1:9',
      env: {
        STRAY: 'x',
        CHOSEN: 'by the operator',
        LC_ALL: 'C.UTF-8',
        NO_PROXY: 'intra',
        ANTHROPIC_API_KEY: 'x',
        OUTRIGGER_LOG_LEVEL: 'debug',
        NODE_OPTIONS: '--no-warnings',
      },
    });
    await using client = await RawClient.connect(sidecar);
    const cwd = temporaryFolder();
    await client.dispatch('env', [{ do: 'printEnv' }, { do: 'result' }], {
      cwd,
      env: { MINE: 'by the caller', PATH: process.env['PATH'] ?? '' },
      args: ['--max-thinking-tokens=5'],
      allowedTools: ['Bash(ls:*)', 'Read'],
    });
    await client.outcome('env');
    const { stdout } = await readOutput(client, 'env');
    const told = JSON.parse(stdout.lines[0] ?? '') as { env: Record<string, string>; argv: string[] };
    expect(told).toMatchObject({
      cwd,
      stdio: { stdin: 'file', stdout: 'file', stderr: 'file' },
      env: {
        CHOSEN: 'by the operator',
        MINE: 'by the caller',
        LC_ALL: 'C.UTF-8',
        NO_PROXY: 'intra,127.0.0.1,localhost',
        OUTRIGGER_EXECUTION_ID: 'env',
        ANTHROPIC_BASE_URL: 'http://127.0.0.1:9',
        // The run has it; whoever reads the run's output has not.
        CLAUDE_CODE_OAUTH_TOKEN: '[redacted]',
      },
    });
    const strays = ['STRAY', 'OUTRIGGER_TOKEN', 'OUTRIGGER_LOG_LEVEL', 'ANTHROPIC_API_KEY', 'NODE_OPTIONS'];
    expect(Object.keys(told.env).filter((name) => strays.includes(name))).toEqual([]);
    expect(told.argv).toEqual(
      expect.arrayContaining(['-p', '--verbose', '--allowedTools=Bash(ls:*),Read', '--max-thinking-tokens=5']),
    );
    expect(told.argv.join(' ')).not.toContain('FAKE-CLAUDE-SCRIPT');
  });

  it.each(['-p', '--output-format=text', '--session-id', '-r', '--resume=x', '-c', '--settings={}', '--verbose'])(
    'is never the flag %s, which the sidecar owns',
    async (flag) => {
      await using sidecar = await startSidecar();
      await using client = await RawClient.connect(sidecar);
      const error = await client.refused('dispatch', {
        executionId: 'x',
        request: { prompt: 'hello', args: ['--x', flag] },
      });
      expect(error).toMatchObject({ code: 'invalid', data: { issues: [{ path: 'request.args' }] } });
      expect(error.message).toContain(flag.split('=')[0]);
    },
  );

  it.each(['ANTHROPIC_API_KEY', 'ANTHROPIC_AUTH_TOKEN', 'ANTHROPIC_BASE_URL', 'CLAUDE_CODE_OAUTH_TOKEN'])(
    'is never a %s of the caller',
    async (name) => {
      await using sidecar = await startSidecar();
      await using client = await RawClient.connect(sidecar);
      const error = await client.refused('dispatch', {
        executionId: 'x',
        request: { prompt: 'hello', env: { [name]: 'x' } },
      });
      expect(error).toMatchObject({ code: 'invalid', data: { issues: [{ path: `request.env.${name}` }] } });
    },
  );
});

it.each([
  ['a path through a file', '/etc/passwd/x'],
  ['a name that is too long', `/${'a'.repeat(300)}`],
])('a working directory that is %s ends that run alone (P6, I12)', async (_what, cwd) => {
  await using sidecar = await startSidecar();
  await using client = await RawClient.connect(sidecar);
  await client.dispatch('run', [{ do: 'result' }], { cwd });
  expect(await client.outcome('run')).toMatchObject({ status: 'failed', reason: 'spawn_failed', survivors: 0 });
  await client.dispatch('next', [{ do: 'result' }]);
  expect(await client.outcome('next')).toMatchObject({ status: 'succeeded' });
});
