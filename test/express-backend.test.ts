import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FakeStep, refusal } from '@outrigger/sdk/testing';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Backend, runBackend, startBackend, type Stream } from './support/express-backend.js';
import { script } from './support/fleet.js';
import { startRedis } from './support/redis.js';
import { startRestartable } from './support/restart.js';
import { makeFolder } from './support/runs.js';
import { type SharedFleet, startSharedFleet } from './support/shared-fleet.js';
import { startSidecar, TOKEN } from './support/sidecar.js';

const SECRETS = ['sk-ant-oat01-team-a', 'sk-ant-oat01-team-b'] as const;

const folder = makeFolder();
const credentialsFile = join(folder.path, 'credentials.json');
let fleet: SharedFleet;
beforeAll(async () => {
  const credentials = SECRETS.map((secret) => ({ id: secret.slice(-6), kind: 'oauth', secret }));
  writeFileSync(credentialsFile, JSON.stringify(credentials));
  fleet = await startSharedFleet({ agents: 3, hosts: 0, sidecar: { maxExecutions: 1, mode: 'env' } });
  await using first = await start();
  for (const { agentId } of fleet.sidecars) {
    await first.logged('credentialSwitched', (line) => line['agentId'] === agentId);
  }
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
  folder.remove();
});

/** A backend that has reached all three agents. */
async function start(env: Record<string, string> = {}): Promise<Backend> {
  const { redis, sidecars: agents } = fleet;
  const backend = await startBackend({ redisUrl: redis.url, agents, credentialsFile, env });
  for (const { agentId } of agents) await backend.logged('agent connected', (line) => line['agentId'] === agentId);
  return backend;
}

/** A gate a run waits at. */
function gate(name: string) {
  const path = join(folder.path, name);
  return { step: { do: 'waitForFile', path } as const, open: () => writeFileSync(path, '') };
}

const says = (text: string): FakeStep => ({ do: 'assistant', text });
const textsOf = ({ items }: Stream) => items.filter(({ event }) => event === 'text').map(({ data }) => data?.['text']);
const stepsOf = ({ items }: Stream) => items.flatMap(({ event, data }) => (event === 'state' ? [data?.['state']] : []));
const stateOf = async (backend: Backend, id: string) => (await backend.get(id)).body;
const timesStored = (id: string, ...backends: Backend[]) =>
  backends.flatMap(({ log }) => log).filter((line) => line.msg === 'outcome stored' && line['id'] === id).length;

describe('a task', () => {
  it('is followed to its outcome, by a client that comes back to another process without loss or duplicates', async () => {
    await using one = await start();
    await using two = await start();
    const end = gate('followed');
    const prompt = script({ do: 'init' }, says('One.'), says('Two.'), end.step, says('Three.'), { do: 'result' });
    const posted = await one.post({ id: 'followed', prompt });
    expect(posted).toMatchObject({ status: 202, body: { id: 'followed' } });

    const first = await one.follow('followed');
    await first.readUntil(({ event }) => event === 'text');
    expect(textsOf(first)).toEqual(['One.']);
    await first[Symbol.asyncDispose]();
    await one.logged('stream closed', (line) => line['id'] === 'followed');
    await expect.poll(() => stateOf(two, 'followed')).toEqual({ ...posted.body, state: 'running' });

    await using second = await two.follow('followed', first.lastEventId);
    end.open();
    await second.readAll();
    expect(textsOf(second)).toEqual(['Two.', 'Three.']);
    // That it is ending passes too quickly for everybody to hear of it.
    const steps = [...stepsOf(first), ...stepsOf(second)].filter((state) => state !== 'ending' && state !== 'ended');
    expect(steps).toEqual(['starting', 'running']);
    expect(second.items.at(-1)).toMatchObject({ event: 'outcome', id: 'end', data: { status: 'succeeded' } });

    await expect
      .poll(() => stateOf(one, 'followed'))
      .toMatchObject({ state: 'ended', outcome: { status: 'succeeded' } });
    await using third = await one.follow('followed', second.lastEventId);
    expect(third.status).toBe(204);
    await using late = await one.follow('followed');
    await late.readAll();
    expect(textsOf(late)).toEqual(['One.', 'Two.', 'Three.']);
    expect(late.items.at(-1)).toEqual(second.items.at(-1));
  });

  it('is one run when its id is posted many times, to two processes at once, and has one body', async () => {
    await using one = await start();
    await using two = await start();
    const starts = join(folder.path, 'starts');
    const task = { id: 'once', prompt: script({ do: 'touch', path: starts, text: 'started\n' }, { do: 'result' }) };
    const answers = await Promise.all([one, two, one, two].map((backend) => backend.post(task)));
    expect(answers).toEqual(answers.map(() => ({ status: 202, body: answers[0]?.body, retryAfter: null })));
    await expect.poll(() => stateOf(two, 'once')).toMatchObject({ state: 'ended' });
    expect(readFileSync(starts, 'utf8')).toBe('started\n');
    await expect.poll(() => timesStored('once', one, two)).toBe(1);
    expect(await one.post({ ...task, prompt: 'another one' })).toMatchObject({
      status: 409,
      body: { id: 'once', error: { code: 'execution_conflict' } },
    });
  });

  it('is refused with 429 when no agent has room, and cancelled with DELETE', async () => {
    await using backend = await start();
    const prompt = script({ do: 'init' }, { do: 'hang' });
    const ids = ['full-0', 'full-1', 'full-2'];
    for (const id of ids) expect(await backend.post({ id, prompt })).toMatchObject({ status: 202 });
    const refused = await backend.post({ prompt });
    expect(refused).toMatchObject({ status: 429, retryAfter: '5', body: { error: { code: 'no_place' } } });
    for (const id of ids) expect(await backend.cancel(id)).toMatchObject({ status: 202 });
    for (const id of ids) {
      await expect.poll(() => stateOf(backend, id)).toMatchObject({ outcome: { status: 'cancelled' } });
    }
  });

  it('goes on with another credential of the pool when its own is refused, and no log holds either', async () => {
    await using redis = await startRedis();
    await using sidecar = await startSidecar({ mode: 'gateway', upstream: fleet.api.url, credential: null });
    await using backend = await startBackend({ redisUrl: redis.url, agents: [sidecar], credentialsFile });
    const { to } = await backend.logged('credentialSwitched');
    fleet.api.refuse(SECRETS.find((secret) => secret.endsWith(String(to))) ?? '', refusal.rateLimited());
    await backend.post({ id: 'held', prompt: script({ do: 'init' }, { do: 'request' }, { do: 'result' }) });
    await using stream = await backend.follow('held');
    await stream.readAll();
    const events = stream.items.map(({ event }) => event);
    expect(events.indexOf('released')).toBeGreaterThan(events.indexOf('hold'));
    expect(stream.items.at(-1)).toMatchObject({ data: { status: 'succeeded' } });
    await backend.logged('credentialSwitched', (line) => line['reason'] === 'rate_limited');
    for (const log of [backend.log, sidecar.log]) expect(JSON.stringify(log)).not.toMatch(/sk-ant|a-control-token/);
  });
});

