import {
  chmodSync,
  chownSync,
  copyFileSync,
  linkSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DispatchRequest } from '@outrigger/sdk';
import { conversation, refusal, startStandInApi, type Step, text, toolUse } from '@outrigger/sdk/testing';
import { describe, expect, it } from 'vitest';
import { CLAUDE_VERSIONS, claudePath, type ClaudeVersion } from './support/claude.js';
import { collect, connectFleet } from './support/fleet.js';
import { processesIn } from './support/outside.js';
import { RawClient } from './support/raw-client.js';
import { temporaryFolder } from './support/runs.js';
import { runSidecar, startSidecar, type SidecarSetup } from './support/sidecar.js';

const SLOW_TOOL = conversation([
  toolUse('Bash', { command: 'tail -f /dev/null', description: 'wait' }),
  text('The tool has ended.'),
]);

async function setUp(version: ClaudeVersion, respond: Step, setup: SidecarSetup = {}) {
  const home = mkdtempSync(join(tmpdir(), 'outrigger-home-'));
  const api = await startStandInApi({ respond });
  const sidecar = await startSidecar({
    claude: claudePath(version),
    upstream: api.url,
    env: { HOME: home, IS_SANDBOX: '1' },
    ...setup,
  });
  const host = await connectFleet(sidecar);
  return {
    api,
    sidecar,
    home,
    dispatch: (request: DispatchRequest) => host.agent.dispatch({ cwd: home, ...request }),
    [Symbol.asyncDispose]: async () => {
      await host[Symbol.asyncDispose]();
      await sidecar[Symbol.asyncDispose]();
      await api.close();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

describe.each(CLAUDE_VERSIONS)('the real Claude Code %s', (version) => {
  it('that is killed at its deadline with a tool running has timed out, whatever it prints then (O6, T2, P2)', async () => {
    await using it = await setUp(version, SLOW_TOOL);
    const timeoutMs = 6000;
    const execution = await it.dispatch({ prompt: 'Wait.', allowedTools: ['Bash'], timeoutMs, graceMs: 3000 });
    const events = await collect(execution);
    const outcome = await execution.outcome;
    expect(outcome).toMatchObject({ status: 'timed_out', reason: 'deadline', survivors: 0 });
    expect(outcome.endedAt).toBe((outcome.startedAt ?? 0) + timeoutMs);
    expect(processesIn(it.home)).toEqual([]);

    const delivered = events.flatMap((event) => (event.type === 'message' ? [event.message?.['type']] : []));
    expect(delivered).toContain('assistant');
    expect(delivered).not.toContain('result');
    expect(await collect(execution.text())).toEqual([]);
  });

  it('that prints a success and exits 0 after its deadline has timed out, and its late output is not seen (O6, T2)', async () => {
    // Behind a wrapper that is deaf to the first signal the CLI goes on to the end of its turn.
    const folder = temporaryFolder();
    const wrapper = join(folder, 'claude');
    writeFileSync(wrapper, `#!/bin/sh\ntrap '' TERM\nsetsid -w ${claudePath(version)} "$@"\n`, { mode: 0o755 });
    const go = join(folder, 'go');
    const command = `until [ -e ${go} ]; do sleep 0.1; done`;
    const respond = conversation([toolUse('Bash', { command, description: 'wait' }), text('All is well.')]);
    await using it = await setUp(version, respond, { claude: wrapper });
    const timeoutMs = 5000;
    const execution = await it.dispatch({ prompt: 'Go.', allowedTools: ['Bash'], timeoutMs, graceMs: 30_000 });
    expect(await execution.decided).toMatchObject({ status: 'timed_out', reason: 'deadline' });
    writeFileSync(go, '');

    const outcome = await execution.outcome;
    expect(outcome).toMatchObject({ status: 'timed_out', reason: 'deadline', exit: { code: 0 }, survivors: 0 });
    expect(outcome.endedAt).toBe((outcome.startedAt ?? 0) + timeoutMs);
    const log = readFileSync(join(it.sidecar.stateDir, 'executions', execution.id, '1', 'stdout'), 'utf8');
    expect(log).toContain('"subtype":"success"');
    const events = await collect(execution);
    expect(
      events
        .filter((event) => event.type === 'message')
        .map((event) => event.line)
        .join(),
    ).not.toContain('All is well.');
    expect(await collect(execution.text())).toEqual([]);
  });

  it('that answers in the words of an API error has succeeded all the same (C7)', async () => {
    const words = 'API Error: 401 OAuth token has expired. Please obtain a new token or refresh your existing token.';
    await using it = await setUp(version, text(words));
    const execution = await it.dispatch({ prompt: 'What does an expired token look like?' });
    expect(await execution.outcome).toMatchObject({ status: 'succeeded', reason: 'completed', result: words });
    expect(await collect(execution.text())).toEqual([words]);
  });

  it.each([
    ['auth_revoked', refusal.revoked()],
    ['auth_invalid', refusal.notAllowedForOrganization()],
    ['rate_limited', refusal.rateLimited({ claim: 'five_hour', resetsAt: 1_900_000_000_000 })],
    ['billing', refusal.billing()],
    ['billing', refusal.organizationDisabled()],
    ['model_unavailable', refusal.modelNotFound()],
    ['prompt_too_long', refusal.promptTooLong()],
    ['agent_error', refusal.thinkingSignature()],
  ])('ends failed: %s when the API says so, and nothing else (C9)', async (reason, answer) => {
    await using it = await setUp(version, answer);
    const execution = await it.dispatch({ prompt: 'Go.' });
    expect(await execution.outcome).toMatchObject({ status: 'failed', reason, survivors: 0 });
    expect(await collect(execution.text())).toEqual([]);
  });

  it('that is killed by somebody has crashed; nothing is said of a credential (C8)', async () => {
    await using it = await setUp(version, SLOW_TOOL);
    const execution = await it.dispatch({ prompt: 'Wait.', allowedTools: ['Bash'] });
    await it.api.waitForRequest((request) => request.kind === 'main' && request.ended === 'answered');
    processesIn(it.home).forEach((pid) => process.kill(pid, 'SIGKILL'));
    expect(await execution.outcome).toMatchObject({ status: 'failed', reason: 'crashed', exit: { signal: 'SIGKILL' } });
  });
});

it('2.1.329 is ended at the first refusal of its credential, not after its own tries', async () => {
  await using it = await setUp('2.1.329', refusal.expired());
  const execution = await it.dispatch({ prompt: 'Go.' });
  expect(await execution.outcome).toMatchObject({ status: 'failed', reason: 'auth_invalid', survivors: 0 });
  expect(it.api.requests.filter((request) => request.kind === 'main')).toHaveLength(1);
});

it('a token that was good earlier in the run has expired when it is refused', async () => {
  const expires = conversation([toolUse('Bash', { command: 'true', description: 'nothing' }), refusal.expired()]);
  await using it = await setUp('2.1.329', expires);
  const execution = await it.dispatch({ prompt: 'Go.', allowedTools: ['Bash'] });
  expect(await execution.outcome).toMatchObject({ status: 'failed', reason: 'auth_expired' });
});

it('1.0.128, which says nothing of a refused credential, is caught by the idle clock (C1)', async () => {
  await using it = await setUp('1.0.128', refusal.expired());
  const execution = await it.dispatch({ prompt: 'Go.', idleTimeoutMs: 4000 });
  expect(await execution.outcome).toMatchObject({ status: 'timed_out', reason: 'idle', survivors: 0 });
});

const isRoot = process.getuid?.() === 0;

it.runIf(!isRoot)('--run-as is refused to a sidecar that may not change users', async () => {
  const { code, stderr } = await runSidecar(['--run-as=nobody', '--listen=127.0.0.1:0']);
  expect(code).toBe(2);
  expect(stderr).toContain('--run-as nobody: only a sidecar started as root can change users');
});

describe.runIf(isRoot)('with --run-as', () => {
  /** Everything of the sidecar a tool could want, each as a command that prints something if it gets at it. */
  const attempts = (pid: number, stateDir: string) => [
    `cat /proc/${pid}/environ | tr '\\0' '\\n'`,
    `head -c 1 /proc/${pid}/mem`,
    `cat /proc/${pid}/maps | head -1`,
    `ls ${stateDir}`,
    `cat ${stateDir}/token ${stateDir}/lock`,
    `kill -0 ${pid} && echo reached`,
  ];

  it('a tool of the run can read neither memory, environment nor files of the sidecar', async () => {
    const binFolder = mkdtempSync(join(tmpdir(), 'outrigger-bin-'));
    chmodSync(binFolder, 0o755);
    const claude = join(binFolder, 'claude');
    try {
      linkSync(claudePath('2.1.329'), claude);
    } catch {
      copyFileSync(claudePath('2.1.329'), claude);
    }
    let commands: string[] = [];
    const respond: Step = (request) => {
      const command = commands[request.turn];
      return command === undefined
        ? text('done')
        : toolUse('Bash', { command: `${command} 2>&1; id -u`, description: 'try' });
    };
    await using it = await setUp('2.1.329', respond, { claude, args: ['--run-as=nobody'] });
    chownSync(it.home, 65534, 65534);
    commands = attempts(it.sidecar.process.pid ?? 0, it.sidecar.stateDir);

    const execution = await it.dispatch({
      prompt: 'Look around.',
      cwd: it.home,
      env: { HOME: it.home },
      allowedTools: ['Bash'],
      settings: { includeCoAuthoredBy: false },
    });
    expect(await execution.outcome).toMatchObject({ status: 'succeeded', survivors: 0 });
    const events = await collect(execution);
    const results = events.flatMap((event) =>
      event.type === 'message' && event.message?.['type'] === 'user' ? [event.line] : [],
    );
    expect(results).toHaveLength(commands.length);
    for (const result of results) {
      expect(result).toContain('65534');
      expect(result).toMatch(/Permission denied|Operation not permitted/);
    }
    expect(results.join()).not.toContain(it.sidecar.token);
    rmSync(binFolder, { recursive: true });
  });

  it('welcome says how the run is isolated', async () => {
    await using sidecar = await startSidecar({ args: ['--run-as=nobody'] });
    await using client = await RawClient.connect(sidecar);
    expect((await client.waitFor('welcome')).isolation).toBe('uid');
  });
});
