/**
 * How does the time of a reconcile pass grow with the number of records?
 *
 * One connected agent and a store in Redis that holds a thousand, ten thousand and a hundred thousand records of it: nearly all
 * handled, as after a long life; all open and listed by the agent; or all open and unknown to it, so that it is asked about each.
 * Next to it: reading every record there is, which a host without a list of the open ones would have to do.
 */
import { type AgentReport, createFleet, type Store } from '@outrigger/sdk';
import { redisStore } from '@outrigger/sdk/redis';
import { Redis } from 'ioredis';
import { outcomeOf } from '../packages/sdk/src/store/contract-values.js';
import { startRedis } from '../test/support/redis.js';
import { Child } from './support/child.js';
import { median } from './support/process.js';
import { type AgentsJob, type Targets } from './support/storm.js';

const SIZES = (process.env['SIZES'] ?? '1000,10000,100000').split(',').map(Number);
const PASSES = Number(process.env['PASSES'] ?? 5);
/** Open ones among those that are handled. */
const FEW = 10;
const AGENT = 'agent-0';
const AT_ONCE = 500;
const END = { attempt: 1, stdout: 10, stderr: 0 };
const HOST = { holder: 'bench', ttlMs: 60_000 };

interface Way {
  readonly name: string;
  readonly isHandled: boolean;
  /** Whether the agent lists what is open; otherwise it knows nothing of it. */
  readonly isListed: boolean;
}

const WAYS: readonly Way[] = [
  { name: `all handled but ${FEW}`, isHandled: true, isListed: true },
  { name: 'all open, listed', isHandled: false, isListed: true },
  { name: 'all open, unknown to the agent', isHandled: false, isListed: false },
];

// Each child that is started here has one listener.
process.setMaxListeners(0);

console.log(`median of ${PASSES} passes
| | records | a pass | growth | reading every record | ratio |
| --- | --- | --- | --- | --- | --- |`);
for (const way of WAYS) {
  await using redis = await startRedis();
  const store = redisStore({ url: redis.url, deadlineMs: 60_000 });
  let present = 0;
  let before: number | null = null;
  for (const size of SIZES) {
    await seed(store, way, present, size);
    present = size;
    const { tookMs, faults } = await passes(redis.url, way, size);
    const everyMs = median([await readEvery(redis.url), await readEvery(redis.url)]);
    faults.forEach((fault) => console.error(`${way.name}, ${size}: ${fault}`));
    if (faults.length > 0) process.exitCode = 1;
    const growth = before === null ? '' : (tookMs / before).toFixed(1);
    before = tookMs;
    const cells = [way.name, size, ms(tookMs), growth, ms(everyMs), (tookMs / everyMs).toFixed(3)];
    console.log(`| ${cells.join(' | ')} |`);
  }
  await store.close();
}
process.stderr.write('\n');

async function seed(store: Store, { isHandled }: Way, from: number, to: number): Promise<void> {
  let next = from;
  const worker = async () => {
    for (let n = next++; n < to; n = next++) {
      // As the scripted agents name what they run.
      const executionId = `run-${AGENT}-${n}`;
      await store.putExecution({ agentId: AGENT, executionId, createdAt: Date.now(), journalId: 'journal-0' }, 'seed');
      if (n % 1000 === 0) process.stderr.write(`\r${n} of ${to} written   `);
      if (!isHandled || n < FEW) continue;
      const outcome = outcomeOf(executionId);
      const { claim } = await store.recordOutcome({ agentId: AGENT, outcome, end: END }, HOST);
      await store.markHandled({ agentId: AGENT, executionId }, claim ?? 0);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

async function passes(url: string, way: Way, size: number): Promise<{ tookMs: number; faults: string[] }> {
  using agents = new Child<AgentsJob, Targets>(new URL('support/scripted-agents.child.ts', import.meta.url), ['1']);
  const open = way.isHandled ? FEW : size;
  const [target] = await agents.ask<Targets>({ do: 'run', prefix: 'run', each: way.isListed ? open : 0 });
  await using fleet = createFleet({
    store: redisStore({ url, deadlineMs: 60_000 }),
    // Only the passes that are asked for.
    ...{ reconcileIntervalMs: 3_600_000, lostAfterMs: 7_200_000, requestTimeoutMs: 600_000 },
    connectTimeoutMs: 120_000,
  });
  const connectedAt = performance.now();
  await fleet.connect(target ?? { url: '', token: '' });
  process.stderr.write(`\r${size} records, connected after ${ms(performance.now() - connectedAt)}   `);
  // One is made with the connection, and serves who asks meanwhile.
  await fleet.reconcile();
  const took: number[] = [];
  const faults: string[] = [];
  for (let n = 0; n < PASSES; n++) {
    const startedAt = performance.now();
    const report = await fleet.reconcile();
    took.push(performance.now() - startedAt);
    faults.push(...faultsOf(report.agents, open));
    process.stderr.write(`\r${size} records, ${way.name}: pass ${n + 1}/${PASSES}   `);
  }
  return { tookMs: median(took), faults };
}

/** Nothing is to be done: what the agent does not know may still be on its way to it. */
function faultsOf(reports: readonly AgentReport[], open: number): string[] {
  const [report] = reports;
  const { adopted = [], lost = [], forgotten = [], failed = [], unreadable = [] } = report ?? {};
  const done = [adopted, lost, forgotten, failed, unreadable].map(({ length }) => length);
  const isRight = reports.length === 1 && report?.open === open && done.every((count) => count === 0);
  return isRight ? [] : [JSON.stringify({ reports: reports.length, open: report?.open, done })];
}

async function readEvery(url: string): Promise<number> {
  const direct = new Redis(url);
  const startedAt = performance.now();
  for (let cursor = '0', isOver = false; !isOver; isOver = cursor === '0') {
    const [next, keys] = await direct.scan(cursor, 'MATCH', `outrigger:{${AGENT}}:execution:*`, 'COUNT', 1000);
    const pipeline = direct.pipeline();
    for (const key of keys) pipeline.hgetall(key);
    await pipeline.exec();
    cursor = next;
  }
  const tookMs = performance.now() - startedAt;
  await direct.quit();
  return tookMs;
}

function ms(value: number): string {
  return `${value < 100 ? value.toFixed(1) : value.toFixed(0)} ms`;
}
