import { appendFileSync, utimesSync } from 'node:fs';
import { expect, it, onTestFinished } from 'vitest';
import { monotonicMs } from '../clock.js';
import { createAttemptFiles } from '../testing/orphans.js';
import { GOOD } from '../testing/stream.js';
import { Output, type OutputHooks } from './output.js';

const NO_HOOKS: OutputHooks = {
  onReading: () => undefined,
  onOutputLimit: () => undefined,
  onGrowth: () => undefined,
  onDegraded: () => undefined,
};

it('what was printed before the start was noticed is told as printed at the start', async () => {
  const files = createAttemptFiles();
  const readAt: number[] = [];
  const output = new Output(files, 1_000_000, { ...NO_HOOKS, onReading: (_reading, at) => readAt.push(at) });
  onTestFinished(() => output.close());
  appendFileSync(files.stdout, `${JSON.stringify(GOOD)}\n`);
  utimesSync(files.stdout, 0, 0);
  const startedAt = monotonicMs();
  output.begin(startedAt);
  output.fixEnds();
  await output.readToEnds();
  expect(readAt.length).toBeGreaterThan(0);
  expect(readAt.filter((at) => at < startedAt)).toEqual([]);
});

it('a result behind more than can be read at one go is read, however long that takes', async () => {
  const files = createAttemptFiles();
  const reports: string[] = [];
  const output = new Output(files, 100_000_000, { ...NO_HOOKS, onReading: ({ kind }) => reports.push(kind) });
  onTestFinished(() => output.close());
  appendFileSync(files.stdout, `${'x'.repeat(1023)}\n`.repeat(20_000));
  appendFileSync(files.stdout, `${JSON.stringify(GOOD)}\n`);
  output.begin(monotonicMs());
  output.fixEnds();
  await output.readToEnds(1);
  expect(reports).toEqual(['result']);
});
