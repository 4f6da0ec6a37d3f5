import cliTruncate from 'cli-truncate';
import Table from 'cli-table3';

/** A column of a table, the most important first: where there is no room for all, the last ones are left out. */
export interface Column<T> {
  readonly title: string;
  readonly value: (row: T) => string;
}

const GAP = 2;
const NO_BORDER = Object.fromEntries(
  ['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right']
    .concat(['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid', 'middle'])
    .map((side) => [side, '']),
);

/** Lays rows out below their titles, in lines of at most `width` characters. */
export function layOut<T>(columns: readonly Column<T>[], rows: readonly T[], width: number): string[] {
  const cells = [
    columns.map(({ title }) => title),
    ...rows.map((row) => columns.map(({ value }) => plain(value(row)))),
  ];
  const shown = countThatFit(columns.length, cells, width);
  const table = new Table({
    chars: NO_BORDER,
    style: { 'padding-left': 0, 'padding-right': GAP, head: [], border: [], compact: true },
  });
  table.push(...cells.map((row) => row.slice(0, shown)));
  const lines = table.toString().split('\n');
  return lines.map((line) => truncate(line.trimEnd(), width));
}

export function truncate(line: string, width: number): string {
  return width === Infinity ? line : cliTruncate(line, width);
}

/** At least two, cut where they must be. */
function countThatFit(count: number, cells: readonly (readonly string[])[], width: number): number {
  const widths = Array.from({ length: count }, (_, n) => Math.max(...cells.map((row) => (row[n] ?? '').length)));
  let used = -GAP;
  const tooWide = widths.findIndex((each) => (used += each + GAP) > width);
  return tooWide === -1 ? count : Math.max(tooWide, Math.min(2, count));
}

/** What others have named must not move the cursor. */
function plain(text: string): string {
  return text.replace(/\p{Cc}/gu, '\u{fffd}');
}
