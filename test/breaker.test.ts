import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FakeStep } from '@outrigger/sdk/testing';
import { describe, expect, it } from 'vitest';
import { connectFleet, script } from './support/fleet.js';
import { RawClient } from './support/raw-client.js';
import { hanging, isRunning, temporaryFolder, until } from './support/runs.js';
import { type SidecarSetup, startSidecar, type TestSidecar } from './support/sidecar.js';

const HOUR_MS = 3_600_000;
const crash: FakeStep[] = [{ do: 'init' }, { do: 'exit', code: 1 }];
const good: FakeStep[] = [{ do: 'init' }, { do: 'result' }];

/** A sidecar whose circuit stays open for as long as a test wants; every death is a young one. */
const startBreaker = (cooldownMs: number, setup: SidecarSetup = {}) =>
  startSidecar({
    ...setup,
    args: ['--breaker-young-ms=3600000', `--breaker-cooldown-ms=${cooldownMs}`, ...(setup.args ?? [])],
  });

async function die(client: RawClient, ...ids: string[]): Promise<void> {
  for (const id of ids) {
    await client.dispatch(id, crash);
    expect(await client.outcome(id)).toMatchObject({ reason: 'crashed' });
  }
}

const openings = (client: RawClient) => client.frames.filter((frame) => frame.type === 'circuit_opened');

async function readiness({ url }: TestSidecar): Promise<unknown> {
  return (await fetch(`${url.replace('ws', 'http')}/readyz`)).json();
}

