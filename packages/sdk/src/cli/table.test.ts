import { describe, expect, it } from 'vitest';
import { type Column, layOut } from './table.js';

const columns: Column<readonly string[]>[] = [
  { title: 'ID', value: ([id = '']) => id },
  { title: 'STATE', value: ([, state = '']) => state, isKept: true },
  { title: 'AGE', value: ([, , age = '']) => age },
  { title: 'NOTES', value: ([, , , notes = '']) => notes, canBeCut: true },
];
const rows = [
  ['job-1', 'running', '1m20s', 'a long note about it'],
  ['a-longer-id', 'held', '2.0s', ''],
];

describe('a table', () => {
  it('has its columns below each other, and nothing behind the last', () => {
    expect(layOut(columns, rows, Infinity)).toEqual([
      'ID           STATE    AGE    NOTES',
      'job-1        running  1m20s  a long note about it',
      'a-longer-id  held     2.0s',
    ]);
  });

  it('cuts the last column that can be cut, and leaves out those for which there is no room', () => {
    expect(layOut(columns, rows, 36)).toEqual([
      'ID           STATE    AGE    NOTES',
      'job-1        running  1m20s  a long…',
      'a-longer-id  held     2.0s',
    ]);
    expect(layOut(columns, rows, 26)).toEqual(['ID           STATE', 'job-1        running', 'a-longer-id  held']);
  });

  it('cuts a name in its middle rather than what is to be kept', () => {
    expect(layOut(columns, rows, 18)).toEqual(['ID         STATE', 'job-1      running', 'a-lo…r-id  held']);
  });

  it('is cut to the width, whatever it says', () => {
    for (const width of [1, 5, 10, 20, 40, 80]) {
      for (const line of layOut(columns, rows, width)) expect(line.length).toBeLessThanOrEqual(width);
    }
  });

  it('shows a control character for what it is', () => {
    expect(layOut(columns, [['\u001b[2J', '\n']], Infinity)[1]).toBe('\u{fffd}[2J  \u{fffd}');
  });
});
