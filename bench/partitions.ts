/**
 * Do the promises about executions hold when hosts work against each other, and when Redis or a host fails at any moment?
 *
 * Each of four things happens many times, at random moments, over a real Redis: two hosts dispatch, cancel and reconcile the same
 * ids (R8); Redis is killed and comes back empty in the middle of a run (R9); the answer to a script is lost and the script sent
 * again (R10); a host stands still for twice the time of what it holds (R11). Starts are counted by the runs themselves.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Agent, createFleet, type Fleet, type Outcome, OutriggerError, type Store } from '@outrigger/sdk';
import { redisStore } from '@outrigger/sdk/redis';
import { Redis } from 'ioredis';
import { outcomeOf } from '../packages/sdk/src/store/contract-values.js';
import { blockHost, REFUSED } from '../test/support/blocked-host.js';
import { script } from '../test/support/fleet.js';
import { startRedis, type TestRedis } from '../test/support/redis.js';
import { makeFolder } from '../test/support/runs.js';
import { startSidecar, type TestSidecar } from '../test/support/sidecar.js';
import { TcpProxy } from '../test/support/tcp-proxy.js';

const N = Number(process.env['N'] ?? 200);
const ONLY = process.env['ONLY'];

/** How long anything may take that is waited for. */
const PATIENCE_MS = 60_000;

// Each child that is started here has one listener.
process.setMaxListeners(0);

const END = { attempt: 1, stdout: 10, stderr: 0 };
const HOST = { holder: 'host', ttlMs: 600_000 };

/** Every method of a store that changes something: what has to be there before, and the call. Ids are those of the n-th trial. */
const CHANGES: Readonly<Record<string, { before?: (store: Store, n: number) => Promise<unknown>; call: Call }>> = {
  putExecution: { call: (store, n) => store.putExecution(recordOf(n), 'first') },
  withdrawExecution: {
    before: async (store, n) => {
      await store.putExecution(recordOf(n), 'first');
      if (n % 2 === 0) await store.putExecution(recordOf(n), 'second');
    },
    call: (store, n) => store.withdrawExecution(recordOf(n), 'first'),
  },
  recordOutcome: {
    before: (store, n) => store.putExecution(recordOf(n), 'first'),
    call: async (store, n) => store.recordOutcome(evidenceOf(n), HOST),
  },
  markHandled: {
    before: async (store, n) => store.recordOutcome(evidenceOf(n), HOST),
    call: (store, n) => store.markHandled(recordOf(n), 1),
  },
  takePermit: { call: (store, n) => store.takePermit(`limit-${n}`, `run-${n}`, 1) },
  returnPermit: {
    before: (store, n) => store.takePermit(`limit-${n}`, `run-${n}`, 1),
    call: (store, n) => store.returnPermit(`limit-${n}`, `run-${n}`),
  },
  acquireLease: { call: async (store, n) => (await store.acquireLease(`agent-${n}`, HOST)) !== null },
  writeDocument: {
    call: (store, n) => store.writeDocument(`document-${n}`, { value: { n }, ifVersion: null, version: `v-${n}` }),
  },
  releaseClaim: {
    before: async (store, n) => store.recordOutcome(evidenceOf(n), HOST),
    call: (store, n) => store.releaseClaim(recordOf(n), 1),
  },
};
type Call = (store: Store, n: number) => Promise<unknown>;

interface Result {
  readonly times: number;
  readonly faults: readonly string[];
  /** What else was seen. */
  readonly seen: string;
}

const parts: Readonly<Record<string, { what: string; run: () => Promise<Result> }>> = {
  R8: { what: 'two hosts dispatch, cancel and reconcile the same id', run: sameIds },
  R9: { what: 'Redis is killed in mid-run and comes back empty', run: emptyRedis },
  R10: { what: 'a script ran, its answer is lost, it is sent again', run: answerLost },
  R11: { what: 'a host stands still for twice what it holds', run: blockedHosts },
};