describe('a request', () => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await start();
  });
  afterAll(() => backend[Symbol.asyncDispose]());

  it.each([
    ['no JSON', '{"prompt":'],
    ['no object', '[]'],
    ['no prompt', {}],
    ['an empty prompt', { prompt: ' ' }],
    ['a wrong id', { prompt: 'x', id: '../x' }],
    ['an unknown field', { prompt: 'x', cwd: '/' }],
  ])('with %s is refused with 400', async (_, body) => {
    const answer = await backend.post(body);
    expect(answer).toMatchObject({ status: 400, body: { error: { code: 'invalid' } } });
    expect(JSON.stringify(answer.body)).not.toMatch(/ at |\.ts|node_modules/);
  });

  it('for a task that nobody knows is answered with 404, and one with a position that is none with 400', async () => {
    for (const path of ['nobody', 'nobody/events']) {
      expect(await backend.get(path)).toMatchObject({ status: 404, body: { error: { code: 'unknown_execution' } } });
    }
    expect(await backend.get('no%7Bbody')).toMatchObject({ status: 400 });
    expect(await backend.cancel('nobody')).toMatchObject({ status: 404 });
    expect((await backend.follow('nobody', 'garbage')).status).toBe(400);
  });
});

describe('a process of the backend', () => {
  it('that is killed in mid-run leaves the outcome to another one, which stores it once', async () => {
    await using one = await start();
    await using two = await start();
    const end = gate('orphaned');
    const stores: string[] = [];
    const redis = new Redis(fleet.redis.url);
    await redis.config('SET', 'notify-keyspace-events', 'K$');
    await redis.subscribe('__keyspace@0__:backend:outcome:orphaned');
    redis.on('message', (_channel: string, command: string) => stores.push(command));
    await one.post({
      id: 'orphaned',
      prompt: script({ do: 'init' }, says('One.'), says('Two.'), end.step, { do: 'result' }),
    });
    const stream = await one.follow('orphaned');
    await stream.readUntil(({ event }) => event === 'text');
    one.kill('SIGKILL');
    await stream.readAll();
    end.open();
    await using rest = await two.follow('orphaned', stream.lastEventId);
    await rest.readAll();
    expect(textsOf(rest)).toEqual(['Two.']);
    await two.logged('outcome stored', (line) => line['id'] === 'orphaned');
    expect(await stateOf(two, 'orphaned')).toMatchObject({ state: 'ended', outcome: { status: 'succeeded' } });
    // One that comes later finds nothing that is left to do.
    await using three = await start();
    expect(await stateOf(three, 'orphaned')).toMatchObject({ state: 'ended' });
    expect(timesStored('orphaned', one, two, three)).toBe(1);
    await expect.poll(() => stores).toEqual(['set']);
    redis.disconnect();
  });

  it('that is told to stop ends its streams, exits 0, and the next one has the outcome of what went on', async () => {
    await using one = await start({ HEARTBEAT_MS: '20' });
    const end = gate('left');
    await one.post({ id: 'left', prompt: script({ do: 'init' }, end.step, { do: 'result' }) });
    const stream = await one.follow('left');
    await stream.readUntil(({ comment }) => comment === 'here');
    one.kill('SIGTERM');
    await stream.readAll();
    expect(stream.items.at(-1)?.comment).toBe('this process stops, please come back');
    expect(await one.exited).toEqual({ code: 0, signal: null, stderr: '' });
    end.open();
    await using next = await start();
    await next.logged('outcome stored', (line) => line['id'] === 'left');
    expect(await stateOf(next, 'left')).toMatchObject({ outcome: { status: 'succeeded' } });
  });

  it('says that it is not ready before it closes its door', async () => {
    await using backend = await start({ SHUTDOWN_DELAY_MS: '3600000' });
    const ready = async () => (await fetch(`${backend.url}/readyz`)).status;
    expect(await ready()).toBe(200);
    backend.kill('SIGTERM');
    await backend.logged('stopping');
    expect(await ready()).toBe(503);
    expect((await fetch(`${backend.url}/healthz`)).status).toBe(200);
  });

  it('serves with the agents there are, and is ready with the first, however late it comes', async () => {
    await using late = await startRestartable({ args: ['--agent-id=late'] });
    await late.kill();
    const agents = [{ agentId: 'late', url: late.url }];
    await using backend = await startBackend({ redisUrl: fleet.redis.url, agents, credentialsFile });
    await backend.logged('agent cannot be reached yet');
    const ready = async () => (await fetch(`${backend.url}/readyz`)).status;
    expect(await ready()).toBe(503);
    expect(await backend.post({ prompt: 'x' })).toMatchObject({ status: 429, body: { error: { code: 'no_place' } } });
    await late.start();
    await backend.logged('agent connected');
    expect(await ready()).toBe(200);
    await late.kill();
    await expect.poll(ready).toBe(503);
  });

  it('answers with 503 while Redis is away', async () => {
    await using redis = await startRedis();
    await using backend = await startBackend({
      redisUrl: redis.url,
      agents: fleet.sidecars.slice(0, 1),
      credentialsFile,
    });
    await backend.logged('agent connected');
    await redis.kill();
    const unavailable = { status: 503, retryAfter: '5', body: { error: { code: 'store_unavailable' } } };
    const answers = await Promise.all([backend.post({ id: 'away', prompt: 'x' }), backend.get('away')]);
    expect(answers).toMatchObject([unavailable, unavailable]);
    backend.kill('SIGTERM');
    expect(await backend.exited).toMatchObject({ code: 0, stderr: '' });
  });
});

