import { chmodSync, chownSync, copyFileSync, linkSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DispatchRequest } from '@outrigger/sdk';
import { type ApiRequest, refusal, startStandInApi, type Step, text, toolUse } from '@outrigger/sdk/testing';
import { describe, expect, it } from 'vitest';
import { CLAUDE_VERSIONS, claudePath } from './support/claude.js';
import { collect, connectFleet, signal } from './support/fleet.js';
import { startRestartable } from './support/restart.js';
import { makeFolder, SECOND } from './support/runs.js';

const HOUR_MS = 3_600_000;

describe.each(CLAUDE_VERSIONS)('the real Claude Code %s, talked to', (version) => {
  /** A stand-in API, a sidecar with the CLI on an empty home that can be killed, and a host. */
  async function setUp(respond: Step, mode: 'gateway' | 'env' = 'gateway') {
    const home = makeFolder();
    const api = await startStandInApi({ respond });
    const sidecar = await startRestartable({
      claude: claudePath(version),
      mode,
      upstream: api.url,
      env: { HOME: home.path, IS_SANDBOX: '1' },
    });
    const host = await connectFleet(sidecar);
    return {
      api,
      sidecar,
      agent: host.agent,
      dispatch: (request: Partial<DispatchRequest> = {}) =>
        host.agent.dispatch({ prompt: 'zero', cwd: home.path, interactive: true, allowedTools: ['Bash'], ...request }),
      /** What was asked for, in order, without what was asked for again. */
      prompts: () => api.requests.filter(({ kind }) => kind === 'main').map(({ prompt }) => prompt),
      [Symbol.asyncDispose]: async () => {
        await host[Symbol.asyncDispose]();
        await sidecar[Symbol.asyncDispose]();
        await api.close();
        home.remove();
      },
    };
  }

  const echo = ({ prompt }: ApiRequest) => text(`answer to ${prompt}`);

  it('has a turn for each message, also for those that come while one goes on, and ends when it is told to', async () => {
    const { given, give } = signal();
    await using it = await setUp(async (request) => {
      if (request.prompt === 'zero') await given;
      return echo(request);
    });
    const execution = await it.dispatch();
    await it.api.waitForRequest(({ kind }) => kind === 'main');
    await execution.send('one');
    await execution.send('two');
    give();
    const texts = execution.text();
    expect([await texts.next(), await texts.next(), await texts.next()].map(({ value }) => value)).toEqual([
      'answer to zero',
      'answer to one',
      'answer to two',
    ]);
    await execution.send('three');
    await execution.end();
    const outcome = await execution.outcome;
    expect(outcome).toMatchObject({ status: 'succeeded', result: 'answer to three', survivors: 0, attempts: 1 });
    // It was asked to end, and did.
    expect(outcome.exit).toEqual({ code: 143, signal: null });
    expect(await collect(texts)).toEqual(['answer to three']);
    expect(it.prompts()).toEqual(['zero', 'one', 'two', 'three']);
    const last = JSON.stringify(it.api.requests.findLast(({ kind }) => kind === 'main')?.body);
    expect(last.match(/answer to (zero|one|two)/g)).toHaveLength(3);
  });

  it('runs tools between messages, and ends by itself when nobody says anything', async () => {
    await using it = await setUp((request) =>
      request.turn === 0 ? toolUse('Bash', { command: 'echo spoke', description: 'say' }) : echo(request),
    );
    const execution = await it.dispatch({ interactiveIdleMs: 1000 });
    await execution.send('one');
    expect(await execution.outcome).toMatchObject({ status: 'succeeded', result: 'answer to one', survivors: 0 });
    expect(await collect(execution.text())).toEqual(['answer to zero', 'answer to one']);
  });

  it('is adopted when its sidecar was killed, in a turn and between two, and takes further messages (R1)', async () => {
    const { given, give } = signal();
    await using it = await setUp(async (request) => {
      if (request.prompt === 'one') await given;
      return echo(request);
    });
    const execution = await it.dispatch({ interactiveIdleMs: HOUR_MS });
    const texts = execution.text();
    expect((await texts.next()).value).toBe('answer to zero');
    await it.sidecar.restart();
    await execution.send('one');
    await it.api.waitForRequest(({ prompt }) => prompt === 'one');
    await execution.send('two');
    await it.sidecar.kill();
    give();
    await it.sidecar.start();
    expect((await texts.next()).value).toBe('answer to one');
    expect((await texts.next()).value).toBe('answer to two');
    await execution.send('three');
    await execution.end();
    expect(await execution.outcome).toMatchObject({ status: 'succeeded', result: 'answer to three', attempts: 1 });
    expect(await collect(texts)).toEqual(['answer to three']);
    expect([...new Set(it.prompts())]).toEqual(['zero', 'one', 'two', 'three']);
  });

  it('goes on with its session in another process when its credential was refused', async () => {
    let isRefused = true;
    await using it = await setUp(
      (request) => (request.prompt === 'one' && isRefused ? refusal.revoked() : echo(request)),
      'env',
    );
    const execution = await it.dispatch({ onCredentialFailure: 'resume', resumePrompt: 'Carry on.' });
    await execution.send('one');
    await execution.send('two');
    await execution.end();
    for await (const event of execution) if (event.type === 'hold') break;
    isRefused = false;
    await it.agent.swapCredential(SECOND);
    expect(await execution.outcome).toMatchObject({ status: 'succeeded', result: 'answer to two', attempts: 2 });
    expect(it.prompts().slice(-2)).toEqual(['Carry on.', 'two']);
    const carried = it.api.requests.findLast(({ prompt }) => prompt === 'Carry on.');
    expect(JSON.stringify(carried?.body)).toMatch(/zero.*answer to zero.*one/);
  });

  it('is cancelled between two turns, and nothing of it is left', async () => {
    await using it = await setUp(echo);
    const execution = await it.dispatch({ interactiveIdleMs: HOUR_MS });
    expect((await execution.text().next()).value).toBe('answer to zero');
    await execution.cancel();
    expect(await execution.outcome).toMatchObject({ status: 'cancelled', reason: 'requested', survivors: 0 });
  });
});

