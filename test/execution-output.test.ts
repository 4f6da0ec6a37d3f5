import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CURSOR_START, LIMITS } from '@outrigger/protocol';
import { type FakeStep } from '@outrigger/sdk/testing';
import { describe, expect, it } from 'vitest';
import { readOutput, type ReadOutput } from './support/output.js';
import { RawClient } from './support/raw-client.js';
import { startSidecar } from './support/sidecar.js';

const MIB = 1024 * 1024;
const base64 = (...bytes: number[]) => Buffer.from(bytes).toString('base64');

/** Runs a script to its end. The output is read while it runs, and once more afterwards; both must tell the same. */
async function runAndRead(steps: FakeStep[], options = {}) {
  await using sidecar = await startSidecar();
  await using client = await RawClient.connect(sidecar);
  await client.dispatch('run', steps, options);
  const live = await readOutput(client, 'run');
  const { outcome, end } = await client.waitFor('outcome');
  const later = await readOutput(client, 'run');
  expect(whatWasRead(later)).toEqual(whatWasRead(live));
  return { outcome, end, ...live };
}

function whatWasRead(output: ReadOutput) {
  return (['stdout', 'stderr'] as const).map((log) => ({ lines: output[log].lines, gaps: output[log].gaps }));
}

describe('the output of a run', () => {
  it('loses nothing of 70,000 bytes written at once before exit(0) (O11)', async () => {
    const text = 'x'.repeat(70_000);
    const { outcome, end, stdout } = await runAndRead([
      { do: 'write', text },
      { do: 'exit', code: 0 },
    ]);
    expect(outcome).toMatchObject({ status: 'failed', reason: 'no_result' });
    expect(end).toEqual({ attempt: 1, stdout: 70_000, stderr: 0 });
    expect(stdout.lines).toEqual([text]);
  });

  it('has its result found however much was written with it (O11)', async () => {
    const result = JSON.stringify({ type: 'result', subtype: 'success', is_error: false, result: 'the end' });
    const { outcome, stdout } = await runAndRead([
      { do: 'write', text: `${'x'.repeat(70_000)}\n${result}` },
      { do: 'exit', code: 0 },
    ]);
    expect(outcome).toMatchObject({ status: 'succeeded', result: 'the end' });
    expect(stdout.lines.map((line) => line.length)).toEqual([70_000, result.length]);
  });

  it('has its result found behind 30 MB that nobody had time to read before the exit (O11)', async () => {
    const { outcome } = await runAndRead([
      { do: 'fill', bytes: 30_000_000, lineBytes: 300 },
      { do: 'result', result: 'the end' },
      { do: 'exit', code: 0 },
    ]);
    expect(outcome).toMatchObject({ status: 'succeeded', result: 'the end' });
  });

  it('has a gap of exactly the bytes of a line of 20 MB, and everything around it (O11)', async () => {
    const { outcome, end, stdout } = await runAndRead([
      { do: 'write', text: 'before\n' },
      { do: 'fill', lines: 1, lineBytes: 20_000_000 },
      { do: 'write', text: 'after\n' },
      { do: 'result', result: 'fine' },
    ]);
    expect(outcome).toMatchObject({ status: 'succeeded', result: 'fine' });
    expect(stdout.gaps).toEqual([{ start: 7, end: 20_000_007 }]);
    expect(stdout.frames.flatMap((frame) => (frame.type === 'gap' ? [frame.reason] : []))).toContain('line_too_long');
    expect(stdout.lines.slice(0, 2)).toEqual(['before', 'after']);
    expect(stdout.lines).toHaveLength(3);
    expect(stdout.frames.at(-1)?.end).toBe(end.stdout);
  });

  it('brings a line of 1 MB in several frames that join to the line', async () => {
    const { stdout } = await runAndRead([
      { do: 'write', text: 'before\n' },
      { do: 'fill', lines: 3, lineBytes: MIB },
      { do: 'write', text: 'after\n' },
    ]);
    expect(stdout.lines.map((line) => line.length)).toEqual([6, MIB - 1, MIB - 1, MIB - 1, 5]);
    expect(stdout.lines.slice(1, 4).map((line) => (JSON.parse(line) as { n: number }).n)).toEqual([0, 1, 2]);
    expect(stdout.gaps).toEqual([]);
    const sizes = stdout.frames.map(({ start, end }) => end - start);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(LIMITS.outputFrameBytes);
    expect(stdout.frames.filter((frame) => frame.type === 'output' && frame.continues === true)).not.toHaveLength(0);
  });

  it('never cuts a character in two, neither between writes nor between frames (O11)', async () => {
    await using sidecar = await startSidecar();
    await using client = await RawClient.connect(sidecar);
    const go = join(sidecar.stateDir, 'go');
    const long = '€𝄞'.repeat(100_000);
    await client.dispatch('utf8', [
      { do: 'write', base64: base64(0x61, 0xe2, 0x82) },
      { do: 'write', to: 'stderr', text: 'half\n' },
      { do: 'waitForFile', path: go },
      { do: 'write', base64: base64(0xac, 0x62, 0x0a) },
      { do: 'write', text: `${long}\n` },
    ]);
    const reading = readOutput(client, 'utf8');
    // The sidecar has looked at the logs by then, half a character included.
    await client.waitFor('stderr');
    writeFileSync(go, '');
    const { stdout, stderr } = await reading;
    expect(stdout.lines).toEqual(['a€b', long]);
    expect(stderr.lines).toEqual(['half']);
  });

  it('has U+FFFD for bytes that are not UTF-8, and offsets that count the bytes themselves (O11)', async () => {
    const { stdout, end } = await runAndRead([
      { do: 'write', base64: base64(0x61, 0xff, 0xfe, 0x62, 0x0a, 0x00, 0x0d, 0x0a, 0xc3) },
    ]);
    expect(stdout.lines).toEqual(['a\uFFFD\uFFFDb', '\u0000\r', '\uFFFD']);
    expect(end.stdout).toBe(9);
  });

  it('may be empty, or hold empty lines alone (O11)', async () => {
    const empty = await runAndRead([{ do: 'exit', code: 0 }]);
    expect(empty).toMatchObject({ end: CURSOR_START, stdout: { frames: [] }, stderr: { frames: [] } });
    const newlines = await runAndRead([{ do: 'write', text: '\n\n\n' }]);
    expect(newlines).toMatchObject({ end: { stdout: 3 }, stdout: { lines: ['', '', ''] } });
  });

  it('comes from both logs, each in its own order', async () => {
    const { stdout, stderr } = await runAndRead([
      { do: 'fill', lines: 5000, lineBytes: 200 },
      { do: 'fill', lines: 5000, lineBytes: 200, to: 'stderr' },
      { do: 'fill', lines: 5000, lineBytes: 200 },
    ]);
    const numbers = (lines: string[]) => lines.map((line) => (JSON.parse(line) as { n: number }).n);
    const expected = Array.from({ length: 5000 }, (_value, n) => n);
    expect(numbers(stdout.lines)).toEqual([...expected, ...expected]);
    expect(numbers(stderr.lines)).toEqual(expected);
  });

  it('above maxOutputBytes ends the run as output_limit', async () => {
    const { outcome, end } = await runAndRead([{ do: 'fill', bytes: 2 * MIB }, { do: 'hang' }], {
      maxOutputBytes: MIB,
    });
    expect(outcome).toMatchObject({ status: 'failed', reason: 'output_limit', retryable: false });
    expect(end.stdout).toBeGreaterThan(MIB);
  });
});
