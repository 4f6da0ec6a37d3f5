import { renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CURSOR_START, LIMITS, type SidecarFrame } from '@outrigger/protocol';
import { type FakeStep } from '@outrigger/sdk/testing';
import { describe, expect, it } from 'vitest';
import { readOutput } from './support/output.js';
import { RawClient } from './support/raw-client.js';
import { startSidecar, type TestSidecar } from './support/sidecar.js';

const GIB = 1024 ** 3;
const FIRST_LINES = 100;
const LINE_BYTES = 100;
const AT = { from: CURSOR_START, creditBytes: LIMITS.creditBytesMax };

/** A run that prints, waits, and prints twice as much again; a log is a file that it can do anything to meanwhile. */
async function startRun(sidecar: TestSidecar, client: RawClient) {
  const go = join(sidecar.stateDir, 'go');
  const steps: FakeStep[] = [
    { do: 'fill', lines: FIRST_LINES, lineBytes: LINE_BYTES },
    { do: 'waitForFile', path: go },
    { do: 'fill', lines: 2 * FIRST_LINES, lineBytes: LINE_BYTES },
    { do: 'result', result: 'fine' },
  ];
  await client.dispatch('run', steps);
  await client.request('subscribe', { subscription: 's', executionId: 'run', ...AT });
  await client.waitFor('output', (frame) => frame.end === FIRST_LINES * LINE_BYTES);
  return {
    log: join(sidecar.stateDir, 'executions', 'run', '1', 'stdout'),
    goOn: () => writeFileSync(go, ''),
  };
}

/** The text of whole lines in order, and the gaps, of the first subscription. */
function read(client: RawClient) {
  const frames = client.frames.filter(
    (frame): frame is SidecarFrame<'output' | 'gap'> => frame.type === 'output' || frame.type === 'gap',
  );
  frames.reduce((position, frame) => {
    expect(frame.start).toBe(position);
    return frame.end;
  }, 0);
  const lines = frames.flatMap((frame) => (frame.type === 'output' ? frame.lines : []));
  return {
    numbers: lines.flatMap((line) => /^\{"type":"fill","n": *(\d+)/.exec(line)?.[1] ?? []).map(Number),
    unknown: lines.filter((line) => !line.startsWith('{') || !line.endsWith('}')),
    gaps: frames.flatMap((frame) => (frame.type === 'gap' ? [frame] : [])),
  };
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_value, n) => from + n);

describe('a run', () => {
  it('that makes its log 300 GiB long keeps nobody else waiting, and has a gap (O11)', async () => {
    await using sidecar = await startSidecar();
    await using client = await RawClient.connect(sidecar);
    await using other = await RawClient.connect(sidecar);
    const { log } = await startRun(sidecar, client);
    truncateSync(log, 300 * GIB);
    await other.settled();
    expect(await client.outcome('run')).toMatchObject({ status: 'failed', reason: 'output_limit' });
    for (let n = 0; n < 10; n++) await other.settled();
    const gap = await client.waitFor('gap');
    expect(gap).toMatchObject({ start: FIRST_LINES * LINE_BYTES, end: GIB + 1, reason: 'line_too_long' });
  });

  it('that cuts its log has a gap, and no line twice or in half', async () => {
    await using sidecar = await startSidecar();
    await using client = await RawClient.connect(sidecar);
    const { log, goOn } = await startRun(sidecar, client);
    truncateSync(log, 10);
    // What the sidecar looks at next is a log that is shorter than what it has sent.
    const cursor = { ...CURSOR_START, stdout: FIRST_LINES * LINE_BYTES };
    await client.request('subscribe', { subscription: 'late', executionId: 'run', from: cursor, creditBytes: 0 });
    goOn();
    const { end } = await client.waitFor('outcome');
    await client.waitFor('output', (frame) => frame.end === end.stdout);
    const { numbers, unknown, gaps } = read(client);
    const [gap] = gaps;
    expect(gaps).toMatchObject([{ start: FIRST_LINES * LINE_BYTES, reason: 'removed' }]);
    // The new lines begin 10 bytes into the log.
    const firstWhole = Math.ceil(((gap?.start ?? 0) - 10) / LINE_BYTES);
    expect(numbers).toEqual([...range(0, FIRST_LINES), ...range(firstWhole, 2 * FIRST_LINES)]);
    expect(unknown).toEqual([]);

    // On another connection a cursor from before the cut is good, and tells the same.
    await using later = await RawClient.connect(sidecar);
    const { stdout } = await readOutput(later, 'run', cursor);
    expect(stdout.gaps).toEqual([{ start: gap?.start, end: gap?.end }]);
    expect(stdout.lines).toHaveLength(2 * FIRST_LINES - firstWhole + 1);
  });

  it('that removes its log is read to its end by who reads it, and is a gap for who comes later', async () => {
    await using sidecar = await startSidecar();
    await using client = await RawClient.connect(sidecar);
    const { log, goOn } = await startRun(sidecar, client);
    rmSync(log);
    goOn();
    const { outcome, end } = await client.waitFor('outcome');
    expect(outcome).toMatchObject({ status: 'succeeded', result: 'fine' });
    await client.waitFor('output', (frame) => frame.end === end.stdout);
    expect(read(client)).toMatchObject({ numbers: [...range(0, FIRST_LINES), ...range(0, 2 * FIRST_LINES)], gaps: [] });

    await client.request('unsubscribe', { subscription: 's' });
    await using later = await RawClient.connect(sidecar);
    const { stdout } = await readOutput(later, 'run');
    expect(stdout).toMatchObject({ lines: [], gaps: [{ start: 0, end: end.stdout }] });
    await later.dispatch('next', 'hello');
    expect(await later.outcome('next')).toMatchObject({ status: 'succeeded' });
  });

  it('that puts another file in the place of its log is read from its own to the end', async () => {
    await using sidecar = await startSidecar();
    await using client = await RawClient.connect(sidecar);
    const { log, goOn } = await startRun(sidecar, client);
    const foreign = join(sidecar.stateDir, 'foreign');
    writeFileSync(foreign, 'foreign\n'.repeat(10_000));
    renameSync(foreign, log);
    expect(statSync(log).size).toBeGreaterThan(FIRST_LINES * LINE_BYTES);
    goOn();
    const { end } = await client.waitFor('outcome');
    await client.waitFor('output', (frame) => frame.end === end.stdout);
    const { stdout } = await readOutput(client, 'run');
    expect(stdout.gaps).toEqual([]);
    expect(stdout.lines).toHaveLength(3 * FIRST_LINES + 1);
    expect(stdout.lines.join()).not.toContain('foreign');
  });
});
