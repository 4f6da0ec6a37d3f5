/**
 * Does a tree that does everything to get away die in time, and only that one?
 *
 * A run that ignores signals, leaves its session, empties its environment, forks twice and respawns, beside three that
 * start processes too; once for each method the machine offers, looked at from outside by working directory and `ps`.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fakeClaudePath, fakeScript, type FakeStep } from '@outrigger/sdk/testing';
import { BenchHost } from './support/host.js';
import { median, startSidecar } from './support/process.js';

const RUNS = 100;
const GRACE_MS = 300;
const LIFE_SECONDS = 600;

const ADVERSARY: FakeStep[] = [
  { do: 'ignoreSignals', signals: ['SIGTERM', 'SIGINT', 'SIGHUP'] },
  { do: 'spawn', seconds: LIFE_SECONDS, setsid: true },
  { do: 'spawn', seconds: LIFE_SECONDS, setsid: true, cleanEnv: true, holdStdout: true, ignoreSignals: true },
  { do: 'spawn', seconds: LIFE_SECONDS, setsid: true, cleanEnv: true, doubleFork: true, ignoreSignals: true },
  { do: 'spawn', seconds: LIFE_SECONDS, setsid: true, cleanEnv: true, respawn: true, ignoreSignals: true },
  { do: 'hang' },
];
const SIBLING: FakeStep[] = [
  { do: 'spawn', seconds: LIFE_SECONDS },
  { do: 'spawn', seconds: LIFE_SECONDS, setsid: true, cleanEnv: true },
  { do: 'hang' },
];

console.log(`| method | clean | time from cancel to outcome, median | maximum | allowed | siblings touched |
| --- | --- | --- | --- | --- | --- |`);
for (const method of ['auto', 'cgroup', 'rlimit']) console.log(await measure(method));

async function measure(method: string): Promise<string> {
  await using sidecar = await startSidecar({
    claude: fakeClaudePath,
    args: ['--kill-method', method, '--max-executions', '4'],
  });
  const host = await BenchHost.connect(sidecar.url);
  const siblings = await Promise.all(['a', 'b', 'c'].map((id) => start(host, id, SIBLING)));
  const siblingsBefore = siblings.map((folder) => processesIn(folder).join());

  const times: number[] = [];
  let clean = 0;
  let touched = 0;
  for (let run = 0; run < RUNS; run++) {
    const id = `adversary-${run}`;
    const folder = await start(host, id, ADVERSARY);
    const cancelledAt = performance.now();
    host.send({ type: 'cancel', id: 'c', executionId: id });
    const { outcome, receivedAt } = await host.outcome(id);
    times.push(receivedAt - cancelledAt);
    if (processesIn(folder).length === 0 && outcome.survivors === 0) clean++;
    if (siblings.some((sibling, i) => processesIn(sibling).join() !== siblingsBefore[i])) touched++;
    rmSync(folder, { recursive: true });
    process.stderr.write(`\r${method} ${run + 1}/${RUNS}`);
  }
  process.stderr.write('\n');
  ['a', 'b', 'c'].forEach((id) => host.send({ type: 'cancel', id: 'c', executionId: id }));
  for (const id of ['a', 'b', 'c']) await host.outcome(id);
  siblings.forEach((folder) => rmSync(folder, { recursive: true }));
  host.close();
  return `| ${method} | ${clean} of ${RUNS} | ${median(times).toFixed(0)} ms | ${Math.max(...times).toFixed(0)} ms | ${GRACE_MS + 1000} ms | ${touched} |`;
}

async function start(host: BenchHost, id: string, steps: FakeStep[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-bench-'));
  host.dispatch(id, { prompt: fakeScript(steps), cwd: folder, graceMs: GRACE_MS });
  const expected = steps.filter((step) => step.do === 'spawn').length;
  await host.linesUntil(id, (lines) => lines.filter((line) => line.includes('fake_spawned')).length === expected);
  return folder;
}

/** What `ps` shows of the processes whose working directory this is. */
function processesIn(folder: string): string[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && folderOf(name) === folder);
  if (pids.length === 0) return [];
  try {
    const lines = execFileSync('ps', ['-o', 'pid=,stat=,lstart=', '-p', pids.join()], { encoding: 'utf8' }).split('\n');
    return lines
      .filter((line) => line !== '' && !/^\s*\d+ Z/.test(line))
      .map((line) => line.replace(/^(\s*\d+) \S+/, '$1'));
  } catch {
    return [];
  }
}

function folderOf(pid: string): string | null {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return null;
  }
}
