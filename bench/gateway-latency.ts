/**
 * What does the gateway add to a stream: to its first byte, to its throughput, and in processor time?
 *
 * The same client and the same stand-in API, in processes of their own: directly, through the gateway of a sidecar, and
 * through what could stand in its place: `http-proxy` and `better-ccflare`, which put a credential on each request as well.
 * Beside them a relay of bytes, which does the least a proxy in Node can do. All take turns within each round.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { fakeClaudePath, fakeScript } from '@outrigger/sdk/testing';
import { startCcflare } from './support/better-ccflare.js';
import { BenchHost } from './support/host.js';
import { CREDENTIAL, quantile, startSidecar } from './support/process.js';
import { publish, quantity, type Target } from './support/report.js';
import { type Job, type Measured } from './support/streaming-client.js';

const ROUNDS = 3;
const DELTAS = 50;
const BULK_BYTES = 100_000_000;
const TICKS_PER_SECOND = 100;
/** What a run has in place of a credential, where that is not the proxy's own choice. */
const PLACEHOLDER = 'sk-ant-oat01-placeholder';
const ADDED_MS_MAX = 1;
const THROUGHPUT_MIN = 0.9;

interface Level {
  readonly name: string;
  readonly streams: number;
  readonly each: number;
  /** Between two deltas; null: a large answer as fast as it is taken. */
  readonly everyMs: number | null;
  /** Whether the machine has time left, so that a wait is the proxy's and not that for a processor. */
  readonly isPaced: boolean;
}

/** Paced streams are as slow as an API's: 64 of them get 50 deltas a second each. */
const LEVELS: readonly Level[] = [
  { name: '1 paced', streams: 1, each: 50, everyMs: 1, isPaced: true },
  { name: '16 paced', streams: 16, each: 4, everyMs: 10, isPaced: true },
  { name: '64 paced', streams: 64, each: 1, everyMs: 20, isPaced: true },
  { name: '64 without pause', streams: 64, each: 3, everyMs: 0, isPaced: false },
  { name: `1 of ${BULK_BYTES / 1e6} MB`, streams: 1, each: 1, everyMs: null, isPaced: false },
];

interface Way {
  readonly name: string;
  readonly url: string;
  readonly secret: string;
  /** The process between; null: there is none. */
  readonly pid: number | null;
}

/** All that was measured of a way at a level. */
interface Tally {
  readonly streams: Measured[number][];
  cpuMs: number;
  /** Those that cost processor time: the measured ones, and those before them that open connections. */
  requestCount: number;
}

const [loadBefore = 0] = loadavg();
const children: ChildProcess[] = [];
const api = await forkServer('streaming-api.ts', [CREDENTIAL]);
const proxy = await forkServer('injecting-proxy.js', [api.url, CREDENTIAL]);
const relay = await forkServer('tcp-relay.child.ts', [new URL(api.url).port]);
const client = fork(new URL('support/streaming-client.ts', import.meta.url));
children.push(client);
await using ccflare = await startCcflare(api.url, CREDENTIAL);
await using sidecar = await startSidecar({
  claude: fakeClaudePath,
  mode: 'gateway',
  args: ['--upstream', api.url],
});
const host = await BenchHost.connect(sidecar.url);
const ways: readonly Way[] = [
  { name: 'direct', url: api.url, secret: CREDENTIAL, pid: null },
  { name: 'gateway', ...(await placeholderOf(host)), pid: sidecar.pid },
  { name: 'http-proxy', url: proxy.url, secret: PLACEHOLDER, pid: proxy.pid },
  { name: 'better-ccflare', url: ccflare.url, secret: PLACEHOLDER, pid: ccflare.pid },
  { name: 'bare TCP relay', url: relay.url, secret: CREDENTIAL, pid: relay.pid },
];

for (const way of ways) await measure(way, { streams: 16, each: 20, everyMs: 0 });
const tallies = new Map<string, Tally>();
for (let round = 0; round < ROUNDS; round++) {
  const turns = ways.map((_, i) => ways[(i + round) % ways.length]).filter((way) => way !== undefined);
  for (const level of LEVELS) {
    for (const way of turns) {
      const cpuBefore = cpuMsOf(way.pid);
      const measured = await measure(way, level);
      const tally = tallyOf(way.name, level);
      tally.streams.push(...measured);
      tally.cpuMs += cpuMsOf(way.pid) - cpuBefore;
      tally.requestCount += measured.length + level.streams;
    }
  }
  process.stderr.write(`\rround ${round + 1}/${ROUNDS}`);
}
process.stderr.write('\n');
children.forEach((child) => child.kill());
host.send({ type: 'cancel', id: 'c', executionId: 'user' });
await host.outcome('user');
host.close();

