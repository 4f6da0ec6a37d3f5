/**
 * How soon does the host hear of a refused credential (401), and how soon after the decision to give a run up is its tree dead?
 *
 * Both versions of the CLI under the gateway, held for a moment for which no host answers. Next to them, in the same run, the bare
 * CLI: how long it goes on after the same refusal, and how long it takes to heed SIGTERM while its request waits. 1.0.128 goes on for
 * three minutes, so it does that once, beside everything else.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { CLAUDE_VERSIONS, type ClaudeVersion, claudePath } from '../test/support/claude.js';
import { hang, refusal } from '@outrigger/sdk/testing';
import { median, quantile } from './support/process.js';
import { BARE_ARGS, bareEnvironment, type RealClaude, startRealClaude } from './support/real-claude.js';
import { type Bar, publish, quantity, type Target } from './support/report.js';

const RUNS = 100;
/** After so many runs one of the bare CLI is ended by SIGTERM. */
const RUNS_PER_BARE_END = 10;
const HOLD_TIMEOUT_MS = 100;
const BARE_RUNS: Readonly<Record<ClaudeVersion, number>> = { '2.1.329': 4, '1.0.128': 1 };

interface Times {
  /** From the first refusal to the exit of the bare CLI, and to the host's notice. */
  readonly bareExit: readonly number[];
  readonly notice: readonly number[];
  /** From SIGTERM to the exit of the bare CLI, and from the end of the hold to the host's outcome. */
  readonly bareEnd: readonly number[];
  readonly dead: readonly number[];
}

const slow = bareExits('1.0.128');
const quick = await bareExits('2.1.329');
const supervised = new Map<ClaudeVersion, Omit<Times, 'bareExit'>>();
for (const version of CLAUDE_VERSIONS) supervised.set(version, await measure(version));
const bare = { '2.1.329': quick, '1.0.128': await slow };
const all = [...supervised].map(([version, times]) => ({ version, ...times, bareExit: bare[version] }));

publish({
  question:
    'How soon does the host hear of a refused credential, and how soon after the decision to give a run up is its tree dead?',
  setup: `Claude Code of two versions, ${RUNS} runs each, refused with 401 and held for ${HOLD_TIMEOUT_MS} ms; from the first byte of the API's first refusal, and from the end of the hold.`,
  columns: ['', 'runs', 'p50', 'p99', 'maximum', 'ratio of p50'],
  rows: all.flatMap(rowsOf),
  notes: [
    'The bare CLI tries again before it gives up, and only then does a program around it hear of the refusal. It is ended, by SIGTERM to its process group, while a request of it waits as that of a held run does. What Outrigger adds to that are the three looks at the process table that tell whether anybody is left, and the way to the host.',
  ],
  charts: [
    { title: 'First 401 until it is known', unit: 'ms', scale: 'log', bars: all.flatMap(noticeBars) },
    { title: 'Decision until the tree is dead', unit: 'ms', bars: all.flatMap(deadBars) },
  ],
  targets: all.flatMap(targetsOf),
});

/** Times under Outrigger, and of bare ends in between. */
async function measure(version: ClaudeVersion): Promise<Omit<Times, 'bareExit'>> {
  await using claude = await startRealClaude({ version, respond: refusal.expired() });
  await using hanging = await startRealClaude({ version, respond: hang() });
  const times = { notice: [] as number[], dead: [] as number[], bareEnd: [] as number[] };
  for (let run = 0; run < RUNS; run++) {
    const { noticeMs, deadMs } = await supervisedRun(claude, run);
    times.notice.push(noticeMs);
    times.dead.push(deadMs);
    if (run % RUNS_PER_BARE_END === 0) times.bareEnd.push(await bareEnd(hanging, version, run));
    process.stderr.write(`\r${version} ${run + 1}/${RUNS}`);
  }
  process.stderr.write('\n');
  return times;
}

async function supervisedRun(claude: RealClaude, run: number): Promise<{ noticeMs: number; deadMs: number }> {
  // One that has been refused already would be told of, and refused, before the run starts.
  const id = `token-${run}`;
  const generation = await claude.agent.swapCredential({ id, kind: 'oauth', secret: `sk-ant-oat01-${id}` });
  const refusedAt = firstRefusal(claude, `sk-ant-oat01-${id}`);
  const noticedAt = new Promise<number>((resolve) => {
    const listener = (needed: { generation: number | null }) => {
      if (needed.generation !== generation) return;
      claude.fleet.off('credentialNeeded', listener);
      resolve(performance.now());
    };
    claude.fleet.on('credentialNeeded', listener);
  });
  const execution = await claude.dispatch({ prompt: 'Go.', holdTimeoutMs: HOLD_TIMEOUT_MS });
  const noticeMs = (await noticedAt) - (await refusedAt);
  const outcome = await execution.outcome;
  const deadMs = Date.now() - outcome.endedAt;
  const isRight = outcome.status === 'failed' && outcome.reason === 'auth_expired' && outcome.survivors === 0;
  if (!isRight) throw new Error(JSON.stringify(outcome));
  return { noticeMs, deadMs };
}

