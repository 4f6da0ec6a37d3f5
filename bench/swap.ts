/**
 * How soon after a swap is a held request sent again, and does every held run end well?
 *
 * The API answers 401 (expired) from the second turn on, after a tool has run. Ten runs of the real CLI are held together
 * for five seconds, ten times; then twelve at once. Next to it, in each round: the bare CLI, ended once it was refused for
 * five seconds and started again with `--resume` and the new credential.
 */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Outcome } from '@outrigger/sdk';
import { conversation, refusal, type StandInApi, text, toolUse } from '@outrigger/sdk/testing';
import { CLAUDE_VERSIONS, type ClaudeVersion, claudePath } from '../test/support/claude.js';
import { CREDENTIAL, median, quantile } from './support/process.js';
import {
  BARE_ARGS,
  bareEnvironment,
  failuresPrinted,
  type RealClaude,
  startRealClaude,
  turnsOf,
} from './support/real-claude.js';

const ROUNDS = 10;
const RUNS = 10;
const RUNS_AT_ONCE = 12;
const HOLD_MS = 5000;
/** The API has sent its refusal before the gateway begins to hold. */
const MARGIN_MS = 250;
const ANSWER = 'Done.';

interface Round {
  /** For each run the milliseconds from the swap to the request that came again. */
  readonly againMs: number[];
  readonly endedMs: number[];
  /** Why a run did not end as it should. */
  readonly faults: string[];
}

/** What is good now; everything else is refused from the second turn on. */
let good = CREDENTIAL;
const respond = conversation([
  toolUse('Bash', { command: 'echo tool', description: 'speak' }),
  (request) => (request.secret === good ? text(ANSWER) : refusal.expired()),
]);

console.log(`| | runs | as they should | swap → request again: median | p99 | maximum | swap → run ended: median | ratio |
| --- | --- | --- | --- | --- | --- | --- | --- |`);
for (const version of CLAUDE_VERSIONS) {
  await using claude = await startRealClaude({ version, respond, args: ['--max-executions', String(RUNS_AT_ONCE)] });
  const rounds: Round[] = [];
  const resumed: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    rounds.push(await heldTogether(claude, { name: `${version}-${round}`, runs: RUNS }));
    resumed.push(await bareResume(claude, version));
    process.stderr.write(`\r${version} ${round + 1}/${ROUNDS}`);
  }
  process.stderr.write('\n');
  const many = await heldTogether(claude, { name: `${version}-many`, runs: RUNS_AT_ONCE });
  const base = median(resumed);
  console.log(row(`${version}: ${ROUNDS} × ${RUNS} held together`, rounds, base));
  console.log(row(`${version}: ${RUNS_AT_ONCE} held together, one swap`, [many], base));
  console.log(`| ${version}: bare CLI, ended and resumed | ${ROUNDS} | | ${timesOf(resumed)} | | 1 |`);
  for (const fault of [...rounds, many].flatMap((round) => round.faults)) {
    console.error(fault);
    process.exitCode = 1;
  }
}

async function heldTogether(claude: RealClaude, { name, runs }: { name: string; runs: number }): Promise<Round> {
  const { api, agent } = claude;
  // Whatever was used in the round before is expired.
  const before = `sk-ant-oat01-before-${name}`;
  const next = `sk-ant-oat01-next-${name}`;
  good = 'none';
  await agent.swapCredential({ id: before, kind: 'oauth', secret: before });
  const prompts = Array.from({ length: runs }, (_, i) => `Run ${name}-${i}.`);
  const executions = await Promise.all(prompts.map((prompt) => claude.dispatch({ prompt, allowedTools: ['Bash'] })));
  const failures = executions.map(failuresPrinted);
  await Promise.all(prompts.map((prompt) => refusedIn(api, prompt)));
  await sleep(HOLD_MS + MARGIN_MS);

  good = next;
  const swappedAt = Date.now();
  await agent.swapCredential({ id: next, kind: 'oauth', secret: next });
  const ends = await Promise.all(
    executions.map(async (execution) => ({ outcome: await execution.outcome, endedMs: Date.now() - swappedAt })),
  );
  const faults: string[] = [];
  for (const [i, prompt] of prompts.entries()) {
    const fault = faultOf(api, prompt, ends[i]?.outcome, (await failures[i]) ?? []);
    if (fault !== '') faults.push(`${prompt} ${fault}`);
  }
  const again = prompts.flatMap((prompt) => turnsOf(api, prompt, 1).slice(1));
  return { againMs: again.map((request) => request.at - swappedAt), endedMs: ends.map((end) => end.endedMs), faults };
}

async function refusedIn(api: StandInApi, prompt: string): Promise<void> {
  await api.waitForRequest((request) => request.prompt === prompt && request.status === 401);
}

/** Empty when a run went on after one refusal and one sending again as if nothing had happened. */
function faultOf(api: StandInApi, prompt: string, outcome: Outcome | undefined, printed: readonly string[]): string {
  const statuses = [0, 1].map((turn) =>
    turnsOf(api, prompt, turn)
      .map((request) => request.status)
      .join(),
  );
  const { status, result, exit, attempts, survivors, heldMs } = outcome ?? {};
  const seen = { status, result, code: exit?.code, attempts, survivors, statuses, printed };
  const expected: typeof seen = {
    ...{ status: 'succeeded', result: ANSWER, code: 0, attempts: 1, survivors: 0 },
    ...{ statuses: ['200', '401,200'], printed: [] },
  };
  if (JSON.stringify(seen) !== JSON.stringify(expected)) return JSON.stringify(seen);
  return (heldMs ?? 0) < HOLD_MS ? `held for ${heldMs ?? 0} ms only` : '';
}

/** What there is without a gateway: end the CLI, start it anew on its session. Milliseconds until its request comes. */
async function bareResume({ api, home }: RealClaude, version: ClaudeVersion): Promise<number> {
  const session = randomUUID();
  const first = `Bare ${session}.`;
  const start = (secret: string, args: string[], prompt: string) => {
    const child = spawn(claudePath(version), [...BARE_ARGS, '--allowedTools=Bash', ...args], {
      cwd: home,
      stdio: ['pipe', 'ignore', 'ignore'],
      env: bareEnvironment(home, api.url, secret),
    });
    child.stdin.end(prompt);
    return { child, exited: once(child, 'exit') };
  };
  const refused = start('sk-ant-oat01-old', ['--session-id', session], first);
  await refusedIn(api, first);
  await sleep(HOLD_MS);
  refused.child.kill('SIGKILL');
  await refused.exited;

  const swappedAt = Date.now();
  const { exited } = start(good, ['--resume', session], 'Go on.');
  const again = await api.waitForRequest(
    ({ kind, at, secret }) => kind === 'main' && at >= swappedAt && secret === good,
  );
  await exited;
  return again.at - swappedAt;
}

function row(name: string, rounds: readonly Round[], base: number): string {
  const againMs = rounds.flatMap((round) => round.againMs);
  const endedMs = rounds.flatMap((round) => round.endedMs);
  const faults = rounds.flatMap((round) => round.faults).length;
  const ratio = (median(againMs) / base).toFixed(4);
  const good = `${endedMs.length - faults} of ${endedMs.length}`;
  return `| ${name} | ${endedMs.length} | ${good} | ${timesOf(againMs)} | ${median(endedMs)} ms | ${ratio} |`;
}

function timesOf(values: readonly number[]): string {
  return [median(values), quantile(values, 0.99), Math.max(...values)].map((ms) => `${ms} ms`).join(' | ');
}
