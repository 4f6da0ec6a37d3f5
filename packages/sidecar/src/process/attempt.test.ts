import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { type AttemptFiles } from '../state/folder.js';
import { Attempt, type AttemptHooks } from './attempt.js';
import { probeMarkers } from './tree/tree.js';

const HOUR_MS = 3_600_000;
const NO_HOOKS: AttemptHooks = {
  onLaunched: () => undefined,
  onLaunchFailed: (_at, message) => expect.unreachable(message),
  onExit: () => undefined,
  onReading: () => undefined,
  onOutputLimit: () => undefined,
  onGrowth: () => undefined,
  onDegraded: () => undefined,
};

function createFiles(): AttemptFiles {
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-attempt-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const [stdin = '', stdout = '', stderr = ''] = ['stdin', 'stdout', 'stderr'].map((name) => join(folder, name));
  [stdin, stdout, stderr].forEach((file) => writeFileSync(file, ''));
  return { folder, stdin, stdout, stderr, settings: null };
}

/** Runs a shell script until it has printed something. */
async function startScript(script: string): Promise<Attempt> {
  const files = createFiles();
  const attempt = new Attempt(files, 1_000_000, NO_HOOKS);
  onTestFinished(() => attempt.kill(0).then(() => attempt.close()));
  const environment = { PATH: process.env['PATH'] ?? '' };
  const request = { prefix: [], command: '/bin/sh', argv: ['-c', script], environment, cwd: files.folder, files };
  attempt.launch(request, probeMarkers('auto'), 'run');
  await expect.poll(() => attempt.stdout.size()).toBeGreaterThan(0);
  return attempt;
}

it('a kill without grace cuts the grace of the one under way short', async () => {
  const attempt = await startScript(`trap '' TERM; echo deaf; sleep 600; sleep 600`);
  const asked = attempt.kill(HOUR_MS);
  expect(await attempt.kill(0)).toBe(0);
  expect(await asked).toBe(0);
});

it('a second kill with a grace leaves the first one its own', async () => {
  const attempt = await startScript(`trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done`);
  const kills = [attempt.kill(HOUR_MS), attempt.kill(1)];
  expect(await Promise.all(kills)).toEqual([0, 0]);
  expect(attempt.stdout.tail(100)).toBe('ready\nbye\n');
});