it('a message to 2.1.329 does not pass for answered by the turn that the end of a background task leads to (O13)', async () => {
  const home = makeFolder();
  await using api = await startStandInApi({
    respond: (request) => {
      if (request.prompt !== 'zero' || request.turn > 0) return text(`answer to ${request.prompt}, ${request.turn}`);
      return toolUse('Bash', { command: 'sleep 1', description: 'wait', run_in_background: true });
    },
  });
  await using sidecar = await startRestartable({
    claude: claudePath('2.1.329'),
    mode: 'gateway',
    upstream: api.url,
    env: { HOME: home.path, IS_SANDBOX: '1' },
  });
  await using host = await connectFleet(sidecar);
  const request = { prompt: 'zero', cwd: home.path, allowedTools: ['Bash'], interactive: true };
  const execution = await host.agent.dispatch(request);
  const types: unknown[] = [];
  let isSaid = false;
  for await (const event of execution) {
    if (event.type !== 'message') continue;
    const { type, subtype, origin } = event.message ?? {};
    if (subtype === 'task_notification' && !isSaid) {
      isSaid = true;
      await execution.send('one');
      await execution.end();
    }
    if (type === 'result') types.push((origin as { kind?: string } | undefined)?.kind ?? 'answer');
  }
  expect(types.toSorted()).toEqual(['answer', 'answer', 'task-notification']);
  expect(await execution.outcome).toMatchObject({ status: 'succeeded', survivors: 0 });
  expect(api.requests.some(({ prompt }) => prompt === 'one')).toBe(true);
  home.remove();
});

it.runIf(process.getuid?.() === 0)('a run of another user reads the stdin that it cannot open', async () => {
  const home = makeFolder();
  chownSync(home.path, 65534, 65534);
  const binFolder = mkdtempSync(join(tmpdir(), 'outrigger-bin-'));
  chmodSync(binFolder, 0o755);
  const claude = join(binFolder, 'claude');
  try {
    linkSync(claudePath('2.1.329'), claude);
  } catch {
    copyFileSync(claudePath('2.1.329'), claude);
  }
  await using api = await startStandInApi({ respond: ({ prompt }) => text(`answer to ${prompt}`) });
  await using sidecar = await startRestartable({
    claude,
    mode: 'gateway',
    upstream: api.url,
    args: ['--run-as=nobody'],
    env: { HOME: home.path, IS_SANDBOX: '1' },
  });
  await using host = await connectFleet(sidecar);
  const env = { HOME: home.path };
  const execution = await host.agent.dispatch({ prompt: 'zero', cwd: home.path, env, interactive: true });
  const texts = execution.text();
  expect((await texts.next()).value).toBe('answer to zero');
  await sidecar.restart();
  await execution.send('one');
  await execution.end();
  expect(await execution.outcome).toMatchObject({ status: 'succeeded', result: 'answer to one', survivors: 0 });
  home.remove();
  rmSync(binFolder, { recursive: true });
});
