import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { createFleet, type Fleet, type FleetOptions, type Outcome } from '@outrigger/sdk';
import { redisStore } from '@outrigger/sdk/redis';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { blockHost, REFUSED } from './support/blocked-host.js';
import { nextEvent, script } from './support/fleet.js';
import { startRedis, type TestRedis } from './support/redis.js';
import { processesIn } from './support/outside.js';
import { startRestartable } from './support/restart.js';
import { temporaryFolder, until } from './support/runs.js';
import { startSidecar } from './support/sidecar.js';
import { TcpProxy } from './support/tcp-proxy.js';

const DONE = script({ do: 'assistant', text: 'done' }, { do: 'result' });
const SOON = { lostAfterMs: 400, reconcileIntervalMs: 100 };

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis[Symbol.asyncDispose]());

/** A host, and what it has been told. */
function host(
  options: FleetOptions & { redisUrl?: string } = {},
): { fleet: Fleet; handled: Outcome[] } & AsyncDisposable {
  const handled: Outcome[] = [];
  const { redisUrl = redis.url, ...rest } = options;
  const fleet = createFleet({
    store: redisStore({ url: redisUrl, prefix: expect.getState().currentTestName?.replace(/\W+/g, '-') ?? 'x' }),
    onOutcome: (outcome) => void handled.push(outcome),
    ...rest,
  });
  return { fleet, handled, [Symbol.asyncDispose]: () => fleet.close() };
}

describe('two hosts over one Redis', () => {
  it('handle each outcome once between them, whoever dispatched it, and both know it (R5)', async () => {
    await using sidecar = await startSidecar({ maxExecutions: 20 });
    await using one = host();
    await using two = host();
    const [agent] = await Promise.all([one.fleet.connect(sidecar), two.fleet.connect(sidecar)]);
    const ids = Array.from({ length: 20 }, (_, n) => `run-${n}`);
    const executions = await Promise.all(ids.map((executionId) => agent.dispatch({ executionId, prompt: DONE })));
    for (const { id, outcome } of executions) {
      expect(await outcome).toMatchObject({ status: 'succeeded' });
      const seen = await two.fleet.execution(id);
      expect(await seen.outcome).toEqual(await outcome);
    }
    await expect.poll(async () => (await agent.status()).counts.unacknowledged).toBe(0);
    expect([...one.handled, ...two.handled].map(({ executionId }) => executionId).sort()).toEqual(ids.sort());
  });

  it('start a run once, though both dispatch and cancel it and reconcile at the same time (R8)', async () => {
    const folder = temporaryFolder();
    await using sidecar = await startSidecar({ maxExecutions: 20 });
    await using one = host();
    await using two = host();
    const agents = await Promise.all([one.fleet.connect(sidecar), two.fleet.connect(sidecar)]);
    const ids = Array.from({ length: 10 }, (_, n) => `run-${n}`);
    const prompt = script(...until(join(folder, 'never')));
    const dispatched = await Promise.all(
      ids.flatMap((executionId) => agents.map((agent) => agent.dispatch({ executionId, prompt, cwd: folder }))),
    );
    await expect.poll(() => processesIn(folder).length).toBe(ids.length);
    await Promise.all([
      ...dispatched.map((execution) => execution.cancel()),
      one.fleet.reconcile(),
      two.fleet.reconcile(),
    ]);
    for (const { outcome } of dispatched) expect(await outcome).toMatchObject({ status: 'cancelled' });
    await expect.poll(() => one.handled.length + two.handled.length).toBe(ids.length);
  });

  it('refuse an id that was dispatched to another agent', async () => {
    await using first = await startSidecar({ args: ['--agent-id=first'] });
    await using second = await startSidecar({ args: ['--agent-id=second'] });
    await using one = host();
    await using two = host();
    const there = await one.fleet.connect(first);
    const elsewhere = await two.fleet.connect(second);
    const execution = await there.dispatch({ executionId: 'run', prompt: DONE });
    const again = elsewhere.dispatch({ executionId: 'run', prompt: DONE });
    await expect(again).rejects.toMatchObject({ code: 'wrong_agent', data: { agentId: there.id } });
    expect(await execution.outcome).toMatchObject({ status: 'succeeded' });
  });
});

describe('two hosts with stores of their own', () => {
  it('are told so when they meet at one agent, and hosts that share one are not', async () => {
    await using sidecar = await startSidecar();
    await using one = host();
    await using two = host();
    await using apart = createFleet({});
    const told: unknown[] = [];
    for (const fleet of [one.fleet, two.fleet, apart]) fleet.on('splitStore', (event) => told.push(event));
    await one.fleet.connect(sidecar);
    await two.fleet.connect(sidecar);
    const agent = await apart.connect(sidecar);
    await expect.poll(() => told).toMatchObject([{ agentId: agent.id, storeIds: [expect.any(String)] }]);
  });
});

