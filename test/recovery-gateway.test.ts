import { createServer } from 'node:net';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Execution } from '@outrigger/sdk';
import { refusal, type StandInApi, startStandInApi, type Step, text, toolUse } from '@outrigger/sdk/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { claudePath, CLAUDE_VERSIONS, type ClaudeVersion } from './support/claude.js';
import { collect, connectFleet, signal } from './support/fleet.js';
import { TOKEN_A, TOKEN_B } from './support/gateway.js';
import { processesIn } from './support/outside.js';
import { startRestartable } from './support/restart.js';
import { makeFolder, temporaryFolder } from './support/runs.js';
import { type SidecarSetup } from './support/sidecar.js';

/** The real CLI behind a gateway whose sidecar can be killed, and a host. */
async function startKillable(version: ClaudeVersion, respond: Step, more: SidecarSetup = {}) {
  const home = makeFolder();
  const api = await startStandInApi({ respond });
  const sidecar = await startRestartable({
    mode: 'gateway',
    upstream: api.url,
    credential: TOKEN_A,
    claude: claudePath(version),
    ...more,
    env: { HOME: home.path, IS_SANDBOX: '1' },
  });
  const host = await connectFleet(sidecar);
  return {
    home: home.path,
    api,
    sidecar,
    ...host,
    dispatch: (request: object = {}) =>
      host.agent.dispatch({ prompt: 'Begin.', cwd: home.path, allowedTools: ['Bash'], ...request }),
    [Symbol.asyncDispose]: async () => {
      await host.fleet.close();
      await sidecar[Symbol.asyncDispose]();
      await api.close();
      home.remove();
    },
  };
}

const turn = (api: StandInApi, n: number) => api.waitForRequest(({ kind, turn: at }) => kind === 'main' && at === n);

/** What each process that a run starts with leaves: one line for each init. */
const startsOf = (lines: string[]) => lines.filter((line) => line.includes('"subtype":"init"')).length;

const linesOf = async (execution: Execution) =>
  (await collect(execution)).flatMap((event) => (event.type === 'message' ? [event.line] : []));

describe.each(CLAUDE_VERSIONS)('the real Claude Code %s, whose sidecar is killed and started again', (version) => {
  it('in the middle of a tool goes on through the gateway of the next one, on the same port (R1)', async () => {
    const respond: Step = ({ turn: at }) =>
      at === 0 ? toolUse('Bash', { command: 'sleep 2; echo from the tool', description: 'wait' }) : text('Done.');
    await using it = await startKillable(version, respond);
    const execution = await it.dispatch();
    const reading = linesOf(execution);
    await turn(it.api, 0);
    await expect.poll(() => processesIn(it.home).length).toBeGreaterThan(1);
    const before = processesIn(it.home)[0];
    await it.sidecar.restart();
    expect(processesIn(it.home)[0]).toBe(before);
    expect(await execution.outcome).toMatchObject({
      status: 'succeeded',
      result: 'Done.',
      attempts: 1,
      credential: { id: 'standing', generation: 1 },
    });
    expect(startsOf(await reading)).toBe(1);
    const log = readFileSync(join(it.sidecar.stateDir, 'executions', execution.id, '1', 'stdout'), 'utf8');
    expect((await reading).map((line) => `${line}\n`).join('')).toBe(log);
    expect(processesIn(it.home)).toEqual([]);
  });

  it('in the middle of an answer tries again, and is answered', async () => {
    let answers = 0;
    const respond: Step = () => text('Done.', answers++ === 0 ? { chunks: 30, chunkDelayMs: 100 } : {});
    await using it = await startKillable(version, respond);
    const execution = await it.dispatch();
    await turn(it.api, 0);
    await it.sidecar.restart();
    expect(await execution.outcome).toMatchObject({ status: 'succeeded', result: 'Done.', attempts: 1 });
    expect(answers).toBeGreaterThan(1);
  });

  it('while it is held is held again until there is a credential, and no longer than it may be', async () => {
    const respond: Step = ({ secret }) => (secret === TOKEN_A ? refusal.expired() : text('Done.'));
    await using it = await startKillable(version, respond);
    const execution = await it.dispatch({ holdTimeoutMs: 60_000 });
    const seen: string[] = [];
    const isHeld = signal();
    const reading = (async () => {
      for await (const { type } of execution) {
        if (type === 'hold' || type === 'released') seen.push(type);
        if (type === 'hold') isHeld.give();
      }
    })();
    const needed = () =>
      new Promise<{ generation: number | null }>((resolve) => it.fleet.once('credentialNeeded', resolve));
    await isHeld.given;
    const again = needed();
    await it.sidecar.restart({ credential: null });
    // Without a credential of its own the sidecar has nothing to ask with.
    expect(await again).toMatchObject({ generation: null, reason: 'credential_missing' });
    expect(await it.agent.swapCredential(TOKEN_B, { ifGeneration: null })).toBe(2);
    const outcome = await execution.outcome;
    expect(outcome).toMatchObject({ status: 'succeeded', result: 'Done.', credential: { generation: 2 } });
    expect(outcome.heldMs).toBeGreaterThan(0);
    await reading;
    // Whether it was seen to run in between depends on who comes back first, its request or the host.
    expect(['hold hold released', 'hold released hold released']).toContain(seen.join(' '));
  });

  it('between two attempts waits for a credential, then goes on with its session', async () => {
    const respond: Step = ({ secret, turn: at }) => {
      if (at === 0) return toolUse('Bash', { command: 'true', description: 'nothing' });
      return secret === TOKEN_A ? refusal.revoked() : text('Done.');
    };
    await using it = await startKillable(version, respond);
    const execution = await it.dispatch({ onCredentialFailure: 'resume' });
    const needed = () =>
      new Promise<{ generation: number | null }>((resolve) => it.fleet.once('credentialNeeded', resolve));
    await needed();
    // Each sidecar has the credential that was refused: that is no other one, and no reason to try again.
    for (let n = 0; n < 2; n++) {
      const again = needed();
      await it.sidecar.restart();
      expect(await again).toMatchObject({ generation: 1, reason: 'auth_revoked' });
      expect(processesIn(it.home)).toEqual([]);
    }
    expect(await it.agent.swapCredential(TOKEN_B, { ifGeneration: 1 })).toBe(2);
    expect(await execution.outcome).toMatchObject({ status: 'succeeded', result: 'Done.', attempts: 2 });
    expect(processesIn(it.home)).toEqual([]);
  });
});

