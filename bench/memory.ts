/**
 * What memory does it take: an idle sidecar, each running execution, each connected agent on the host?
 *
 * Resident memory from outside, of programs in processes of their own, which nobody makes collect their garbage. Executions and
 * agents are counted from none on; the memory of a child itself is not counted. All take turns within each round.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Child } from './support/child.js';
import { HangingClaude } from './support/hanging-claude.js';
import { BenchHost } from './support/host.js';
import { median, memoryMiB, startNode, startSidecar, WS_SERVER } from './support/process.js';
import { publish, quantity } from './support/report.js';
import { post, startSandboxAgent } from './support/sandbox-agent.js';
import { type AgentsJob, type HostAnswer, type HostJob, type Targets } from './support/storm.js';
import { startRedis } from '../test/support/redis.js';

const ROUNDS = 3;
const EXECUTIONS = 100;
const AGENTS = 1000;
/** How many connect at a time. */
const AGENTS_AT_ONCE = 100;
/** Long enough for what is loaded late to be loaded, and for what is told to be told. */
const SETTLE_MS = 1000;
const KB_PER_MIB = 1048.576;

interface Subject {
  readonly name: string;
  readonly isOurs: boolean;
  /** What it takes, in KB. */
  readonly measure: () => Promise<number>;
}

interface Question {
  readonly of: string;
  readonly unit: 'MB' | 'KB';
  /** The first one is what the others are compared with. */
  readonly subjects: readonly Subject[];
}

await using redis = await startRedis();
const questions: Question[] = [
  {
    of: 'idle',
    unit: 'MB',
    subjects: [
      { name: 'Node with ws that listens', isOurs: false, measure: idleNode },
      { name: 'sidecar', isOurs: true, measure: idleSidecar },
      { name: 'sandbox-agent', isOurs: false, measure: idleSandboxAgent },
    ],
  },
  {
    of: 'each running execution',
    unit: 'KB',
    subjects: [
      { name: 'spawn of Node, pipes read', isOurs: false, measure: spawned },
      { name: 'sidecar', isOurs: true, measure: executed },
      { name: 'sandbox-agent', isOurs: false, measure: processed },
    ],
  },
  {
    of: 'each connected agent',
    unit: 'KB',
    subjects: [
      { name: 'bare ws client', isOurs: false, measure: () => connected('ws') },
      { name: 'fleet, memoryStore()', isOurs: true, measure: () => connected('memory') },
      { name: 'fleet, redisStore()', isOurs: true, measure: () => connected(redis.url) },
    ],
  },
];

const measured = new Map<Subject, number[]>();
for (let round = 1; round <= ROUNDS; round++) {
  for (const { of, subjects } of questions) {
    for (const subject of subjects) {
      measured.set(subject, [...(measured.get(subject) ?? []), await subject.measure()]);
      process.stderr.write(`\rround ${round}/${ROUNDS}, ${of}: ${subject.name}   `.padEnd(80));
    }
  }
}
process.stderr.write('\n');

publish({
  question: 'What memory does it take: an idle sidecar, each running execution, each connected agent on the host?',
  setup: `Resident memory, median of ${ROUNDS} rounds: of an idle process, its growth from 0 to ${EXECUTIONS} children that have printed one line and hang, and that of a host from 0 to ${AGENTS} agents that run one execution each.`,
  columns: ['', '', 'resident', 'least', 'most', 'ratio'],
  rows: questions.flatMap(rowsOf),
  notes: [
    'The memory of the children themselves is not counted. Nobody is made to collect garbage, so what grows includes what a program had not yet given back. sandbox-agent is a native program, started without the Node that its npm package puts in front of it.',
  ],
  charts: questions.map(({ of, unit, subjects }) => ({
    title: `Memory: ${of}`,
    unit,
    bars: subjects.map((subject) => ({
      name: subject.name,
      isOurs: subject.isOurs,
      value: inUnit(kbOf(subject), unit),
    })),
  })),
  targets: [
    {
      name: 'idle sidecar, resident, next to Node with ws',
      unit: 'times',
      measured: ratioOf('idle', 'sidecar'),
      limit: 1.6,
      is: 'at most',
      ifMissed:
        'what the sidecar loads at its start weighs more; loading parts of it when they are first needed would help',
    },
    {
      name: 'each running execution, in the sidecar',
      unit: 'MB',
      measured: kbOf(find('each running execution', 'sidecar')) / 1000,
      limit: 1,
      is: 'at most',
      ifMissed: 'what is kept of a run while it lives would have to be written out and read again',
    },
    {
      name: 'each connected agent, on the host',
      unit: 'KB',
      measured: Math.max(
        ...['memoryStore()', 'redisStore()'].map((store) => kbOf(find('each connected agent', `fleet, ${store}`))),
      ),
      limit: 100,
      is: 'at most',
      ifMissed: 'most of it is what ws and Node keep for a socket',
    },
  ],
});

