/**
 * How many executions a second can be dispatched and seen to end?
 *
 * Executions of a child that prints one result and ends, eight at a time: through a sidecar and a fleet, with its records in memory
 * and in Redis; with a bare `spawn` loop that reads what the child prints; and as jobs of BullMQ whose worker does that. The same
 * with a child that takes as long to start as Node does. Taking turns, several rounds.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createFleet, memoryStore, type Store } from '@outrigger/sdk';
import { redisStore } from '@outrigger/sdk/redis';
import { startRedis } from '../test/support/redis.js';
import { median, startSidecar, TOKEN } from './support/process.js';
import { publish } from './support/report.js';
import { runBare } from './support/run-bare.js';

const AT_ONCE = 8;
const ROUNDS = 5;
const RESULT = '{"type":"result","subtype":"success","is_error":false,"result":"Done."}';
const CHILDREN = [
  { name: 'a shell', executions: 200, program: `#!/bin/sh\necho '${RESULT}'\n` },
  { name: 'Node', executions: 60, program: `#!${process.execPath}\nconsole.log('${RESULT}')\n` },
];

interface Way {
  readonly name: string;
  readonly isOurs: boolean;
  run(id: string): Promise<unknown>;
}

const folder = mkdtempSync(join(tmpdir(), 'outrigger-bench-'));
await using redis = await startRedis();
const rows: string[][] = [];
const rates = new Map<string, number>();
for (const { name: child, executions, program } of CHILDREN) {
  const command = join(folder, `child-${child.length}`);
  writeFileSync(command, program, { mode: 0o755 });
  await measure(child, command, executions);
}
rmSync(folder, { recursive: true });

publish({
  question: 'How many executions a second can be dispatched and seen to end?',
  setup: `Executions of a child that prints its result and ends, ${AT_ONCE} at a time, median of ${ROUNDS} rounds.`,
  columns: ['child', '', 'executions a second', 'to a bare `spawn`'],
  rows,
  charts: CHILDREN.map(({ name }) => ({
    title: `Executions a second of ${name} that prints its result`,
    unit: 'more is better',
    bars: [...rates].flatMap(([key, value]) => {
      const [child, way = ''] = key.split(': ');
      return child === name ? [{ name: way, value, isOurs: way.startsWith('Outrigger') }] : [];
    }),
  })),
  targets: CHILDREN.map(({ name }) => ({
    name: `dispatch with the memory store, of a bare \`spawn\` loop, child: ${name}`,
    unit: '',
    measured: (rates.get(`${name}: Outrigger, memory`) ?? NaN) / (rates.get(`${name}: bare spawn`) ?? NaN),
    limit: 0.7,
    is: 'at least',
    ifMissed:
      'a run also costs two `exec`s that mark it, a fork of the sidecar, three looks at all processes, two synced writes to the ' +
      'journal and six files, which is more than such a child does; a native helper that forks, marks and waits would save the first two',
  })),
});

async function measure(child: string, command: string, executions: number): Promise<void> {
  await using inMemory = await supervised('Outrigger, memory', command, memoryStore());
  await using inRedis = await supervised('Outrigger, Redis', command, redisStore({ url: redis.url }));
  await using bullmq = await startBullmq(command);
  const bare: Way = { name: 'bare spawn', isOurs: false, run: () => runBare(command) };
  const ways: Way[] = [inMemory, inRedis, bare, bullmq];
  const measured = new Map(ways.map((way) => [way, [] as number[]]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const way of ways) measured.get(way)?.push(await perSecond(way, executions, round));
    process.stderr.write(`\r${child}: round ${round + 1}/${ROUNDS}   `);
  }
  process.stderr.write('\n');
  const base = median(measured.get(bare) ?? []);
  for (const [{ name }, values] of measured) {
    const rate = median(values);
    rates.set(`${child}: ${name}`, rate);
    rows.push([child, name, rate.toFixed(0), (rate / base).toFixed(2)]);
  }
}

async function perSecond(way: Way, executions: number, round: number): Promise<number> {
  const startedAt = performance.now();
  let next = 0;
  const worker = async () => {
    for (let n = next++; n < executions; n = next++) await way.run(`${round}-${n}`);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return executions / ((performance.now() - startedAt) / 1000);
}

async function supervised(name: string, command: string, store: Store): Promise<Way & AsyncDisposable> {
  const sidecar = await startSidecar({ claude: command, args: ['--max-executions', String(AT_ONCE)] });
  const fleet = createFleet({ store });
  const agent = await fleet.connect({ url: sidecar.url, token: TOKEN });
  const run = async (executionId: string) => {
    const execution = await agent.dispatch({ executionId, prompt: 'Go.' });
    const outcome = await execution.outcome;
    if (outcome.status !== 'succeeded' || outcome.survivors !== 0) throw new Error(JSON.stringify(outcome));
  };
  return {
    name,
    isOurs: true,
    run,
    [Symbol.asyncDispose]: async () => {
      await fleet.close();
      await sidecar[Symbol.asyncDispose]();
    },
  };
}

/** Queue and worker in a process of their own, which is asked to run jobs. */
async function startBullmq(command: string): Promise<Way & AsyncDisposable> {
  const child = fork(new URL('support/bullmq.js', import.meta.url), [redis.url, command, String(AT_ONCE)]);
  child.setMaxListeners(0);
  await once(child, 'message');
  const run = (id: string) => {
    const ended = new Promise<void>((resolve) => {
      const listener = (message: unknown) => {
        if (message !== id) return;
        child.off('message', listener);
        resolve();
      };
      child.on('message', listener);
    });
    child.send(id);
    return ended;
  };
  return {
    name: 'BullMQ',
    isOurs: false,
    run,
    [Symbol.asyncDispose]: async () => {
      child.kill();
      await once(child, 'exit');
    },
  };
}
