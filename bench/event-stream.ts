/**
 * What does it cost to take a child's event stream to the host's loop: events a second, processor time per event, and
 * latency at a steady rate?
 *
 * The same child, which prints what Claude Code streams in a turn, in four ways to a host in a process of its own: by a
 * sidecar and the SDK, by a pipe, by the Agent SDK, and by the process API of sandbox-agent. The four take turns within
 * each round.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { median, quantile, startSidecar, TOKEN } from './support/process.js';
import { publish, quantity } from './support/report.js';
import { startSandboxAgent } from './support/sandbox-agent.js';

const ROUNDS = 4;
const SPEED = { lines: 200_000, everyMs: 0 };
const STEADY = { lines: 3000, everyMs: 1 };
const WARM_UP = { lines: 20_000, everyMs: 0 };
const SPEED_RATIO_MIN = 2;
const LATENCY_MS_MAX = 1;
/** What sandbox-agent keeps of a process: all of it, so that what it has dropped can be asked for. */
const KEPT_BYTES = 64 * 1024 * 1024;

interface Job {
  readonly lines: number;
  /** 0: as fast as it goes. */
  readonly everyMs: number;
}

interface Measured {
  readonly eventsPerSecond: number;
  /** Of each event, in the host and in what is between it and the child. */
  readonly cpuUs: number;
  readonly latenciesMs: readonly number[];
  /** How often the stream was asked for again, as something was missing. */
  readonly reconnects: number;
}

interface Way {
  readonly name: string;
  readonly host: ChildProcess;
  readonly eventsPerSecond: number[];
  readonly cpuUs: number[];
  readonly latenciesMs: number[];
  reconnects: number;
}

const EMITTER = join(import.meta.dirname, 'support', 'stream-emitter.js');

await using sidecar = await startSidecar({ claude: EMITTER });
await using sandbox = await startSandboxAgent({ maxLogBytesPerProcess: KEPT_BYTES });
const ours = await startWay('Outrigger', ['outrigger', sidecar.url, TOKEN], sidecar.pid);
const pipe = await startWay('pipe, `readline`', ['pipe']);
const agentSdk = await startWay('Agent SDK', ['agent-sdk']);
const sandboxAgent = await startWay('sandbox-agent', ['sandbox-agent', sandbox.url], sandbox.pid);
const ways = [ours, pipe, agentSdk, sandboxAgent];

for (const way of ways) await run(way, WARM_UP);
for (let round = 0; round < ROUNDS; round++) {
  const turns = ways.map((_, i) => ways[(i + round) % ways.length]).filter((way) => way !== undefined);
  for (const way of turns) {
    const { eventsPerSecond, cpuUs, reconnects } = await run(way, SPEED);
    way.eventsPerSecond.push(eventsPerSecond);
    way.cpuUs.push(cpuUs);
    way.reconnects += reconnects;
  }
  for (const way of turns) way.latenciesMs.push(...(await run(way, STEADY)).latenciesMs);
  process.stderr.write(`\rround ${round + 1}/${ROUNDS}`);
}
process.stderr.write('\n');
ways.forEach(({ host }) => host.kill());

publish({
  question: 'What does it cost to take a child’s event stream to the host’s loop?',
  setup: `${ROUNDS} rounds; events of 300 bytes, every twentieth an \`assistant\` message, the others \`stream_event\`. ${SPEED.lines} of them as fast as they go, medians; then ${STEADY.lines} at ${1000 / STEADY.everyMs} a second, over all rounds. Every event came, once and in order. Processor time is that of the host and of what is between it and the child, without the child.`,
  columns: ['', 'events a second', 'next to the Agent SDK', 'processor time per event', 'latency: p50', 'p99'],
  rows: ways.map((way) => [
    way.name,
    median(way.eventsPerSecond).toFixed(0),
    speedRatio(way, agentSdk).toFixed(2),
    quantity(median(way.cpuUs), 'µs'),
    quantity(median(way.latenciesMs), 'ms'),
    quantity(quantile(way.latenciesMs, 0.99), 'ms'),
  ]),
  notes: [
    `Outrigger has the child write into a file, so that the stream outlives host and sidecar, and replaces secrets in it. sandbox-agent keeps it in memory, the others do not keep it. sandbox-agent drops what a client is too slow for; the one here asked for it again ${sandboxAgent.reconnects} times in ${ROUNDS} rounds.`,
  ],
  charts: [
    chart('Event stream as fast as it goes', 'events/s', (way) => median(way.eventsPerSecond)),
    chart('Event stream, 1,000 events/s: latency p50', 'ms', (way) => median(way.latenciesMs)),
    chart('Event stream, 1,000 events/s: latency p99', 'ms', (way) => quantile(way.latenciesMs, 0.99)),
  ],
  targets: [
    {
      name: 'Event stream, next to the Agent SDK on the same child',
      unit: 'times its events/s',
      measured: speedRatio(ours, agentSdk),
      limit: SPEED_RATIO_MIN,
      is: 'at least',
      ifMissed: `the Agent SDK parses each line once, from a pipe, and no more is done by a pipe with \`JSON.parse\`, which is ${speedRatio(pipe, agentSdk).toFixed(1)} times as fast: twice is out of reach for whoever parses every event on one core. Here a line is also read from the log twice, searched for secrets, put into a frame as JSON and taken out again. Frames of bytes instead of JSON within JSON, and messages that are parsed when somebody looks at them, would come nearer to the pipe.`,
    },
    {
      name: 'Event stream at 1,000 events/s: latency p50',
      unit: 'ms',
      measured: median(ours.latenciesMs),
      limit: LATENCY_MS_MAX,
      is: 'at most',
      ifMissed:
        'from the child to the host there are a file, the notice of its growth and a socket: one process more than with a pipe has to be woken, and both wait where the cores are busy. A core that is free for the sidecar would reach it.',
    },
  ],
});

/** The median of the rounds, each compared within itself. */
function speedRatio(way: Way, other: Way): number {
  return median(way.eventsPerSecond.map((rate, round) => rate / (other.eventsPerSecond[round] ?? NaN)));
}

function chart(title: string, unit: string, value: (way: Way) => number) {
  return { title, unit, bars: ways.map((way) => ({ name: way.name, value: value(way), isOurs: way === ours })) };
}

/** @param pidBetween The process between the child and the host. */
async function startWay(name: string, args: readonly string[], pidBetween = 0): Promise<Way> {
  const file = join(import.meta.dirname, 'support', 'stream-host.js');
  const host = fork(file, [String(pidBetween), ...args], { execArgv: [] });
  await once(host, 'message');
  return { name, host, eventsPerSecond: [], cpuUs: [], latenciesMs: [], reconnects: 0 };
}

async function run({ host }: Way, job: Job): Promise<Measured> {
  host.send(job);
  const [answer] = (await once(host, 'message')) as [Measured | { error: string }];
  if ('error' in answer) throw new Error(answer.error);
  return answer;
}
