import { expect, it } from 'vitest';
import { hasReached, isBehindFence } from './fence.js';
import { acceptFrame, cursorOf, positionOf, readOutputFrom, resumeOutput } from './output-assembler.js';

const START = { attempt: 1, stdout: 0, stderr: 0 };
const base = { subscription: 's1', executionId: 'e1', attempt: 1 };

function accept(state: ReturnType<typeof readOutputFrom>, frame: Parameters<typeof acceptFrame>[1]) {
  const step = acceptFrame(state, frame, 1000);
  if (!step.ok) throw new Error(step.violation);
  return step.state;
}

it('keeps a cursor per log, and reads an unfinished line again after a lost connection', () => {
  let state = accept(readOutputFrom(START), { ...base, type: 'output', start: 0, end: 2, lines: ['a'] });
  state = accept(state, { ...base, type: 'stderr', start: 0, end: 3, lines: ['abc'], continues: true });
  expect(positionOf(state)).toEqual({ attempt: 1, stdout: 2, stderr: 3 });
  expect(cursorOf(state)).toEqual({ attempt: 1, stdout: 2, stderr: 0 });
  expect(positionOf(resumeOutput(state))).toEqual({ attempt: 1, stdout: 2, stderr: 0 });
});

it('begins the logs anew with a later attempt and drops what an earlier one still sends', () => {
  const first = accept(readOutputFrom(START), { ...base, type: 'output', start: 0, end: 2, lines: ['a'] });
  const second = accept(first, { ...base, attempt: 2, type: 'stderr', start: 0, end: 2, lines: ['b'] });
  expect(cursorOf(second)).toEqual({ attempt: 2, stdout: 0, stderr: 2 });
  expect(acceptFrame(second, { ...base, type: 'output', start: 2, end: 4, lines: ['c'] }, 1000)).toEqual({
    ok: true,
    state: second,
    item: null,
  });
});

it('T2: has reached the end only when both logs have, and nothing behind it is let through', () => {
  const end = { attempt: 2, stdout: 10, stderr: 5 };
  expect(hasReached({ attempt: 2, stdout: 10, stderr: 4 }, end)).toBe(false);
  expect(hasReached({ attempt: 2, stdout: 10, stderr: 5 }, end)).toBe(true);
  expect(hasReached({ attempt: 1, stdout: 99, stderr: 99 }, end)).toBe(false);
  expect(hasReached({ attempt: 3, stdout: 0, stderr: 0 }, end)).toBe(true);
  expect(isBehindFence({ attempt: 2, log: 'stdout', offset: 10 }, end)).toBe(false);
  expect(isBehindFence({ attempt: 2, log: 'stderr', offset: 6 }, end)).toBe(true);
  expect(isBehindFence({ attempt: 1, log: 'stdout', offset: 99 }, end)).toBe(false);
  expect(isBehindFence({ attempt: 3, log: 'stdout', offset: 0 }, end)).toBe(true);
});
