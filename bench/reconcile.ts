/**
 * How does the time of a reconcile pass grow with the number of records, and with the number of agents?
 *
 * A store in Redis that holds a thousand, ten thousand and a hundred thousand records of one connected agent; and ten thousand of
 * ten, and of a hundred agents. They are nearly all handled, as after a long life; or all open and listed by their agents; or all
 * open and unknown to them, so that each is asked about. Next to it: reading every record there is, which a host without a list of
 * the open ones would have to do.
 */
import { type AgentReport, createFleet, type Store } from '@outrigger/sdk';
import { redisStore } from '@outrigger/sdk/redis';
import { Redis } from 'ioredis';
import { outcomeOf } from '../packages/sdk/src/store/contract-values.js';
import { startRedis } from '../test/support/redis.js';
import { Child } from './support/child.js';
import { median } from './support/process.js';
import { type Bar, publish, quantity } from './support/report.js';
import { type AgentsJob, type Targets } from './support/storm.js';

const SERIES = [
  { agents: 1, sizes: [1000, 10_000, 100_000] },
  { agents: 10, sizes: [10_000] },
  { agents: 100, sizes: [10_000] },
];
const PASSES = 3;
/** With more records there is one pass only, as that can take many seconds. */
const RECORDS_MAX_REPEATED = 10_000;
/** Open ones of each agent among those that are handled. */
const FEW = 10;
const AT_ONCE = 500;
const END = { attempt: 1, stdout: 10, stderr: 0 };
const HOST = { holder: 'bench', ttlMs: 60_000 };

interface Way {
  readonly name: string;
  /** In the picture. */
  readonly short: string;
  readonly isHandled: boolean;
  /** Whether the agent lists what is open; otherwise it knows nothing of it. */
  readonly isListed: boolean;
}

interface Measured {
  readonly way: Way;
  readonly agents: number;
  readonly records: number;
  readonly passMs: number;
  readonly everyMs: number;
}

const WAYS: readonly Way[] = [
  { name: `all handled but ${FEW} of each agent`, short: 'handled', isHandled: true, isListed: true },
  { name: 'all open, listed', short: 'listed', isHandled: false, isListed: true },
  { name: 'all open, unknown to their agents', short: 'unknown', isHandled: false, isListed: false },
];

// Each child that is started here has one listener.
process.setMaxListeners(0);

const measured: Measured[] = [];
for (const way of WAYS) for (const { agents, sizes } of SERIES) measured.push(...(await measure(way, agents, sizes)));
process.stderr.write('\n');

publish({
  question: 'How does the time of a reconcile pass grow with the number of records, and with the number of agents?',
  setup: `A host and its Redis, all agents in another process; median of ${PASSES} passes over the records of all agents together, of more than ${RECORDS_MAX_REPEATED} records one pass.`,
  columns: ['', 'agents', 'records', 'a pass', 'for ten times as much', 'reading every record', 'ratio'],
  rows: measured.map((one) => [
    ...[one.way.name, String(one.agents), String(one.records), quantity(one.passMs, 'ms'), growthOf(one)],
    ...[quantity(one.everyMs, 'ms'), (one.passMs / one.everyMs).toFixed(3)],
  ]),
  notes: [
    '"For ten times as much" is the time next to that for a tenth of the records, or of the agents where these are more than one. What is handled costs a pass nothing; what is open costs reading it once; and a question is put to an agent only about what it does not list, as after the loss of its state.',
  ],
  charts: [
    { title: 'A reconcile pass, by records and agents', unit: 'ms', scale: 'log', bars: measured.flatMap(barsOf) },
  ],
});

async function measure(way: Way, agents: number, sizes: readonly number[]): Promise<Measured[]> {
  await using redis = await startRedis();
  const store = redisStore({ url: redis.url, deadlineMs: 60_000 });
  const found: Measured[] = [];
  let present = 0;
  for (const records of sizes) {
    await seed(store, way, { agents, from: present, to: records });
    present = records;
    const passMs = await passes(redis.url, way, { agents, records });
    const everyMs = median([await readEvery(redis.url), await readEvery(redis.url)]);
    found.push({ way, agents, records, passMs, everyMs });
  }
  await store.close();
  return found;
}