console.log('| | what happens | times | as it should | seen |\n| --- | --- | --- | --- | --- |');
for (const [id, { what, run }] of Object.entries(parts)) {
  if (ONLY !== undefined && ONLY !== id) continue;
  const { times, faults, seen } = await run();
  process.stderr.write('\n');
  faults.slice(0, 20).forEach((fault) => console.error(`${id} ${fault}`));
  if (faults.length > 0) process.exitCode = 1;
  console.log(`| ${id} | ${what} | ${times} | ${times - faults.length} | ${seen} |`);
}

// A socket that is reset while it shuts down is never closed, and Node waits for it at its end.
process.exit();

/** A host, what it has handled, and its connection to the one agent. */
interface Host {
  readonly fleet: Fleet;
  readonly agent: Agent;
  readonly handled: Outcome[];
}

async function startHost(redis: TestRedis, sidecar: TestSidecar): Promise<Host> {
  const handled: Outcome[] = [];
  const fleet = createFleet({
    store: redisStore({ url: redis.url }),
    onOutcome: (outcome) => void handled.push(outcome),
  });
  return { fleet, handled, agent: await fleet.connect(sidecar) };
}

async function sameIds(): Promise<Result> {
  const folder = makeFolder();
  await using redis = await startRedis();
  await using sidecar = await startSidecar({ maxExecutions: 8 });
  const hosts = [await startHost(redis, sidecar), await startHost(redis, sidecar)] as const;
  const faults: string[] = [];
  const ends: Record<string, number> = {};
  let reconciled = 0;
  await eachOf(4, async (n) => {
    const executionId = `same-${n}`;
    const starts = join(folder.path, executionId);
    const prompt = script(
      { do: 'touch', path: starts, text: 'x\n' },
      { do: 'init' },
      { do: 'sleep', ms: Math.random() * 300 },
      { do: 'result' },
    );
    const isCancelled = Math.random() < 0.6;
    const moments = hosts.flatMap(({ agent, fleet }) => [
      async () => {
        const execution = await agent.dispatch({ executionId, prompt, cwd: folder.path, whenBusy: 'queue' });
        await sleep(Math.random() * 1000);
        if (isCancelled) await execution.cancel();
      },
      async () => {
        // Where it is not known yet there is nothing to be cancelled.
        const execution = await fleet.execution(executionId).catch(() => null);
        if (isCancelled) await execution?.cancel();
      },
      async () => {
        const { agents } = await fleet.reconcile();
        reconciled += 1;
        const wrong = agents.filter(
          ({ lost, failed, forgotten }) => lost.length + failed.length + forgotten.length > 0,
        );
        if (wrong.length > 0) throw new Error(`reconciled: ${JSON.stringify(wrong)}`);
      },
    ]);
    const done = await Promise.allSettled(
      moments.map(async (happen) => {
        await sleep(Math.random() * 400);
        await happen();
      }),
    );
    const failed = done.flatMap((each) => (each.status === 'rejected' ? [String(each.reason)] : []));
    const handled = () =>
      hosts.flatMap((host) => host.handled.filter((outcome) => outcome.executionId === executionId));
    await until(() => handled().length > 0);
    // One that comes twice comes right after the first.
    await sleep(50);
    const status = handled()[0]?.status ?? 'none';
    ends[status] = (ends[status] ?? 0) + 1;
    const started = linesIn(starts);
    const isRight = failed.length === 0 && started <= 1 && handled().length === 1;
    const isEnd = (status === 'succeeded' && started === 1) || status === 'cancelled';
    if (!isRight || !isEnd) {
      faults.push(JSON.stringify({ executionId, failed, started, handled: handled().map((each) => each.status) }));
    }
    progress('R8', n, faults);
  });
  const counts = hosts.map(({ handled }) => handled.length);
  await until(async () => (await hosts[0].agent.status()).counts.unacknowledged === 0);
  for (const { fleet } of hosts) await fleet.close();
  folder.remove();
  const kinds = Object.entries(ends).map(([status, count]) => `${count} ${status}`);
  const handled = `handled by one host ${counts[0] ?? 0}, by the other ${counts[1] ?? 0}`;
  return { times: N, faults, seen: `${kinds.join(', ')}; ${handled}; reconciled ${reconciled} times meanwhile` };
}