describe('an agent that cannot be reached', () => {
  it('is not dead before its lease has passed; then its runs are lost, and corrected once it is back (R7, O14)', async () => {
    const folder = temporaryFolder();
    await using sidecar = await startSidecar();
    await using proxy = await TcpProxy.to(sidecar.url);
    await using one = host(SOON);
    await using two = host(SOON);
    const agent = await one.fleet.connect({ url: proxy.url, token: sidecar.token });
    await two.fleet.connect({ url: proxy.url, token: sidecar.token });
    const corrections: unknown[] = [];
    for (const { fleet } of [one, two]) fleet.on('outcomeCorrected', (event) => corrections.push(event));
    const prompt = script(...until(join(folder, 'gate')));
    const execution = await agent.dispatch({ executionId: 'run', prompt, cwd: folder });
    proxy.refuse(true);
    const away = nextEvent(one.fleet, 'agentUnreachable');
    proxy.cut();
    await away;
    expect(await execution.outcome).toMatchObject({ status: 'lost', reason: 'agent_gone', survivors: null });
    await expect.poll(() => [...one.handled, ...two.handled]).toMatchObject([{ status: 'lost' }]);

    writeFileSync(join(folder, 'gate'), '');
    proxy.refuse(false);
    await expect.poll(() => corrections).toHaveLength(1);
    expect(corrections).toMatchObject([
      { agentId: agent.id, outcome: { executionId: 'run', status: 'succeeded', corrected: true } },
    ]);
    const handled = [...one.handled, ...two.handled].map(({ status }) => status);
    expect(handled).toEqual(expect.arrayContaining(['lost', 'succeeded']));
    expect(handled).toHaveLength(2);
    const seen = await two.fleet.execution('run');
    expect(await seen.outcome).toMatchObject({ status: 'succeeded', corrected: true });
  });

  it('is left alone while another host reaches it (R7)', async () => {
    const folder = temporaryFolder();
    await using sidecar = await startSidecar();
    await using proxy = await TcpProxy.to(sidecar.url);
    await using cutOff = host(SOON);
    await using connected = host(SOON);
    const agent = await cutOff.fleet.connect({ url: proxy.url, token: sidecar.token });
    await connected.fleet.connect(sidecar);
    const prompt = script(...until(join(folder, 'gate')));
    const execution = await agent.dispatch({ executionId: 'run', prompt, cwd: folder });
    proxy.refuse(true);
    proxy.cut();
    const cutAtMs = performance.now();
    await expect
      .poll(
        async () => {
          await cutOff.fleet.reconcile();
          return performance.now() - cutAtMs;
        },
        { timeout: 30_000 },
      )
      .toBeGreaterThan(3 * SOON.lostAfterMs);
    expect(cutOff.handled).toEqual([]);
    writeFileSync(join(folder, 'gate'), '');
    await expect.poll(() => connected.handled).toMatchObject([{ status: 'succeeded' }]);
    proxy.refuse(false);
    const outcome = await execution.outcome;
    expect(outcome).toMatchObject({ status: 'succeeded' });
    expect(outcome).not.toHaveProperty('corrected');
  });

  it('is given up by a host that was never connected to it, when the one that was is gone (I3)', async () => {
    const folder = temporaryFolder();
    const gone = host(SOON);
    await using sidecar = await startSidecar();
    const agent = await gone.fleet.connect(sidecar);
    await agent.dispatch({ executionId: 'run', prompt: script(...until(join(folder, 'never'))), cwd: folder });
    await gone.fleet.close();
    await sidecar.stop();
    await using next = host(SOON);
    await expect
      .poll(async () => {
        await next.fleet.reconcile();
        return next.handled;
      })
      .toMatchObject([{ executionId: 'run', status: 'lost', reason: 'agent_gone' }]);
    // Nobody looks for it for ever.
    await expect.poll(async () => (await next.fleet.reconcile()).agents).toEqual([]);
  });
});

