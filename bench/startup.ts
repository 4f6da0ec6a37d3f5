/**
 * What does an idle sidecar cost, in time to start and in memory?
 *
 * Next to it, in the same run: Node that does nothing, and Node that imports `ws` and listens.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { median, memoryMiB, startNode, TOKEN, WS_SERVER } from './support/process.js';

const RUNS = 15;
/** Long enough for what is loaded late to be loaded. */
const SETTLE_MS = 1000;

const stateDir = mkdtempSync(join(tmpdir(), 'outrigger-bench-'));
const SIDECAR = [
  'packages/sidecar/dist/main.js',
  '--listen',
  '127.0.0.1:0',
  '--state-dir',
  stateDir,
  '--claude',
  'true',
];

const rows = { 'node -e 0': [] as number[], 'node with ws': [] as number[], sidecar: [] as number[] };
const memory = { 'node with ws': [] as number[], sidecar: [] as number[] };

for (let run = 0; run < RUNS; run++) {
  rows['node -e 0'].push(await timeToExit(['-e', '0']));
  for (const [name, argv] of [
    ['node with ws', WS_SERVER],
    ['sidecar', SIDECAR],
  ] as const) {
    const { ms, mib } = await timeToReady(argv);
    rows[name].push(ms);
    memory[name].push(mib);
  }
  process.stderr.write(`\rrun ${run + 1}/${RUNS}`);
}
process.stderr.write('\n');
rmSync(stateDir, { recursive: true, force: true });

const base = median(rows['node -e 0']);
const wsMiB = median(memory['node with ws']);
console.log(`| | start, median of ${RUNS} | ratio | idle memory | ratio |\n| --- | --- | --- | --- | --- |`);
console.log(`| node -e 0 | ${base.toFixed(0)} ms | 1 | | |`);
for (const name of ['node with ws', 'sidecar'] as const) {
  const ms = median(rows[name]);
  const mib = median(memory[name]);
  console.log(
    `| ${name} | ${ms.toFixed(0)} ms | ${(ms / base).toFixed(2)} | ${mib.toFixed(1)} MiB | ${(mib / wsMiB).toFixed(2)} |`,
  );
}

async function timeToExit(argv: string[]): Promise<number> {
  const startedAt = performance.now();
  await once(spawn(process.execPath, argv, { stdio: 'ignore' }), 'exit');
  return performance.now() - startedAt;
}

async function timeToReady(argv: readonly string[]): Promise<{ ms: number; mib: number }> {
  const startedAt = performance.now();
  await using started = await startNode(argv, { OUTRIGGER_TOKEN: TOKEN });
  const ms = performance.now() - startedAt;
  await sleep(SETTLE_MS);
  return { ms, mib: memoryMiB(started.pid, 'VmRSS') };
}
