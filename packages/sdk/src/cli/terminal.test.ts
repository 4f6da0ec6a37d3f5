import { describe, expect, it } from 'vitest';
import { openTerminal } from './terminal.js';

const stream = (isTTY: boolean, columns?: number, rows?: number) =>
  ({ isTTY, columns, rows }) as unknown as NodeJS.Process['stdout'];
const sizeOf = (stdout: NodeJS.Process['stdout'], env: Record<string, string> = {}) => {
  const { columns, rows } = openTerminal({ ...process, stdout }, env);
  return { columns, rows };
};

describe('a terminal', () => {
  it('is as large as it says, and of the usual size where it says 0 or nothing', () => {
    expect(sizeOf(stream(true, 120, 50))).toEqual({ columns: 120, rows: 50 });
    expect(sizeOf(stream(true, 0, 0))).toEqual({ columns: 80, rows: 24 });
    expect(sizeOf(stream(true))).toEqual({ columns: 80, rows: 24 });
  });

  it('is as wide as COLUMNS says, and without end where nobody looks', () => {
    expect(sizeOf(stream(true, 120, 50), { COLUMNS: '40' })).toEqual({ columns: 40, rows: 50 });
    expect(sizeOf(stream(false), { COLUMNS: '0' })).toEqual({ columns: Infinity, rows: Infinity });
  });
});