const between = ways.filter(({ pid }) => pid !== null);
publish({
  question: 'What does the gateway add to a stream: to its first byte, to its throughput, and in processor time?',
  setup:
    `${ROUNDS} rounds; requests of 100 KB, answers of ${DELTAS} deltas, on connections that are open. ` +
    `Client, API and what is between them are processes of their own on one machine, whose load was ${loadBefore.toFixed(1)} before.`,
  columns: [
    'streams at a time',
    '',
    'requests',
    'first byte: p50',
    'p99',
    'added: p50',
    'p99',
    'throughput',
    'of direct',
    'processor time each',
  ],
  rows: LEVELS.flatMap((level) => ways.map((way) => rowOf(way, level))),
  notes: [
    'A paced stream is as slow as that of an API (64 of them get 50 deltas a second each), so the machine has time left: ' +
      'this is what a run notices. The others are limited by the processors, which client, API and proxy share.',
    'The relay moves bytes between two sockets and knows nothing of HTTP: no proxy here costs less processor time. ' +
      '`http-proxy` and `better-ccflare` put the credential on a request and neither hold nor resend one that is refused. ' +
      '`better-ccflare` runs with one API-key account, without storing requests and answers as it does by default.',
  ],
  charts: [
    {
      title: 'Added to the first byte, p50, 16 streams at a time',
      unit: 'ms',
      bars: between.map(({ name }) => ({ name, value: addedMs(name, levelOf('16 paced'), 0.5), isOurs: isOurs(name) })),
    },
    {
      title: 'Throughput, 64 paced streams',
      unit: 'of direct',
      bars: between.map(({ name }) => ({ name, value: keptShare(name, levelOf('64 paced')), isOurs: isOurs(name) })),
    },
    {
      title: 'Throughput, one stream as fast as it goes',
      unit: 'of direct',
      bars: between.map(({ name }) => ({ name, value: keptShare(name, bulkLevel()), isOurs: isOurs(name) })),
    },
  ],
  targets: [
    {
      name: 'added to the first byte, p50, the most of 1, 16 and 64 paced streams',
      unit: 'ms',
      measured: mostAddedMs('gateway'),
      limit: ADDED_MS_MAX,
      is: 'at most',
      ifMissed:
        'some 0.2 ms go into taking in the whole request before it is sent on, so that it can be sent again; the rest is ' +
        'reading, judging and writing in one thread of JavaScript. Sending each piece on while it is kept would save the ' +
        `first. \`http-proxy\`, which keeps nothing and judges nothing, adds at most ${quantity(mostAddedMs('http-proxy'), 'ms')}`,
    },
    throughputTarget(
      levelOf('64 paced'),
      'the gateway had not enough processor time left; fewer streams for one sidecar would reach it',
    ),
    throughputTarget(
      levelOf('64 without pause'),
      `the machine has ${cpus().length} processors, and a request costs the gateway ${cpuOf('gateway', '64 without pause')} of one (\`http-proxy\`: ${cpuOf('http-proxy', '64 without pause')}): each delta goes through the parser and the stream of \`undici\` and a pipe. Fewer layers between the two connections would come nearer`,
    ),
    throughputTarget(
      bulkLevel(),
      `one thread of JavaScript reads each byte and writes it again, and a relay that does nothing else keeps ${keptOf('bare TCP relay', bulkLevel().name)}; only moving bytes within the kernel would reach it, which cannot be done with what comes encrypted from a provider`,
    ),
  ],
});

function rowOf({ name, pid }: Way, level: Level): string[] {
  const { streams } = tallyOf(name, level);
  const firstByte = (share: number) => quantity(quantile(firstByteMs(name, level), share), 'ms');
  const added = (share: number) => (pid === null || !level.isPaced ? '' : quantity(addedMs(name, level, share), 'ms'));
  const rate = quantity(megabytesPerSecond(name, level), 'MB/s');
  const cpu = pid === null ? '' : cpuOf(name, level.name);
  const latencies = [firstByte(0.5), firstByte(0.99), added(0.5), added(0.99)];
  return [level.name, name, String(streams.length), ...latencies, rate, keptShare(name, level).toFixed(2), cpu];
}

