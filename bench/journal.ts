/**
 * What does it cost to write executions down before they are answered for?
 *
 * Executions of a trivial child, eight at a time, through a supervisor whose journal is on the disk, through one whose journal
 * goes nowhere, and with a bare `spawn` loop. Each in turn, several times, in one process.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Disk, DISK } from '../packages/sidecar/src/journal/disk.js';
import { ExecutionJournal } from '../packages/sidecar/src/journal/execution-journal.js';
import { Supervisor } from '../packages/sidecar/src/supervision/supervisor.js';
import { supervisorOptions } from '../packages/sidecar/src/testing/supervising.js';
import { median } from './support/process.js';

const EXECUTIONS = 200;
const AT_ONCE = 8;
const ROUNDS = 5;
const RESULT = '{"type":"result","subtype":"success","is_error":false,"result":"Done."}';

/** Takes everything once the journal is begun, and keeps nothing. */
let isBegun = false;
const NOWHERE: Disk = {
  ...DISK,
  write: (fd, bytes) => (isBegun ? bytes.length : DISK.write(fd, bytes)),
  sync: () => Promise.resolve(),
};

const folder = mkdtempSync(join(tmpdir(), 'outrigger-bench-'));
const command = join(folder, 'claude');
writeFileSync(command, `#!/bin/sh\necho '${RESULT}'\n`, { mode: 0o755 });
const options = supervisorOptions({ command, path: join(folder, 'state') });

function supervised(name: string, disk: Disk): (id: string) => Promise<unknown> {
  const journal = ExecutionJournal.open(join(folder, name), { logger: options.logger, disk });
  const supervisor = new Supervisor({ ...options, maxExecutions: AT_ONCE, journal });
  supervisor.setMaxListeners(0);
  return async (id) => {
    const ended = new Promise<void>((resolve) => {
      const listener = (run: { id: string }) => {
        if (run.id !== id) return;
        supervisor.off('outcome', listener);
        supervisor.acknowledge(id);
        resolve();
      };
      supervisor.on('outcome', listener);
    });
    await supervisor.dispatch(id, { prompt: 'x' });
    await ended;
  };
}

const ways: Readonly<Record<string, (id: string) => Promise<unknown>>> = {
  'journal on the disk': supervised('on', DISK),
  'journal that goes nowhere': supervised('off', NOWHERE),
  'bare spawn': () => once(spawn(command, { stdio: 'ignore', detached: true }), 'exit'),
};

isBegun = true;

async function perSecond(name: string, run: (id: string) => Promise<unknown>, round: number): Promise<number> {
  const startedAt = performance.now();
  let next = 0;
  const worker = async () => {
    for (let n = next++; n < EXECUTIONS; n = next++) await run(`${name.replaceAll(' ', '-')}-${round}-${n}`);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return EXECUTIONS / ((performance.now() - startedAt) / 1000);
}

const rates = new Map(Object.keys(ways).map((name) => [name, [] as number[]]));
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, run] of Object.entries(ways)) rates.get(name)?.push(await perSecond(name, run, round));
  process.stderr.write(`\r${round + 1}/${ROUNDS}`);
}
process.stderr.write('\n');
const base = median(rates.get('bare spawn') ?? []);
const off = median(rates.get('journal that goes nowhere') ?? []);
console.log('| | executions a second | to a bare spawn | to no journal |\n| --- | --- | --- | --- |');
for (const [name, values] of rates) {
  const rate = median(values);
  console.log(`| ${name} | ${rate.toFixed(0)} | ${(rate / base).toFixed(2)} | ${(rate / off).toFixed(2)} |`);
}
rmSync(folder, { recursive: true });
process.exit(0);
