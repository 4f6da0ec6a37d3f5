/**
 * How long does a run without gateway go on after the API has refused its credential (401)?
 *
 * Claude Code 2.1.329 with the credential in its environment, under the sidecar and bare, in one run.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { refusal, startStandInApi, type StandInApi } from '@outrigger/sdk/testing';
import { claudePath } from '../test/support/claude.js';
import { BenchHost } from './support/host.js';
import { median, startSidecar } from './support/process.js';
import { BARE_ARGS, bareEnvironment } from './support/real-claude.js';

const RUNS = 20;

const claude = claudePath('2.1.329');
const home = mkdtempSync(join(tmpdir(), 'outrigger-bench-home-'));

const decided: number[] = [];
const dead: number[] = [];
const bare: number[] = [];
for (let run = 0; run < RUNS; run++) {
  bare.push(await bareRun());
  const { decidedMs, deadMs } = await supervisedRun();
  decided.push(decidedMs);
  dead.push(deadMs);
  process.stderr.write(`\rrun ${run + 1}/${RUNS}`);
}
process.stderr.write('\n');
rmSync(home, { recursive: true, force: true });

const row = (name: string, values: number[]) =>
  `| ${name} | ${median(values).toFixed(0)} ms | ${Math.max(...values).toFixed(0)} ms | ${(median(values) / median(bare)).toFixed(3)} |`;
console.log(`from the API's first 401, ${RUNS} runs of Claude Code 2.1.329
| | median | maximum | ratio |
| --- | --- | --- | --- |
${row('bare CLI: exit', bare)}
${row('sidecar: host knows the verdict', decided)}
${row('sidecar: host knows the tree is dead', dead)}`);

/** Resolves with the time of the first refusal. */
async function firstRefusal(api: StandInApi): Promise<number> {
  await api.waitForRequest((request) => request.status === 401);
  return performance.now();
}

async function bareRun(): Promise<number> {
  await using api = await startStandInApi({ respond: refusal.expired() });
  const refused = firstRefusal(api);
  const child = spawn(claude, BARE_ARGS, {
    cwd: home,
    stdio: ['pipe', 'ignore', 'ignore'],
    env: bareEnvironment(home, api.url),
  });
  child.stdin.end('Go.');
  await once(child, 'exit');
  const exitedAt = performance.now();
  return exitedAt - (await refused);
}

async function supervisedRun(): Promise<{ decidedMs: number; deadMs: number }> {
  await using api = await startStandInApi({ respond: refusal.expired() });
  await using sidecar = await startSidecar({ claude, args: ['--upstream', api.url] });
  const host = await BenchHost.connect(sidecar.url);
  const refused = firstRefusal(api);
  host.dispatch('run', { prompt: 'Go.', cwd: home, env: { HOME: home, IS_SANDBOX: '1' } });
  const refusedAt = await refused;
  const ending = await host.waitFor((frame) => frame.type === 'state' && frame.state === 'ending');
  const { outcome, receivedAt } = await host.outcome('run');
  if (outcome.reason !== 'auth_invalid' || outcome.survivors !== 0) throw new Error(JSON.stringify(outcome));
  host.close();
  return { decidedMs: ending.receivedAt - refusedAt, deadMs: receivedAt - refusedAt };
}
