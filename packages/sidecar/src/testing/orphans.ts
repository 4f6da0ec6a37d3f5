/** Runs whose sidecar was killed, for tests. */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished } from 'vitest';
import { type Reading } from '../claude/interpret.js';
import { monotonicMs } from '../clock.js';
import { type Exit } from '../core/lifecycle-state.js';
import { type ProcessName } from '../core/sweep.js';
import { Attempt, type NotedProcess } from '../process/attempt.js';
import { type MarkerName } from '../process/tree/marker.js';
import { type MarkStates } from '../process/tree/marks.js';
import { type AttemptFiles } from '../state/folder.js';
import { isAlive } from './trees.js';

const CHILD = fileURLToPath(new URL('launch.child.ts', import.meta.url));

export function createAttemptFiles(): AttemptFiles {
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-attempt-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const [stdin = '', stdout = '', stderr = ''] = ['stdin', 'stdout', 'stderr'].map((name) => join(folder, name));
  [stdin, stdout, stderr].forEach((file) => writeFileSync(file, ''));
  return { folder, stdin, stdout, stderr, settings: null };
}

export interface Orphan {
  readonly files: AttemptFiles;
  readonly noted: NotedProcess;
}

/** Has a sidecar make marks and, where there is one, start a script; then kills the sidecar. */
export async function startOrphan(method: MarkerName | 'auto', script?: string): Promise<Orphan> {
  const files = createAttemptFiles();
  const before = monotonicMs();
  const args = [CHILD, JSON.stringify(files), method, randomUUID(), ...(script === undefined ? [] : [script])];
  const sidecar = spawn(process.execPath, ['--import', 'tsx', ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(sidecar, 'exit');
  const notes = createInterface(sidecar.stdout)[Symbol.asyncIterator]();
  const next = async () => JSON.parse(String((await notes.next()).value)) as object;
  const { marks } = (await next()) as { marks: MarkStates };
  const launched = script === undefined ? null : ((await next()) as { leader: ProcessName; since: number });
  sidecar.kill('SIGKILL');
  await exited;
  const leader = launched?.leader ?? null;
  onTestFinished(() => {
    if (leader !== null && isAlive(leader.pid)) process.kill(leader.pid, 'SIGKILL');
  });
  return { files, noted: { marks, leader, since: launched?.since ?? before } };
}

/** What an attempt has told. */
export interface Heard {
  readonly launched: { at: number; leader: ProcessName | null }[];
  readonly readings: { reading: Reading; at: number }[];
  readonly exits: Exit[];
  /** All of that, in order. */
  readonly order: string[];
}

/** An attempt in a sidecar that is started on what another one left. */
export function attemptOn(files: AttemptFiles): { attempt: Attempt; heard: Heard } {
  const heard: Heard = { launched: [], readings: [], exits: [], order: [] };
  const attempt = new Attempt(files, 2 ** 30, {
    onLaunched: (at, leader) => (heard.launched.push({ at, leader }), heard.order.push('launched')),
    onLaunchFailed: (_at, message) => expect.unreachable(message),
    onExit: (exit) => (heard.exits.push(exit), heard.order.push('exit')),
    onCaughtUp: () => undefined,
    onReading: (reading, at) => (heard.readings.push({ reading, at }), heard.order.push(reading.kind)),
    onOutputLimit: () => undefined,
    onGrowth: () => undefined,
    onDegraded: () => undefined,
  });
  onTestFinished(() => attempt.kill(0).then(() => attempt.close()));
  return { attempt, heard };
}