async function seed(
  store: Store,
  { isHandled }: Way,
  part: { agents: number; from: number; to: number },
): Promise<void> {
  let next = part.from;
  const worker = async () => {
    for (let n = next++; n < part.to; n = next++) {
      const agent = n % part.agents;
      const nth = Math.floor(n / part.agents);
      // As the scripted agents name themselves, and what they run.
      const [agentId, journalId] = [`agent-${agent}`, `journal-${agent}`];
      const executionId = `run-${agentId}-${nth}`;
      await store.putExecution({ agentId, executionId, createdAt: Date.now(), journalId }, 'seed');
      if (n % 1000 === 0) process.stderr.write(`\r${n} of ${part.to} written   `);
      if (!isHandled || nth < FEW) continue;
      const { claim } = await store.recordOutcome({ agentId, outcome: outcomeOf(executionId), end: END }, HOST);
      await store.markHandled({ agentId, executionId }, claim ?? 0);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

async function passes(
  url: string,
  way: Way,
  { agents, records }: { agents: number; records: number },
): Promise<number> {
  const scripted = new URL('support/scripted-agents.child.ts', import.meta.url);
  using child = new Child<AgentsJob, Targets>(scripted, [String(agents)]);
  const open = way.isHandled ? FEW : records / agents;
  const targets = await child.ask<Targets>({ do: 'run', prefix: 'run', each: way.isListed ? open : 0 });
  await using fleet = createFleet({
    store: redisStore({ url, deadlineMs: 60_000 }),
    // Only the passes that are asked for.
    ...{ reconcileIntervalMs: 3_600_000, lostAfterMs: 7_200_000, requestTimeoutMs: 600_000 },
    connectTimeoutMs: 120_000,
  });
  await Promise.all(targets.map((target) => fleet.connect(target)));
  // One is made with the connection, and serves who asks meanwhile.
  await fleet.reconcile();
  const took: number[] = [];
  const count = records > RECORDS_MAX_REPEATED ? 1 : PASSES;
  for (let n = 0; n < count; n++) {
    const startedAt = performance.now();
    const { agents: reports } = await fleet.reconcile();
    took.push(performance.now() - startedAt);
    if (reports.length !== agents || !reports.every((report) => isIdle(report, open))) {
      throw new Error(`${way.name}, ${records} records: ${JSON.stringify(reports.slice(0, 3)).slice(0, 1000)}`);
    }
    process.stderr.write(`\r${agents} agents, ${records} records, ${way.name}: pass ${n + 1}/${count}   `.padEnd(90));
  }
  return median(took);
}

/** Nothing is to be done: what the agent does not know may still be on its way to it. */
function isIdle(report: AgentReport, open: number): boolean {
  const { adopted, lost, forgotten, failed, unreadable } = report;
  return report.open === open && [adopted, lost, forgotten, failed, unreadable].every(({ length }) => length === 0);
}

async function readEvery(url: string): Promise<number> {
  const direct = new Redis(url);
  const startedAt = performance.now();
  for (let cursor = '0', isOver = false; !isOver; isOver = cursor === '0') {
    const [next, keys] = await direct.scan(cursor, 'MATCH', 'outrigger:{*}:execution:*', 'COUNT', 1000);
    const pipeline = direct.pipeline();
    for (const key of keys) pipeline.hgetall(key);
    await pipeline.exec();
    cursor = next;
  }
  const tookMs = performance.now() - startedAt;
  await direct.quit();
  return tookMs;
}

/** Empty where there is nothing that it has grown from. */
function growthOf({ way, agents, records, passMs }: Measured): string {
  const isTenth = (one: Measured) =>
    agents > 1
      ? one.agents * 10 === agents && one.records === records
      : one.agents === 1 && one.records * 10 === records;
  const tenth = measured.find((one) => one.way === way && isTenth(one));
  return tenth === undefined ? '' : quantity(passMs / tenth.passMs, 'times');
}

function barsOf({ way, agents, records, passMs, everyMs }: Measured): Bar[] {
  const of = `${records.toLocaleString('en')} of ${agents}`;
  const every = { name: `${of}: reading every record`, value: everyMs, isOurs: false };
  return [{ name: `${of}: ${way.short}`, value: passMs, isOurs: true }, ...(way.isHandled ? [every] : [])];
}
