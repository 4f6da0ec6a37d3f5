/**
 * When a thousand agents lose their connections at once, how soon are they all reached and reconciled again, and what does an agent
 * cost the host's memory?
 *
 * The agents are scripted and speak the real protocol from a process of their own. While they are cut off a run of each ends and
 * another one begins: reconciled is an agent once the one is acknowledged and the other is in the store. Either new connections are
 * taken at once, or broken off for five seconds. Next to it: bare sockets to the same agents, connected again after one second.
 */
import { Child } from './support/child.js';
import { type AgentsJob, type HostAnswer, type HostJob, type Storm, type Targets } from './support/storm.js';
import { startRedis } from '../test/support/redis.js';
import { median, quantile } from './support/process.js';

const AGENTS = Number(process.env['AGENTS'] ?? 1000);
const ROUNDS = Number(process.env['ROUNDS'] ?? 5);
const AWAY_MS = [0, 5000];
/** Attempts are counted in stretches of this length. */
const STRETCH_MS = 100;

interface Round {
  /** From the moment at which the agents can be reached again. */
  readonly reconciledMs: number;
  readonly connectedMs: number[];
  readonly most: number;
  readonly failed: number;
  readonly timedOut: number;
  readonly warnings: readonly string[];
}

await using redis = await startRedis();
const kinds = { 'memoryStore()': 'memory', 'redisStore()': redis.url, 'bare ws, again after 1 s': 'ws' };
const rows: { name: string; awayMs: number; tookMs: number; cells: (ratio: string) => unknown[] }[] = [];
const memory = new Map<string, { rssKiB: number; heapKiB: number; connectMs: number }>();

for (const [name, kind] of Object.entries(kinds)) {
  using agents = new Child<AgentsJob, Targets | Storm>(new URL('support/scripted-agents.child.ts', import.meta.url), [
    String(AGENTS),
  ]);
  using host = new Child<HostJob, HostAnswer>(new URL('support/storm-host.child.ts', import.meta.url), [kind]);
  const empty = await host.ask({ do: 'measure' });
  const targets = await agents.ask<Targets>({ do: 'run', prefix: 'first', each: 1 });
  const connectedAt = Date.now();
  await host.ask({ do: 'connect', targets });
  let count = AGENTS;
  const { at } = await host.ask({ do: 'taken', count });
  const full = await host.ask({ do: 'measure' });
  memory.set(name, {
    rssKiB: (full.rssBytes - empty.rssBytes) / AGENTS / 1024,
    heapKiB: (full.heapBytes - empty.heapBytes) / AGENTS / 1024,
    connectMs: at - connectedAt,
  });
  for (const awayMs of AWAY_MS) {
    const rounds: Round[] = [];
    for (let n = 0; n < ROUNDS; n++) {
      count += AGENTS;
      const storming = agents.ask<Storm>({ do: 'storm', prefix: `away-${awayMs}-${n}`, awayMs });
      const [storm, taken] = await Promise.all([storming, host.ask({ do: 'taken', count })]);
      rounds.push(roundOf(storm, taken, awayMs));
      process.stderr.write(`\r${name}, away for ${awayMs} ms: ${n + 1}/${ROUNDS}   `);
    }
    process.stderr.write('\n');
    report(name, awayMs, rounds);
  }
}

console.log(`${AGENTS} agents, ${ROUNDS} times each
| | away for | reconciled: median | maximum | ratio | connected: p1 | p50 | p99 | most attempts in ${STRETCH_MS} ms | failed attempts of an agent | timed out |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |`);
for (const { awayMs, tookMs, cells } of rows) {
  const base = rows.find((row) => row.name.startsWith('bare') && row.awayMs === awayMs)?.tookMs ?? NaN;
  console.log(`| ${cells((tookMs / base).toFixed(2)).join(' | ')} |`);
}
const bare = memory.get('bare ws, again after 1 s');
console.log(`
| each agent costs | heap | resident | ratio of resident | all connected and reconciled for the first time |
| --- | --- | --- | --- | --- |`);
for (const [name, { rssKiB, heapKiB, connectMs }] of memory) {
  const ratio = (rssKiB / (bare?.rssKiB ?? NaN)).toFixed(1);
  console.log(`| ${name} | ${heapKiB.toFixed(0)} KiB | ${rssKiB.toFixed(0)} KiB | ${ratio} | ${connectMs} ms |`);
}

function roundOf(storm: Storm, host: HostAnswer, awayMs: number): Round {
  const { failed, timedOut, warnings } = host;
  const backAt = storm.cutAt + awayMs;
  const perStretch = new Map<number, number>();
  for (const at of storm.attemptedAt) {
    const stretch = Math.floor((at - storm.cutAt) / STRETCH_MS);
    perStretch.set(stretch, (perStretch.get(stretch) ?? 0) + 1);
  }
  return {
    ...{ failed, timedOut, warnings },
    reconciledMs: Math.max(storm.acknowledgedAt, host.at) - backAt,
    connectedMs: storm.connectedAt.map((at) => at - backAt),
    most: Math.max(...perStretch.values()),
  };
}

function report(name: string, awayMs: number, rounds: readonly Round[]): void {
  const isOurs = !name.startsWith('bare');
  for (const { timedOut, warnings, failed, connectedMs } of rounds) {
    // Nobody is connected twice, and nothing fails while the agents can be reached.
    const isRight = timedOut === 0 && warnings.length === 0 && connectedMs.length === AGENTS;
    if (!isOurs || (isRight && (awayMs > 0 || failed === 0))) continue;
    console.error(JSON.stringify({ name, awayMs, timedOut, failed, connected: connectedMs.length, warnings }));
    process.exitCode = 1;
  }
  const took = rounds.map(({ reconciledMs }) => reconciledMs);
  const connected = rounds.flatMap(({ connectedMs }) => connectedMs);
  const failed = rounds.reduce((sum, round) => sum + round.failed, 0) / rounds.length / AGENTS;
  const cells = (ratio: string) => [
    ...[name, `${awayMs} ms`, `${median(took)} ms`, `${Math.max(...took)} ms`, ratio],
    ...[0.01, 0.5, 0.99].map((share) => `${quantile(connected, share)} ms`),
    ...[Math.max(...rounds.map(({ most }) => most)), failed.toFixed(2)],
    rounds.reduce((sum, round) => sum + round.timedOut, 0),
  ];
  rows.push({ name, awayMs, tookMs: median(took), cells });
}
