import { appendFileSync, utimesSync } from 'node:fs';
import { expect, it, onTestFinished } from 'vitest';
import { monotonicMs } from '../clock.js';
import { createAttemptFiles } from '../testing/orphans.js';
import { GOOD } from '../testing/stream.js';
import { Output } from './output.js';

it('what was printed before the start was noticed is told as printed at the start', async () => {
  const files = createAttemptFiles();
  const readAt: number[] = [];
  const output = new Output(files, 1_000_000, {
    onReading: (_reading, at) => readAt.push(at),
    onOutputLimit: () => undefined,
    onGrowth: () => undefined,
    onDegraded: () => undefined,
  });
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