/** Resolves with when the first byte of the first refusal was sent. */
async function firstRefusal({ api }: Pick<RealClaude, 'api'>, secret: string): Promise<number> {
  await api.waitForRequest((request) => request.secret === secret && request.status === 401);
  return performance.now();
}

/** Milliseconds from the first refusal to the exit of the CLI alone. */
async function bareExits(version: ClaudeVersion): Promise<number[]> {
  await using claude = await startRealClaude({ version, respond: refusal.expired() });
  const times: number[] = [];
  for (let run = 0; run < BARE_RUNS[version]; run++) {
    const secret = `sk-ant-oat01-bare-${run}`;
    const refusedAt = firstRefusal(claude, secret);
    await once(startBare(claude, version, secret), 'exit');
    times.push(performance.now() - (await refusedAt));
  }
  return times;
}

/** Milliseconds from SIGTERM to the exit of the CLI alone. */
async function bareEnd(claude: RealClaude, version: ClaudeVersion, run: number): Promise<number> {
  const secret = `sk-ant-oat01-ended-${run}`;
  const child = startBare(claude, version, secret);
  await claude.api.waitForRequest((request) => request.secret === secret && request.kind === 'main');
  await sleep(HOLD_TIMEOUT_MS);
  const askedAt = performance.now();
  process.kill(-(child.pid ?? NaN), 'SIGTERM');
  await once(child, 'exit');
  return performance.now() - askedAt;
}

function startBare({ home, api }: RealClaude, version: ClaudeVersion, secret: string): ChildProcess {
  const child = spawn(claudePath(version), BARE_ARGS, {
    cwd: home,
    stdio: ['pipe', 'ignore', 'ignore'],
    env: bareEnvironment(home, api.url, secret),
    detached: true,
  });
  child.stdin.end('Go.');
  return child;
}

type Measured = Times & { readonly version: ClaudeVersion };

function rowsOf({ version, bareExit, notice, bareEnd, dead }: Measured): string[][] {
  return [
    row(`${version}: bare CLI, first 401 → exit`, bareExit, bareExit),
    row(`${version}: first 401 → the host's notice`, notice, bareExit),
    row(`${version}: bare CLI, SIGTERM → exit`, bareEnd, bareEnd),
    row(`${version}: end of \`holdTimeoutMs\` → the host knows that the tree is dead`, dead, bareEnd),
  ];
}

function row(name: string, values: readonly number[], base: readonly number[]): string[] {
  // Of fewer it would be the maximum under another name.
  const p99 = values.length < RUNS ? '' : quantity(quantile(values, 0.99), 'ms');
  const cells = [quantity(median(values), 'ms'), p99, quantity(Math.max(...values), 'ms')];
  return [name, String(values.length), ...cells, (median(values) / median(base)).toPrecision(2)];
}

function noticeBars({ version, bareExit, notice }: Measured): Bar[] {
  return [
    { name: `${version}: bare CLI exits, p50`, value: median(bareExit), isOurs: false },
    { name: `${version}: host's notice, p50`, value: median(notice), isOurs: true },
    { name: `${version}: host's notice, p99`, value: quantile(notice, 0.99), isOurs: true },
  ];
}

function deadBars({ version, bareEnd, dead }: Measured): Bar[] {
  return [
    { name: `${version}: SIGTERM to bare CLI, p50`, value: median(bareEnd), isOurs: false },
    {
      name: `${version}: SIGTERM to bare CLI, slowest of ${bareEnd.length}`,
      value: Math.max(...bareEnd),
      isOurs: false,
    },
    { name: `${version}: Outrigger, p50`, value: median(dead), isOurs: true },
    { name: `${version}: Outrigger, p99`, value: quantile(dead, 0.99), isOurs: true },
  ];
}

function targetsOf({ version, notice, bareEnd, dead }: Measured): Target[] {
  const [bareMs, usualMs] = [Math.max(...bareEnd), median(dead)].map((ms) => quantity(ms, 'ms'));
  return [
    {
      name: `notice of a refused credential, p99, from the API's first byte, on ${version}`,
      unit: 'ms',
      measured: quantile(notice, 0.99),
      limit: 50,
      is: 'at most',
      ifMissed: `the median is ${quantity(median(notice), 'ms')}`,
    },
    {
      name: `tree dead after the decision (CLI that heeds SIGTERM), p99, on ${version}`,
      unit: 'ms',
      measured: quantile(dead, 0.99),
      limit: 250,
      is: 'at most',
      ifMissed: `the median is ${usualMs ?? ''}; of ${bareEnd.length} bare CLIs that were asked to end in between the slowest took ${bareMs ?? ''}, which is the CLI's own time`,
    },
  ];
}