async function emptyRedis(): Promise<Result> {
  const folder = makeFolder();
  await using redis = await startRedis();
  await using sidecar = await startSidecar({ maxExecutions: 8 });
  const hosts = [await startHost(redis, sidecar), await startHost(redis, sidecar)] as const;
  const faults: string[] = [];
  let twice = 0;
  let undispatched = 0;
  for (let n = 0; n < N; n++) {
    const executionId = `empty-${n}`;
    const starts = join(folder.path, executionId);
    const runMs = Math.random() * 300;
    const prompt = script(
      { do: 'touch', path: starts, text: 'x\n' },
      { do: 'init' },
      { do: 'sleep', ms: runMs },
      { do: 'result' },
    );
    const host = hosts[n % 2] ?? hosts[0];
    const dispatch = () => host.agent.dispatch({ executionId, prompt, cwd: folder.path });
    const failures = async () => {
      await sleep(Math.random() * (runMs + 300));
      await redis.kill();
      await sleep(Math.random() * 100);
      await redis.start();
    };
    const [dispatched] = await Promise.allSettled([dispatch(), failures()]);
    if (dispatched.status === 'rejected') {
      // As a user would, under the same id.
      undispatched += 1;
      await dispatch();
    }
    for (const { fleet } of hosts) await fleet.reconcile();
    const handled = () =>
      hosts.flatMap((each) => each.handled.filter((outcome) => outcome.executionId === executionId));
    await until(() => handled().length > 0);
    await until(async () => (await host.agent.status()).counts.unacknowledged === 0);
    if (handled().length > 1) twice += 1;
    const isRight = linesIn(starts) === 1 && handled().every(({ status }) => status === 'succeeded');
    if (!isRight || handled().length > 2) {
      const ends = handled().map(({ status, reason }) => `${status} ${reason}`);
      faults.push(JSON.stringify({ executionId, starts: linesIn(starts), ends }));
    }
    progress('R9', n, faults);
  }
  for (const { fleet } of hosts) await fleet.close();
  folder.remove();
  return { times: N, faults, seen: `handled twice: ${twice}; dispatched again by the user: ${undispatched}` };
}

function recordOf(n: number) {
  return { executionId: `run-${n}`, agentId: `agent-${n}`, createdAt: n + 1, limits: [`limit-${n}`] };
}

function evidenceOf(n: number) {
  return { agentId: `agent-${n}`, outcome: outcomeOf(`run-${n}`), end: END };
}

async function answerLost(): Promise<Result> {
  await using redis = await startRedis();
  await using proxy = await TcpProxy.to(redis.url);
  const control = redisStore({ url: redis.url, prefix: 'state' });
  const store = redisStore({ url: proxy.url.replace('ws:', 'redis:'), prefix: 'state' });
  const direct = new Redis(redis.url);
  const faults: string[] = [];
  let ranAgain = 0;
  const again = new Map<string, number>();
  const names = Object.keys(CHANGES);
  for (let n = 0; n < N; n++) {
    const name = names[n % names.length] ?? '';
    const { before, call } = CHANGES[name] ?? { call: () => Promise.resolve() };
    /** @returns what it answered and left behind, how many commands that took, and how long the answers were */
    const measured = async (through: Store) => {
      await direct.flushdb();
      await before?.(control, n);
      await both(through);
      const bytesBefore = proxy.bytesToClients;
      const commandsBefore = await commandsRun(direct);
      const answer = await untilAnswered(() => call(through, n));
      const commands = (await commandsRun(direct)) - commandsBefore;
      return { answer, state: await stateOf(direct), commands, bytes: proxy.bytesToClients - bytesBefore };
    };
    const once = await measured(control);
    const undisturbed = await measured(store);
    await direct.flushdb();
    const bytes = Math.floor(Math.random() * undisturbed.bytes);
    await before?.(control, n);
    await both(store);
    const commandsBefore = await commandsRun(direct);
    proxy.cutAfter(bytes);
    const answer = await untilAnswered(() => call(store, n));
    const commands = (await commandsRun(direct)) - commandsBefore;
    const state = await stateOf(direct);
    if (commands > once.commands) {
      ranAgain += 1;
      again.set(name, (again.get(name) ?? 0) + 1);
    }
    const isRight = JSON.stringify([answer, state]) === JSON.stringify([once.answer, once.state]);
    if (!isRight || commands <= once.commands) {
      faults.push(JSON.stringify({ name, n, bytes, commands: [once.commands, commands], answer, state, once }));
    }
    progress('R10', n, faults);
  }
  await Promise.all([control.close(), store.close(), direct.quit()]);
  const each = [...again].map(([name, count]) => `${name} ${count}`).join(', ');
  return { times: N, faults, seen: `ran again: ${ranAgain} (${each})` };
}