describe('a circuit', () => {
  it('opens after three young deaths in a row, is one event, and refuses or skips until it is retried (D6)', async () => {
    await using sidecar = await startBreaker(HOUR_MS);
    await using client = await RawClient.connect(sidecar);
    await die(client, 'a', 'b');
    await client.dispatch('fine', good);
    await client.outcome('fine');
    await die(client, 'c', 'd');
    expect(await readiness(sidecar)).toEqual({ ready: true });
    await die(client, 'e');
    const opened = await client.waitFor('circuit_opened');
    expect(opened).toMatchObject({ openings: 1, executionId: 'e', reason: 'crashed' });
    expect(opened.retryAt - opened.openedAt).toBe(HOUR_MS);
    // What a death has taught is kept before the death is told of: the sidecar may be killed for it.
    const types = client.frames.flatMap((frame) =>
      frame.type === 'outcome' && frame.outcome.executionId === 'e' ? ['outcome'] : frame === opened ? ['opened'] : [],
    );
    expect(types).toEqual(['opened', 'outcome']);

    const { retryAt } = opened;
    for (const whenBusy of ['refuse', 'queue'] as const) {
      const refusal = await client.refused('dispatch', { executionId: 'f', request: { prompt: 'x', whenBusy } });
      expect(refusal).toMatchObject({ code: 'circuit_open', data: { retryAt } });
    }
    await client.dispatch('g', good, { whenBusy: 'skip' });
    expect(await client.outcome('g')).toMatchObject({ status: 'skipped', reason: 'circuit_open', retryAt });
    expect(await readiness(sidecar)).toEqual({ ready: false, problem: 'circuit_open' });
    expect((await client.request('status')).circuit).toMatchObject({ state: 'open', retryAt, openings: 1 });
    expect(openings(client)).toHaveLength(1);
  });

  it.each<[string, SidecarSetup, string]>([
    ['what cannot be started', { args: ['--breaker-failures=2'] }, 'spawn_failed'],
    ['what exits without a result', { args: ['--breaker-failures=2'] }, 'no_result'],
  ])('opens for %s as well (D6)', async (_what, setup, reason) => {
    await using sidecar = await startBreaker(HOUR_MS, setup);
    await using client = await RawClient.connect(sidecar);
    for (const id of ['a', 'b']) {
      if (reason === 'spawn_failed') await client.dispatch(id, good, { cwd: '/no/such/folder' });
      else await client.dispatch(id, [{ do: 'init' }]);
      expect(await client.outcome(id)).toMatchObject({ reason });
    }
    expect(await client.waitFor('circuit_opened')).toMatchObject({ executionId: 'b', reason });
  });

  it.each<[string, string, FakeStep[], string]>([
    ['without a limit', '--breaker-failures=0', crash, 'crashed'],
    ['of a refused credential', '--breaker-failures=1', refused(), 'auth_invalid'],
    ['that are not young', '--breaker-young-ms=1', [{ do: 'sleep', ms: 20 }, ...crash], 'crashed'],
  ])('stays closed after deaths %s (D6)', async (_what, flag, steps, reason) => {
    await using sidecar = await startBreaker(HOUR_MS, { args: [flag] });
    await using client = await RawClient.connect(sidecar);
    for (const id of ['a', 'b', 'c', 'd']) {
      await client.dispatch(id, steps);
      expect(await client.outcome(id)).toMatchObject({ reason });
    }
    expect(openings(client)).toEqual([]);
    expect((await client.request('status')).circuit).toBeUndefined();
  });

  it('lets one in after the cooldown, opens again for twice the time, and closes with one success (D6)', async () => {
    await using sidecar = await startBreaker(200, { maxExecutions: 3 });
    await using client = await RawClient.connect(sidecar);
    const finish = join(temporaryFolder(), 'finish');
    await die(client, 'a', 'b', 'c');
    const halfOpen = () => expect.poll(async () => (await client.request('status')).circuit?.state).toBe('half_open');
    await halfOpen();
    expect(await readiness(sidecar)).toEqual({ ready: true });
    await die(client, 'trial');
    const again = await client.waitFor('circuit_opened', ({ openings }) => openings === 2);
    expect(again).toMatchObject({ executionId: 'trial' });
    expect(again.retryAt - again.openedAt).toBe(400);

    await halfOpen();
    await client.dispatch('second', until(finish));
    await isRunning(client, 'second');
    expect(await client.refusedDispatch('another', good)).toBe('circuit_open');
    expect(await readiness(sidecar)).toMatchObject({ problem: 'circuit_open' });
    writeFileSync(finish, '');
    const closed = await client.waitFor('circuit_closed');
    expect(closed).toMatchObject({ openedAt: again.openedAt, executionId: 'second' });
    await Promise.all(['x', 'y', 'z'].map((id) => client.dispatch(id, good)));
    for (const id of ['x', 'y', 'z']) expect(await client.outcome(id)).toMatchObject({ status: 'succeeded' });
    await die(client, 'd', 'e');
    expect((await client.request('status')).circuit).toBeUndefined();
  });

  it('keeps what is queued from starting, but for one to try after the cooldown (D6)', async () => {
    await using sidecar = await startBreaker(500, { maxExecutions: 2 });
    await using client = await RawClient.connect(sidecar);
    const folder = temporaryFolder();
    const [gate, finish] = [join(folder, 'gate'), join(folder, 'finish')];
    await client.dispatch('other', hanging);
    await client.dispatch('a', [{ do: 'waitForFile', path: gate }, ...crash]);
    for (const id of ['b', 'c']) await client.dispatch(id, crash, { whenBusy: 'queue' });
    await client.dispatch('d', until(finish), { whenBusy: 'queue' });
    await client.dispatch('e', good, { whenBusy: 'queue' });
    const stateOf = async (executionId: string) => (await client.request('status', { executionId })).execution?.state;
    writeFileSync(gate, '');
    const { retryAt } = await client.waitFor('circuit_opened');
    // Now there is room for both.
    await client.request('cancel', { executionId: 'other' });
    await client.outcome('other');
    await isRunning(client, 'd');
    expect(await stateOf('e')).toBe('queued');
    writeFileSync(finish, '');
    const d = await client.outcome('d');
    expect(d).toMatchObject({ status: 'succeeded' });
    expect(await client.outcome('e')).toMatchObject({ status: 'succeeded' });
    // Whole milliseconds of one clock that was read twice.
    expect(d.startedAt).toBeGreaterThanOrEqual(retryAt - 5);
    expect(openings(client)).toHaveLength(1);
  });

  it('keeps a further attempt from starting, but for one to try after the cooldown (D6)', async () => {
    await using sidecar = await startBreaker(700, { maxExecutions: 2 });
    await using client = await RawClient.connect(sidecar);
    await client.dispatch('resumed', refused(), { onCredentialFailure: 'resume', resumePrompt: script(...good) });
    await client.waitFor('state', ({ executionId, state }) => executionId === 'resumed' && state === 'held');
    await die(client, 'a', 'b', 'c');
    const { retryAt } = await client.waitFor('circuit_opened');
    const credential = { id: 'other', kind: 'oauth', secret: 'another-secret' };
    await client.request('swap_credential', { credential });
    expect((await client.request('status', { executionId: 'resumed' })).execution).toMatchObject({ state: 'held' });
    const second = await client.waitFor('state', (frame) => frame.executionId === 'resumed' && frame.attempt === 2);
    expect(second.at).toBeGreaterThanOrEqual(retryAt - 5);
    expect(await client.outcome('resumed')).toMatchObject({ status: 'succeeded', attempts: 2 });
    expect(await client.waitFor('circuit_closed')).toMatchObject({ executionId: 'resumed' });
  });

  it('is as open after a restart of the sidecar, and one event to hosts; so is the count before (D6)', async () => {
    const stateDir = temporaryFolder();
    const restart = async (old: TestSidecar, cooldownMs: number) => {
      old.process.kill('SIGKILL');
      await old.exited;
      return startBreaker(cooldownMs, { stateDir, args: [`--listen=${new URL(old.url).host}`] });
    };
    await using first = await startBreaker(HOUR_MS, { stateDir });
    await using host = await connectFleet(first);
    const events: unknown[] = [];
    host.fleet.on('circuitOpened', ({ openedAt, openings: count }) => events.push({ openedAt, count }));
    host.fleet.on('circuitClosed', ({ openedAt }) => events.push({ openedAt, isClosed: true }));
    {
      await using client = await RawClient.connect(first);
      await die(client, 'a', 'b');
    }
    await using second = await restart(first, HOUR_MS);
    await using client = await RawClient.connect(second);
    expect((await client.waitFor('welcome')).circuit).toBeUndefined();
    await die(client, 'c');
    const { openedAt, retryAt } = await client.waitFor('circuit_opened');

    await using third = await restart(second, HOUR_MS);
    await using later = await RawClient.connect(third);
    expect((await later.waitFor('welcome')).circuit).toMatchObject({ state: 'open', openedAt, retryAt, openings: 1 });
    expect(await later.refusedDispatch('d', good)).toBe('circuit_open');
    await expect(host.agent.dispatch({ prompt: 'x' })).rejects.toMatchObject({
      code: 'circuit_open',
      data: { retryAt },
    });

    // With a shorter cooldown it is not open for longer than that.
    await using fourth = await restart(third, 100);
    await using last = await RawClient.connect(fourth);
    await expect.poll(async () => (await last.request('status')).circuit?.state).toBe('half_open');
    await last.dispatch('e', good);
    await last.waitFor('circuit_closed');
    await using fifth = await restart(fourth, HOUR_MS);
    await using end = await RawClient.connect(fifth);
    expect((await end.waitFor('welcome')).circuit).toBeUndefined();
    await host.agent.status();
    expect(events).toEqual([
      { openedAt, count: 1 },
      { openedAt, isClosed: true },
    ]);
  });

  it('whose state cannot be read begins closed, and says so', async () => {
    const stateDir = temporaryFolder();
    writeFileSync(join(stateDir, 'circuit'), '{"deaths":2,"opening":{"openedAt":"long ago"}}');
    await using sidecar = await startBreaker(HOUR_MS, { stateDir });
    await sidecar.waitForLog(({ msg }) => msg.includes('circuit breaker cannot be read'));
    await using client = await RawClient.connect(sidecar);
    await die(client, 'a', 'b');
    expect(openings(client)).toEqual([]);
    await die(client, 'c');
    expect(openings(client)).toHaveLength(1);
  });

  it('of one agent in cooldown does not hold up the others, nor their runs (D7)', async () => {
    await using sick = await startBreaker(HOUR_MS, { args: ['--agent-id=sick'] });
    await using well = await startBreaker(HOUR_MS, { args: ['--agent-id=well'] });
    await using host = await connectFleet(sick);
    const other = await host.fleet.connect({ url: well.url, token: well.token });
    const opened = new Promise((resolve) => host.fleet.once('circuitOpened', resolve));
    for (const _death of ['a', 'b', 'c']) await (await host.agent.dispatch({ prompt: script(...crash) })).outcome;
    expect(await opened).toMatchObject({ agentId: 'sick' });
    await expect(host.agent.dispatch({ prompt: 'x' })).rejects.toMatchObject({ code: 'circuit_open' });
    const execution = await other.dispatch({ prompt: script(...good) });
    expect(await execution.outcome).toMatchObject({ status: 'succeeded' });
  });
});

/** A run whose credential the provider refuses, as the CLI tells it. */
function refused(): FakeStep[] {
  const text = 'Failed to authenticate. API Error: 401 Invalid bearer token';
  return [
    { do: 'init' },
    { do: 'assistant', text, model: '<synthetic>', error: 'authentication_failed' },
    { do: 'result', is_error: true, result: text, api_error_status: 401 },
    { do: 'exit', code: 1 },
  ];
}
