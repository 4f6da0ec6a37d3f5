/**
 * How soon does the host hear of a refused credential (401), and how soon after its deadline is a run dead that no host
 * answered for?
 *
 * Both versions of the CLI under the gateway, held for one second; next to them, in the same run, what the bare CLI does
 * with the same refusal. 1.0.128 takes three minutes for that, so it does it once, beside everything else.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { CLAUDE_VERSIONS, type ClaudeVersion, claudePath } from '../test/support/claude.js';
import { refusal } from '@outrigger/sdk/testing';
import { median, quantile } from './support/process.js';
import { BARE_ARGS, bareEnvironment, type RealClaude, startRealClaude } from './support/real-claude.js';

const RUNS = 50;
const HOLD_TIMEOUT_MS = 1000;
const BARE_RUNS: Readonly<Record<ClaudeVersion, number>> = { '2.1.329': 10, '1.0.128': 1 };

const slow = bareRuns('1.0.128');
const quick = await bareRuns('2.1.329');
const measured = new Map<ClaudeVersion, Awaited<ReturnType<typeof supervisedRuns>>>();
for (const version of CLAUDE_VERSIONS) measured.set(version, await supervisedRuns(version));
const bare = { '2.1.329': quick, '1.0.128': await slow };

console.log(`| | runs | median | p99 | maximum | ratio |
| --- | --- | --- | --- | --- | --- |`);
for (const [version, { noticeMs, deadMs }] of measured) {
  const base = median(bare[version]);
  console.log(row(`${version}: bare CLI, first 401 → exit`, bare[version], base));
  console.log(row(`${version}: first 401 → the host's notice`, noticeMs, base));
  console.log(row(`${version}: end of \`holdTimeoutMs\` → outcome, tree dead`, deadMs, base));
}

async function supervisedRuns(version: ClaudeVersion): Promise<{ noticeMs: number[]; deadMs: number[] }> {
  await using claude = await startRealClaude({ version, respond: refusal.expired() });
  const noticeMs: number[] = [];
  const deadMs: number[] = [];
  for (let run = 0; run < RUNS; run++) {
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
    noticeMs.push((await noticedAt) - (await refusedAt));
    const outcome = await execution.outcome;
    deadMs.push(Date.now() - outcome.endedAt);
    const isRight = outcome.status === 'failed' && outcome.reason === 'auth_expired' && outcome.survivors === 0;
    if (!isRight) throw new Error(JSON.stringify(outcome));
    process.stderr.write(`\r${version} ${run + 1}/${RUNS}`);
  }
  process.stderr.write('\n');
  return { noticeMs, deadMs };
}

/** Resolves with when the first byte of the first refusal was sent. */
async function firstRefusal({ api }: Pick<RealClaude, 'api'>, secret: string): Promise<number> {
  await api.waitForRequest((request) => request.secret === secret && request.status === 401);
  return performance.now();
}

/** Milliseconds from the first refusal to the exit of the CLI alone. */
async function bareRuns(version: ClaudeVersion): Promise<number[]> {
  await using claude = await startRealClaude({ version, respond: refusal.expired() });
  const times: number[] = [];
  for (let run = 0; run < BARE_RUNS[version]; run++) {
    const secret = `sk-ant-oat01-bare-${run}`;
    const refusedAt = firstRefusal(claude, secret);
    const child = spawn(claudePath(version), BARE_ARGS, {
      cwd: claude.home,
      stdio: ['pipe', 'ignore', 'ignore'],
      env: bareEnvironment(claude.home, claude.api.url, secret),
    });
    child.stdin.end('Go.');
    await once(child, 'exit');
    times.push(performance.now() - (await refusedAt));
  }
  return times;
}

function row(name: string, values: readonly number[], base: number): string {
  const cells = [median(values), quantile(values, 0.99), Math.max(...values)].map((ms) => `${ms.toFixed(1)} ms`);
  return `| ${name} | ${values.length} | ${cells.join(' | ')} | ${(median(values) / base).toFixed(5)} |`;
}