describe('a Redis that fails', () => {
  it('and is back empty is rebuilt from the sidecars, and nothing is killed for being unknown (R9)', async () => {
    const folder = temporaryFolder();
    await using server = await startRedis();
    await using sidecar = await startSidecar();
    await using one = host({ redisUrl: server.url });
    await using two = host({ redisUrl: server.url });
    const agent = await one.fleet.connect(sidecar);
    await two.fleet.connect(sidecar);
    const prompt = script(...until(join(folder, 'gate')));
    const execution = await agent.dispatch({ executionId: 'run', prompt, cwd: folder });
    await server.kill();
    await server.start();
    const report = await one.fleet.reconcile();
    const { agents } = await two.fleet.reconcile();
    expect([...report.agents, ...agents].flatMap(({ adopted }) => adopted)).toEqual(['run']);
    writeFileSync(join(folder, 'gate'), '');
    expect(await execution.outcome).toMatchObject({ status: 'succeeded' });
    await expect.poll(() => [...one.handled, ...two.handled]).toHaveLength(1);
  });

  it('while a run ends keeps its outcome from nobody: it is handled once Redis is back', async () => {
    const folder = temporaryFolder();
    await using server = await startRedis();
    await using sidecar = await startSidecar();
    await using one = host({ redisUrl: server.url });
    const agent = await one.fleet.connect(sidecar);
    const prompt = script(...until(join(folder, 'gate')));
    const execution = await agent.dispatch({ executionId: 'run', prompt, cwd: folder });
    await server.kill();
    writeFileSync(join(folder, 'gate'), '');
    expect(await execution.decided).toMatchObject({ status: 'succeeded' });
    await expect(agent.dispatch({ prompt: DONE })).rejects.toMatchObject({ code: 'store_unavailable' });
    await server.start();
    expect(await execution.outcome).toMatchObject({ status: 'succeeded' });
    await expect.poll(() => one.handled).toMatchObject([{ executionId: 'run' }]);
  });

  it('answers a script that was sent twice, because its answer was lost, as if it was sent once (R10)', async () => {
    await using proxy = await TcpProxy.to(redis.url);
    const url = proxy.url.replace('ws:', 'redis:');
    const store = redisStore({ url, prefix: 'r10' });
    /** The command reaches Redis, its answer does not reach us; then the connection breaks. */
    const answerLost = async <T>(call: () => Promise<T>): Promise<T> => {
      await store.id();
      before = await scriptsRun();
      proxy.fallSilent('to the client');
      const answer = call();
      await redisHasRun();
      proxy.cut();
      return answer;
    };
    const direct = new Redis(redis.url);
    const scriptsRun = async () => {
      const counts = (await direct.info('commandstats')).matchAll(/cmdstat_eval(?:sha)?:calls=(\d+)/g);
      return [...counts].reduce((sum, [, calls]) => sum + Number(calls), 0);
    };
    let before = 0;
    const redisHasRun = () => expect.poll(scriptsRun).toBeGreaterThan(before);
    expect(await answerLost(() => store.takePermit('limit', 'run', 1))).toBe(true);
    expect(await store.permits('limit')).toHaveLength(1);
    const change = { value: { n: 1 }, ifVersion: null, version: 'v1' };
    expect(await answerLost(() => store.writeDocument('doc', change))).toBe(true);
    await direct.quit();
    await store.close();
  });
});

describe('a Redis that refuses the password', () => {
  it('is told of without it, in the log and in errors', async () => {
    const told: unknown[] = [];
    const note = (context: object) => void told.push(context);
    const logger = { debug: note, info: note, warn: note, error: note };
    const login = { username: 'nobody', password: 'a-wrong-secret' };
    for (const url of [redis.url, [redis.url]]) {
      const store = redisStore({ url, redis: login, logger, deadlineMs: 500 });
      await store.id().catch((error: unknown) => told.push(error));
      await store.close();
    }
    expect(told).not.toEqual([]);
    expect(inspect(told, { depth: Infinity, showHidden: true })).not.toContain('a-wrong-secret');
  });
});

describe('a host that stands still for longer than it holds anything', () => {
  it('has its late writes refused, while another one has taken its place (R11)', async () => {
    expect(await blockHost(redis.url, 'r11', 300)).toEqual(REFUSED);
  });
});

describe('a record that is garbage', () => {
  it('is reported, and the others are reconciled all the same (R14)', async () => {
    const folder = temporaryFolder();
    const prefix = 'garbage';
    const store = redisStore({ url: redis.url, prefix });
    await using sidecar = await startRestartable();
    await using fleet = createFleet({ store });
    const agent = await fleet.connect(sidecar);
    const prompt = script(...until(join(folder, 'never')));
    const execution = await agent.dispatch({ executionId: 'good', prompt, cwd: folder });
    const direct = new Redis(redis.url);
    await direct.zadd(`${prefix}:{${agent.id}}:open`, 1, 'text', 2, 'empty', 3, 'numbers');
    await direct.set(`${prefix}:{${agent.id}}:execution:text`, 'no record');
    await direct.hset(`${prefix}:{${agent.id}}:execution:numbers`, { createdAt: 'yesterday', limits: '{' });
    const report = await fleet.reconcile();
    expect(report.agents).toMatchObject([{ agentId: agent.id, open: 1, unreadable: ['text', 'empty', 'numbers'] }]);
    await execution.cancel();
    expect(await execution.outcome).toMatchObject({ status: 'cancelled' });
    await direct.quit();
  });
});
