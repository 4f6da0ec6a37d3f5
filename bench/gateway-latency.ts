/**
 * What does the gateway add to a stream: to its first byte, to its speed, and in processor time?
 *
 * The same client and the same stand-in API, in processes of their own: directly, through the gateway of a sidecar, and
 * through `http-proxy`, which puts a credential on each request as well. The three take turns within each round.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fakeClaudePath, fakeScript } from '@outrigger/sdk/testing';
import { BenchHost } from './support/host.js';
import { CREDENTIAL, median, quantile, startSidecar } from './support/process.js';
import { type Job, type Measured } from './support/streaming-client.js';

const ROUNDS = 6;
const DELTAS = 50;
/** How far apart the deltas of a stream are, so that the machine is never full; and how many streams a round has. */
const LEVELS = [
  { streams: 1, each: 40, everyMs: 2 },
  { streams: 16, each: 4, everyMs: 10 },
  { streams: 64, each: 2, everyMs: 20 },
];
const BULK_BYTES = 100_000_000;
const TICKS_PER_SECOND = 100;

interface Way {
  readonly name: string;
  readonly url: string;
  readonly secret: string;
  /** The process between; null: there is none. */
  readonly pid: number | null;
}

const children: ChildProcess[] = [];
const api = await forkServer('streaming-api.ts', []);
const proxy = await forkServer('injecting-proxy.js', [api.url, CREDENTIAL]);
const client = fork(new URL('support/streaming-client.ts', import.meta.url));
children.push(client);
await using sidecar = await startSidecar({
  claude: fakeClaudePath,
  mode: 'gateway',
  args: ['--upstream', api.url],
});
const ways: Way[] = [
  { name: 'direct', url: api.url, secret: CREDENTIAL, pid: null },
  { name: 'gateway', ...(await placeholderOf(sidecar.url)), pid: sidecar.pid },
  { name: 'http-proxy', url: proxy.url, secret: CREDENTIAL, pid: proxy.pid },
];

const firstByteMs = new Map<string, number[]>();
const cpuMs = new Map<string, number[]>();
const bulk = new Map<string, number[]>();
for (const way of ways) await measure(way, { streams: 16, each: 20, everyMs: 0 });
for (let round = 0; round < ROUNDS; round++) {
  const turns = ways.map((_, i) => ways[(i + round) % ways.length]).filter((way) => way !== undefined);
  for (const level of LEVELS) {
    for (const way of turns) {
      const cpuBefore = cpuMsOf(way.pid);
      const measured = await measure(way, level);
      const key = `${level.streams} ${way.name}`;
      note(firstByteMs, key, ...measured.map((stream) => stream.firstByteMs));
      note(cpuMs, key, (cpuMsOf(way.pid) - cpuBefore) / (measured.length + level.streams));
    }
  }
  for (const way of turns) {
    const [stream] = await ask(way, { streams: 1, each: 1, spreadMs: 0, ask: { 'x-bench-bytes': String(BULK_BYTES) } });
    if (stream !== undefined) note(bulk, way.name, stream.bytes / 1e6 / (stream.restMs / 1000));
  }
  process.stderr.write(`\rround ${round + 1}/${ROUNDS}`);
}
process.stderr.write('\n');

console.log(`${ROUNDS} rounds; requests of 100 KB, answers of ${DELTAS} deltas, on connections that are open
| streams at a time | | requests | first byte: p50 | p99 | added: p50 | p99 | ratio of p50 | processor time each |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |`);
for (const { streams } of LEVELS) {
  const direct = firstByteMs.get(`${streams} direct`) ?? [];
  for (const { name, pid } of ways) {
    const values = firstByteMs.get(`${streams} ${name}`) ?? [];
    const cells = [0.5, 0.99].map((share) => `${quantile(values, share).toFixed(2)} ms`);
    const added = [0.5, 0.99].map((share) => `${(quantile(values, share) - quantile(direct, share)).toFixed(2)} ms`);
    const cpu = pid === null ? '' : `${median(cpuMs.get(`${streams} ${name}`) ?? []).toFixed(1)} ms`;
    const ratio = (median(values) / median(direct)).toFixed(2);
    const row = [streams, name, values.length, ...cells, ...(pid === null ? ['', ''] : added), ratio, cpu];
    console.log(`| ${row.join(' | ')} |`);
  }
}
console.log(`
| one stream as fast as it goes, ${BULK_BYTES / 1e6} MB, median of ${ROUNDS} | MB/s | ratio |
| --- | --- | --- |`);
for (const { name } of ways) {
  const rate = median(bulk.get(name) ?? []);
  console.log(`| ${name} | ${rate.toFixed(0)} | ${(rate / median(bulk.get('direct') ?? [])).toFixed(2)} |`);
}
children.forEach((child) => child.kill());

async function measure(way: Way, level: { streams: number; each: number; everyMs: number }): Promise<Measured> {
  const { streams, each, everyMs } = level;
  const headers = { 'x-bench-deltas': String(DELTAS), 'x-bench-every-ms': String(everyMs) };
  return ask(way, { streams, each, spreadMs: DELTAS * everyMs, ask: headers });
}

async function ask({ url, secret }: Way, job: Omit<Job, 'url' | 'secret'>): Promise<Measured> {
  client.send({ url, secret, ...job });
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
async function placeholderOf(sidecarUrl: string): Promise<{ url: string; secret: string }> {
  const host = await BenchHost.connect(sidecarUrl);
  host.dispatch('user', { prompt: fakeScript([{ do: 'printEnv' }, { do: 'hang' }]), timeoutMs: 3_600_000 });
  const lines = await host.linesUntil('user', (printed) => printed.some((line) => line.includes('fake_env')));
  const line = lines.find((printed) => printed.includes('fake_env')) ?? '';
  const { env } = JSON.parse(line) as { env: Record<string, string | undefined> };
  host.close();
  return { url: env['ANTHROPIC_BASE_URL'] ?? '', secret: env['CLAUDE_CODE_OAUTH_TOKEN'] ?? '' };
}

/** Processor time of a process so far: fields 14 and 15 of `/proc/PID/stat`. */
function cpuMsOf(pid: number | null): number {
  if (pid === null) return 0;
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_PER_SECOND;
}

function note(values: Map<string, number[]>, key: string, ...more: number[]): void {
  values.set(key, [...(values.get(key) ?? []), ...more]);
}