describe('a configuration that is wrong', () => {
  const good = {
    REDIS_URL: 'redis://127.0.0.1:1',
    OUTRIGGER_AGENTS: 'one=ws://127.0.0.1:1',
    OUTRIGGER_TOKEN: TOKEN,
    CREDENTIALS_FILE: credentialsFile,
    PORT: '0',
  };
  const file = (name: string, content: unknown) => {
    const path = join(folder.path, name);
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
    return path;
  };

  it.each([
    ['REDIS_URL', { REDIS_URL: '' }],
    ['REDIS_URL', { REDIS_URL: 'a-secret:6379' }],
    ['OUTRIGGER_AGENTS', { OUTRIGGER_AGENTS: 'one' }],
    ['OUTRIGGER_AGENTS', { OUTRIGGER_AGENTS: 'one=ws://127.0.0.1:1,one=ws://127.0.0.1:2' }],
    ['OUTRIGGER_AGENTS', { OUTRIGGER_AGENTS: 'one=ws://agents.example:7411' }],
    ['OUTRIGGER_TOKEN', { OUTRIGGER_TOKEN: '' }],
    ['CREDENTIALS_FILE', { CREDENTIALS_FILE: join(folder.path, 'nowhere') }],
    ['CREDENTIALS_FILE', { CREDENTIALS_FILE: file('no-json', 'a-secret') }],
    ['CREDENTIALS_FILE', { CREDENTIALS_FILE: file('no-list', { secret: 'a-secret' }) }],
    ['CREDENTIALS_FILE', { CREDENTIALS_FILE: file('no-kind', [{ id: 'a', kind: 'x', secret: 'a-secret' }]) }],
    ['PORT', { PORT: 'http' }],
  ])('in %s is one line and exit 2: %j', async (name, wrong) => {
    const { code, stdout, stderr } = await runBackend({ ...good, ...wrong });
    expect(stderr).toMatch(new RegExp(`^express-backend: ${name}: .+\n$`));
    expect(code).toBe(2);
    expect(stdout + stderr).not.toMatch(/a-secret|sk-ant|a-control-token/);
  });
});