/** Resolves when both connections of a store answer, that for leases included. */
async function both(store: Store): Promise<void> {
  await untilAnswered(() => store.id());
  await untilAnswered(() => store.releaseLease('nobody', 0));
}

/** As a host does: what was not answered is asked again. */
async function untilAnswered<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof OutriggerError && error.code === 'store_unavailable')) throw error;
      await sleep(10);
    }
  }
}

/** Scripts that Redis has run so far, and removals of members, which one method does without a script. */
async function commandsRun(direct: Redis): Promise<number> {
  const counts = (await direct.info('commandstats')).matchAll(/cmdstat_(?:eval|evalsha|zrem):calls=(\d+)/g);
  return [...counts].reduce((sum, [, calls]) => sum + Number(calls), 0);
}

/** Everything in Redis, but for the times, which differ by as much as the trials are apart. */
async function stateOf(direct: Redis): Promise<unknown> {
  const state: Record<string, unknown> = {};
  for (const key of (await direct.keys('state:*')).sort()) {
    if (key.endsWith('store-id')) continue;
    const type = await direct.type(key);
    const isKept = (await direct.pttl(key)) > 0;
    if (type === 'zset') state[key] = { members: await direct.zrange(key, 0, -1), isKept };
    else if (type === 'hash') state[key] = { ...withoutTimes(await direct.hgetall(key)), isKept };
    else state[key] = type;
  }
  return state;
}

function withoutTimes(hash: Record<string, string>): object {
  const fields = Object.entries(hash).map(([name, value]) => {
    return [name, name === 'until' || name === 'fence' || name === 'seenAt' ? 'a time' : value];
  });
  return Object.fromEntries(fields.sort()) as object;
}

async function blockedHosts(): Promise<Result> {
  await using redis = await startRedis();
  const faults: string[] = [];
  await eachOf(4, async (n) => {
    const holdMs = Math.round(400 + Math.random() * 400);
    const said = await blockHost(redis.url, `blocked-${n}`, holdMs);
    if (JSON.stringify(said) !== JSON.stringify(REFUSED)) faults.push(JSON.stringify({ n, holdMs, said }));
    progress('R11', n, faults);
  });
  return { times: N, faults, seen: `${REFUSED.length * N} late writes` };
}

/** Does `work` for each of the N trials, so many at a time. */
async function eachOf(atOnce: number, work: (n: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async () => {
    for (let n = next++; n < N; n = next++) await work(n);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const startedAt = performance.now();
  while (!(await isSo())) {
    if (performance.now() - startedAt > PATIENCE_MS) throw new Error(`waited ${PATIENCE_MS} ms in vain`);
    await sleep(10);
  }
}

function linesIn(path: string): number {
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(Boolean).length : 0;
}

function progress(id: string, n: number, faults: readonly string[]): void {
  process.stderr.write(`\r${id} ${n + 1}/${N}, ${faults.length} faults  `);
}