async function idleNode(): Promise<number> {
  await using node = await startNode(WS_SERVER);
  return await settled(node);
}

async function idleSidecar(): Promise<number> {
  await using sidecar = await startSidecar({ claude: 'true', mode: 'gateway' });
  return await settled(sidecar);
}

async function idleSandboxAgent(): Promise<number> {
  await using sandbox = await startSandboxAgent({});
  return await settled(sandbox);
}

async function spawned(): Promise<number> {
  using claude = new HangingClaude();
  using spawner = new Child<{ count: number }, object>(
    new URL('support/spawner.js', import.meta.url),
    [claude.path],
    [],
  );
  await spawner.ask({ count: 0 });
  return await growthOfEach(EXECUTIONS, spawner, () => spawner.ask({ count: EXECUTIONS }));
}

async function executed(): Promise<number> {
  using claude = new HangingClaude();
  await using sidecar = await startSidecar({
    claude: claude.path,
    mode: 'gateway',
    args: ['--max-executions', String(EXECUTIONS)],
  });
  const host = await BenchHost.connect(sidecar.url);
  const each = await growthOfEach(EXECUTIONS, sidecar, async () => {
    for (let n = 0; n < EXECUTIONS; n++) {
      host.dispatch(`run-${n}`, { prompt: 'Go.', timeoutMs: 3_600_000 });
      await host.linesUntil(`run-${n}`, (lines) => lines.length > 0);
    }
  });
  host.close();
  return each;
}

async function processed(): Promise<number> {
  using claude = new HangingClaude();
  await using sandbox = await startSandboxAgent({ maxConcurrentProcesses: EXECUTIONS });
  return await growthOfEach(EXECUTIONS, sandbox, async () => {
    for (let n = 0; n < EXECUTIONS; n++)
      await post(`${sandbox.url}/v1/processes`, { command: claude.path, args: ['-p'] });
  });
}

/** @param kind See `support/storm-host.child.ts`. */
async function connected(kind: string): Promise<number> {
  const scripted = new URL('support/scripted-agents.child.ts', import.meta.url);
  using agents = new Child<AgentsJob, Targets>(scripted, [String(AGENTS)]);
  using host = new Child<HostJob, HostAnswer>(new URL('support/storm-host.child.ts', import.meta.url), [kind], []);
  const targets = await agents.ask<Targets>({ do: 'run', prefix: `run-${process.hrtime.bigint()}`, each: 1 });
  await host.ask({ do: 'measure' });
  return await growthOfEach(AGENTS, host, async () => {
    for (let n = 0; n < AGENTS; n += AGENTS_AT_ONCE) {
      await host.ask({ do: 'connect', targets: targets.slice(n, n + AGENTS_AT_ONCE) });
    }
    await host.ask({ do: 'taken', count: AGENTS });
  });
}

async function growthOfEach(count: number, process: { pid: number }, add: () => Promise<unknown>): Promise<number> {
  const before = await settled(process);
  await add();
  return ((await settled(process)) - before) / count;
}

async function settled({ pid }: { pid: number }): Promise<number> {
  await sleep(SETTLE_MS);
  return memoryMiB(pid, 'VmRSS') * KB_PER_MIB;
}

function rowsOf({ of, unit, subjects }: Question): string[][] {
  const [base] = subjects;
  return subjects.map((subject) => {
    const values = measured.get(subject) ?? [];
    const amounts = [median(values), Math.min(...values), Math.max(...values)];
    const ratio = base === undefined ? NaN : median(values) / kbOf(base);
    return [of, subject.name, ...amounts.map((kb) => quantity(inUnit(kb, unit), unit)), ratio.toFixed(2)];
  });
}

function inUnit(kb: number, unit: Question['unit']): number {
  return unit === 'MB' ? kb / 1000 : kb;
}

function kbOf(subject: Subject): number {
  return median(measured.get(subject) ?? []);
}

function find(of: string, name: string): Subject {
  const found = questions.find((question) => question.of === of)?.subjects.find((subject) => subject.name === name);
  if (found === undefined) throw new Error(`nothing is called ${name}`);
  return found;
}

function ratioOf(of: string, name: string): number {
  const base = questions.find((question) => question.of === of)?.subjects[0];
  return base === undefined ? NaN : kbOf(find(of, name)) / kbOf(base);
}
