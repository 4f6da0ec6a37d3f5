import { describe, expect, it } from 'vitest';
import { type Column, layOut } from './table.js';

const columns: Column<readonly [string, string, string]>[] = [
  { title: 'ID', value: ([id]) => id },
  { title: 'STATE', value: ([, state]) => state },
  { title: 'NOTES', value: ([, , notes]) => notes },
];
const rows = [
  ['job-1', 'running', 'a long note about it'],
  ['a-longer-id', 'held', ''],
] as const;

describe('a table', () => {
  it('has its columns below each other, and nothing behind the last', () => {
    expect(layOut(columns, rows, Infinity)).toEqual([
      'ID           STATE    NOTES',
      'job-1        running  a long note about it',
      'a-longer-id  held',
    ]);
  });

  it('leaves out the least important columns where there is no room', () => {
    expect(layOut(columns, rows, 30)).toEqual(['ID           STATE', 'job-1        running', 'a-longer-id  held']);
  });

  it('is cut to the width, whatever it says, and keeps two columns', () => {
    const lines = layOut(columns, rows, 16);
    expect(lines).toEqual(['ID           ST…', 'job-1        ru…', 'a-longer-id  he…']);
    for (const width of [1, 5, 10, 20, 40, 80]) {
      for (const line of layOut(columns, rows, width)) expect(line.length).toBeLessThanOrEqual(width);
    }
  });

  it('shows a control character for what it is', () => {
    expect(layOut(columns, [['\u001b[2J', '\n', '']], Infinity)[1]).toBe('\u{fffd}[2J  \u{fffd}');
  });
});
