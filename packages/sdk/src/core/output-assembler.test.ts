import { describe, expect, it } from 'vitest';
import { hasReached, isBehindFence } from './fence.js';
import { acceptFrame, cursorOf, type OutputState, positionOf, readOutputFrom } from './output-assembler.js';

const START = { attempt: 1, stdout: 0, stderr: 0 };
const base = { subscription: 's1', executionId: 'e1', attempt: 1 };
const line = { start: 0, end: 2, lines: ['a'], ends: [2] };

function accept(state: OutputState, frame: Parameters<typeof acceptFrame>[1]) {
  const step = acceptFrame(state, frame, 1000);
  if (!step.ok) throw new Error(step.violation);
  return step;
}

describe('the output of an execution', () => {
  it('has a place per log, with and without the line that was begun', () => {
    const one = accept(readOutputFrom(START), { ...base, ...line, type: 'output' });
    const begun = {
      ...base,
      type: 'stderr' as const,
      start: 0,
      end: 3,
      lines: ['abc'],
      ends: [3],
      continues: true as const,
    };
    const two = accept(one.state, begun);
    expect(one.item).toEqual({ kind: 'lines', batch: { log: 'stdout', lines: ['a'], ends: [2] } });
    expect(two.item).toBeNull();
    expect(positionOf(two.state)).toEqual({ attempt: 1, stdout: 2, stderr: 3 });
    expect(cursorOf(two.state)).toEqual({ attempt: 1, stdout: 2, stderr: 0 });
  });

  it('begins where it is told to', () => {
    expect(positionOf(readOutputFrom({ attempt: 3, stdout: 5, stderr: 7 }))).toEqual({
      attempt: 3,
      stdout: 5,
      stderr: 7,
    });
  });

  it('T5: has a gap in one log alone, with what is missing and why', () => {
    const gap = { ...base, type: 'gap' as const, log: 'stderr' as const, start: 0, end: 9 };
    const { state, item } = accept(readOutputFrom(START), { ...gap, reason: 'line_too_long' });
    expect(item).toEqual({ kind: 'gap', log: 'stderr', start: 0, end: 9, reason: 'line_too_long' });
    expect(positionOf(state)).toEqual({ attempt: 1, stdout: 0, stderr: 9 });
    expect(accept(state, { ...gap, reason: 'line_too_long' }).item).toBeNull();
  });

  it('passes on what a sidecar did wrong', () => {
    expect(acceptFrame(readOutputFrom(START), { ...base, ...line, start: 1, type: 'stderr' }, 1000)).toMatchObject({
      ok: false,
      violation: expect.stringContaining('stderr') as unknown,
    });
    const gap = { ...base, type: 'gap' as const, log: 'stdout' as const, start: 1, end: 9 };
    expect(acceptFrame(readOutputFrom(START), { ...gap, reason: 'retention' }, 1000)).toMatchObject({ ok: false });
  });

  it('begins its logs anew with a later attempt and drops what an earlier one still sends', () => {
    const first = accept(readOutputFrom(START), { ...base, ...line, type: 'output' });
    const second = accept(first.state, { ...base, ...line, attempt: 2, type: 'stderr' });
    expect(cursorOf(second.state)).toEqual({ attempt: 2, stdout: 0, stderr: 2 });
    const late = { ...base, type: 'output' as const, start: 2, end: 4, lines: ['c'], ends: [4] };
    expect(acceptFrame(second.state, late, 1000)).toEqual({ ok: true, state: second.state, item: null });
  });

  it('passes over attempts that printed nothing', () => {
    const third = accept(readOutputFrom(START), { ...base, ...line, attempt: 3, type: 'output' });
    expect(cursorOf(third.state)).toEqual({ attempt: 3, stdout: 2, stderr: 0 });
  });

  it.each(['output', 'stderr'] as const)('calls it a violation when an attempt stops within a line of %s', (type) => {
    const { state } = accept(readOutputFrom(START), { ...base, ...line, type, continues: true });
    expect(acceptFrame(state, { ...base, ...line, attempt: 2, type: 'output' }, 1000)).toEqual({
      ok: false,
      violation: 'attempt 1 stops within a line, and attempt 2 follows',
    });
  });

  it.each(['output', 'stderr'] as const)(
    'calls it a violation when %s of an attempt is not told from its start',
    (type) => {
      const frame = { ...base, start: 2, end: 4, lines: ['b'], ends: [4], attempt: 2, type };
      expect(acceptFrame(readOutputFrom({ attempt: 1, stdout: 2, stderr: 2 }), frame, 1000)).toMatchObject({
        ok: false,
      });
    },
  );
});

describe('the fence', () => {
  const end = { attempt: 2, stdout: 10, stderr: 5 };

  it('T2: is reached only when both logs have reached it', () => {
    expect(hasReached({ attempt: 2, stdout: 10, stderr: 4 }, end)).toBe(false);
    expect(hasReached({ attempt: 2, stdout: 9, stderr: 5 }, end)).toBe(false);
    expect(hasReached({ attempt: 2, stdout: 10, stderr: 5 }, end)).toBe(true);
    expect(hasReached({ attempt: 1, stdout: 99, stderr: 99 }, end)).toBe(false);
    expect(hasReached({ attempt: 3, stdout: 0, stderr: 0 }, end)).toBe(true);
  });

  it('T2: lets nothing through from behind it', () => {
    expect(isBehindFence({ attempt: 2, log: 'stdout', offset: 10 }, end)).toBe(false);
    expect(isBehindFence({ attempt: 2, log: 'stdout', offset: 11 }, end)).toBe(true);
    expect(isBehindFence({ attempt: 2, log: 'stderr', offset: 5 }, end)).toBe(false);
    expect(isBehindFence({ attempt: 2, log: 'stderr', offset: 6 }, end)).toBe(true);
    expect(isBehindFence({ attempt: 1, log: 'stdout', offset: 99 }, end)).toBe(false);
    expect(isBehindFence({ attempt: 3, log: 'stdout', offset: 0 }, end)).toBe(true);
  });
});