it('a hold that is over does not end the run whose sidecar is killed again when it would have been (R1)', async () => {
  const gate = join(temporaryFolder(), 'gate');
  const respond: Step = ({ secret, turn: at }) => {
    if (secret === TOKEN_A) return refusal.expired();
    const command = `until [ -e ${gate} ]; do sleep 0.1; done`;
    return at === 0 ? toolUse('Bash', { command, description: 'wait' }) : text('Done.');
  };
  await using it = await startKillable('2.1.329', respond);
  const execution = await it.dispatch({ holdTimeoutMs: 15_000 });
  let until = Infinity;
  for await (const event of execution) {
    if (event.type !== 'hold') continue;
    until = event.until;
    break;
  }
  await it.sidecar.restart({ credential: TOKEN_B.secret });
  const toolRuns = () => expect.poll(() => processesIn(it.home).length, { timeout: 15_000 });
  await toolRuns().toBeGreaterThan(1);
  await expect.poll(() => Date.now() > until, { timeout: 20_000 }).toBe(true);
  await it.sidecar.restart({ credential: TOKEN_B.secret });
  await toolRuns().toBeGreaterThan(1);
  writeFileSync(gate, '');
  expect(await execution.outcome).toMatchObject({ status: 'succeeded', result: 'Done.', attempts: 1 });
});

describe('a gateway whose port is taken after a restart (R17)', () => {
  const respond: Step = ({ turn: at }) =>
    at === 0 ? toolUse('Bash', { command: 'sleep 3', description: 'wait' }) : text('Done.');

  async function takePort(stateDir: string) {
    const port = Number(readFileSync(join(stateDir, 'gateway-port'), 'utf8'));
    const server = createServer((socket) => socket.destroy()).listen(port, '127.0.0.1');
    await once(server, 'listening');
    const free = () => new Promise((resolve) => server.close(resolve));
    onTestFinished(() => void server.close());
    return free;
  }

  it('is waited for', async () => {
    await using it = await startKillable('2.1.329', respond);
    const execution = await it.dispatch();
    await turn(it.api, 0);
    await it.sidecar.kill();
    const free = await takePort(it.sidecar.stateDir);
    const starting = it.sidecar.start();
    await new Promise((resolve) => setTimeout(resolve, 500));
    await free();
    await starting;
    expect(await execution.outcome).toMatchObject({ status: 'succeeded', attempts: 1 });
  });

  it('and does not become free is replaced, and a run that may goes on with its session in another process', async () => {
    await using it = await startKillable('2.1.329', respond);
    const execution = await it.dispatch({ onCredentialFailure: 'resume' });
    await turn(it.api, 0);
    await it.sidecar.kill();
    await takePort(it.sidecar.stateDir);
    await it.sidecar.start({ args: ['--gateway-rebind-ms=200'] });
    expect(await execution.outcome).toMatchObject({ status: 'succeeded', result: 'Done.', attempts: 2, survivors: 0 });
  });

  it('and any other run fails of it, and nothing of it is left', async () => {
    await using it = await startKillable('2.1.329', respond);
    const execution = await it.dispatch();
    await turn(it.api, 0);
    await it.sidecar.kill();
    await takePort(it.sidecar.stateDir);
    await it.sidecar.start({ args: ['--gateway-rebind-ms=200'] });
    expect(await execution.outcome).toMatchObject({ status: 'failed', reason: 'gateway_lost', survivors: 0 });
    expect(processesIn(it.home)).toEqual([]);
  });
});
