/**
 * Does a run survive the death of its sidecar, whenever that comes?
 *
 * Fifty runs of each version of the real CLI, which use a tool twice and answer. The sidecar is killed with SIGKILL at a
 * random moment of the run and started again after 0 to 5 seconds. Each outcome, all output and every answer that came through is
 * held against what the API sent; starts and processes are counted from outside. Next to it: the same run, left alone.
 */
import { CLAUDE_VERSIONS } from '../test/support/claude.js';
import { runKilled } from '../test/support/killed-run.js';
import { median, quantile } from './support/process.js';

const RUNS = Number(process.env['RUNS'] ?? 50);
const UNDISTURBED = 5;
const DOWN_MS_MAX = 5000;

console.log(`| | runs | as they should | took: median | p99 | ratio |
| --- | --- | --- | --- | --- | --- |`);
for (const version of CLAUDE_VERSIONS) {
  const alone: number[] = [];
  for (let n = 0; n < UNDISTURBED; n++) {
    const { tookMs } = await runKilled(version, null);
    alone.push(tookMs);
  }
  const usualMs = median(alone);
  const took: number[] = [];
  const faults: string[] = [];
  for (let n = 0; n < RUNS; n++) {
    const kill = { afterMs: Math.random() * usualMs, downMs: Math.random() * DOWN_MS_MAX };
    const run = await runKilled(version, kill);
    took.push(run.tookMs);
    faults.push(...run.faults);
    process.stderr.write(`\r${version} ${n + 1}/${RUNS}, ${faults.length} faults`);
  }
  process.stderr.write('\n');
  faults.forEach((fault) => console.error(fault));
  if (faults.length > 0) process.exitCode = 1;
  const ratio = (median(took) / usualMs).toFixed(2);
  const good = `${RUNS - faults.length} of ${RUNS}`;
  console.log(`| ${version} | ${RUNS} | ${good} | ${ms(median(took))} | ${ms(quantile(took, 0.99))} | ${ratio} |`);
}

function ms(value: number): string {
  return `${Math.round(value)} ms`;
}