function throughputTarget(level: Level, ifMissed: string): Target {
  return {
    name: `throughput of direct, ${level.name}`,
    unit: '',
    measured: keptShare('gateway', level),
    limit: THROUGHPUT_MIN,
    is: 'at least',
    ifMissed,
  };
}

function firstByteMs(way: string, level: Level): number[] {
  return tallyOf(way, level).streams.map((stream) => stream.firstByteMs);
}

function addedMs(way: string, level: Level, share: number): number {
  return quantile(firstByteMs(way, level), share) - quantile(firstByteMs('direct', level), share);
}

function mostAddedMs(way: string): number {
  return Math.max(...LEVELS.filter(({ isPaced }) => isPaced).map((level) => addedMs(way, level, 0.5)));
}

/** Of all streams together, from the request to the end of the answer; the client always has as many as the level says. */
function megabytesPerSecond(way: string, level: Level): number {
  const { streams } = tallyOf(way, level);
  const bytes = streams.reduce((sum, stream) => sum + stream.bytes, 0);
  const tookMs = streams.reduce((sum, stream) => sum + stream.firstByteMs + stream.restMs, 0);
  return ((bytes / 1e6) * level.streams) / (tookMs / 1000);
}

function keptShare(way: string, level: Level): number {
  return megabytesPerSecond(way, level) / megabytesPerSecond('direct', level);
}

function keptOf(way: string, level: string): string {
  return keptShare(way, levelOf(level)).toFixed(2);
}

function cpuOf(way: string, level: string): string {
  const { cpuMs, requestCount } = tallyOf(way, levelOf(level));
  return quantity(cpuMs / requestCount, 'ms');
}

function isOurs(way: string): boolean {
  return way === 'gateway';
}

function levelOf(name: string): Level {
  const level = LEVELS.find((other) => other.name === name);
  if (level === undefined) throw new Error(`no level ${name}`);
  return level;
}

function bulkLevel(): Level {
  return levelOf(`1 of ${BULK_BYTES / 1e6} MB`);
}

function tallyOf(way: string, level: Level): Tally {
  const key = `${level.name} ${way}`;
  const tally = tallies.get(key) ?? { streams: [], cpuMs: 0, requestCount: 0 };
  tallies.set(key, tally);
  return tally;
}

async function measure({ url, secret }: Way, level: Pick<Level, 'streams' | 'each' | 'everyMs'>): Promise<Measured> {
  const { streams, each, everyMs } = level;
  const ask: Job['ask'] =
    everyMs === null
      ? { 'x-bench-bytes': String(BULK_BYTES) }
      : { 'x-bench-deltas': String(DELTAS), 'x-bench-every-ms': String(everyMs) };
  client.send({ url, secret, streams, each, spreadMs: DELTAS * (everyMs ?? 0), ask } satisfies Job);
  const [measured] = (await once(client, 'message')) as [Measured];
  return measured;
}

async function forkServer(file: string, args: string[]): Promise<{ url: string; pid: number }> {
  const child = fork(new URL(`support/${file}`, import.meta.url), args);
  children.push(child);
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  return { url: `http://127.0.0.1:${port}`, pid: child.pid ?? 0 };
}

/** Where a run of the sidecar is sent, and with what. */
async function placeholderOf(host: BenchHost): Promise<{ url: string; secret: string }> {
  host.dispatch('user', { prompt: fakeScript([{ do: 'printEnv' }, { do: 'hang' }]), timeoutMs: 3_600_000 });
  const lines = await host.linesUntil('user', (printed) => printed.some((line) => line.includes('fake_env')));
  const line = lines.find((printed) => printed.includes('fake_env')) ?? '';
  const { env } = JSON.parse(line) as { env: Record<string, string | undefined> };
  return { url: env['ANTHROPIC_BASE_URL'] ?? '', secret: env['CLAUDE_CODE_OAUTH_TOKEN'] ?? '' };
}

/** Processor time of a process so far: fields 14 and 15 of `/proc/PID/stat`. */
function cpuMsOf(pid: number | null): number {
  if (pid === null) return 0;
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_PER_SECOND;
}
