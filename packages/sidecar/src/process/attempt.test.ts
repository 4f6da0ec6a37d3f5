import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { createAttemptFiles } from '../testing/orphans.js';
import { Attempt, type AttemptHooks } from './attempt.js';
import { probeMarkers } from './tree/tree.js';

const HOUR_MS = 3_600_000;
const NO_HOOKS: AttemptHooks = {
  onLaunched: () => undefined,
  onLaunchFailed: (_at, message) => expect.unreachable(message),
  onExit: () => undefined,
  onCaughtUp: () => undefined,
  onReading: () => undefined,
  onOutputLimit: () => undefined,
  onGrowth: () => undefined,
  onDegraded: () => undefined,
};

function readlinkIfAny(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
}

/** Runs a shell script until it has printed something. */
async function startScript(
  script: string,
  { maxOutputBytes = 1_000_000, ...hooks }: { maxOutputBytes?: number } & Partial<AttemptHooks> = {},
): Promise<Attempt> {
  const files = createAttemptFiles();
  const attempt = new Attempt(files, maxOutputBytes, { ...NO_HOOKS, ...hooks });
  onTestFinished(() => attempt.kill(0).then(() => attempt.close()));
  const environment = { PATH: process.env['PATH'] ?? '' };
  const request = { prefix: [], command: '/bin/sh', argv: ['-c', script], environment, cwd: files.folder, files };
  attempt.mark(probeMarkers('auto'), 'run');
  attempt.launch(request);
  await expect.poll(() => attempt.stdout.size()).toBeGreaterThan(0);
  return attempt;
}

it('a log ends one byte behind what a run may print, whatever size the run gives its file', async () => {
  const limits: number[] = [];
  const attempt = await startScript('echo begin; truncate -s 500G stdout stderr; sleep 600', {
    maxOutputBytes: 1000,
    onOutputLimit: (at) => limits.push(at),
  });
  await expect.poll(() => limits).toHaveLength(1);
  expect([attempt.stdout.size(), attempt.stderr.size()]).toEqual([1001, 1001]);
  const buffer = Buffer.alloc(2000);
  expect(attempt.stdout.read(buffer, 0)).toBe(1001);
  attempt.fixEnds();
  expect([attempt.stdout.end, attempt.stderr.end]).toEqual([1001, 1001]);
  expect(await attempt.readToEnds()).toEqual({ stderrFailure: null, lastWords: '\0'.repeat(300) });
});

it('a log that cannot be opened costs no open file', () => {
  const files = createAttemptFiles();
  const openFiles = () =>
    readdirSync('/proc/self/fd')
      .map((fd) => readlinkIfAny(`/proc/self/fd/${fd}`))
      .filter((path) => path?.startsWith(files.folder) === true);
  const missing = { ...files, stderr: join(files.folder, 'missing') };
  expect(() => new Attempt(missing, 1000, NO_HOOKS)).toThrow('ENOENT');
  expect(openFiles()).toEqual([]);
});

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
