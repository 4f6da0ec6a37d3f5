import cliTruncate from 'cli-truncate';
import Table from 'cli-table3';

/** A column of a table, the most important first: where there is no room for all, the last ones are left out. */
export interface Column<T> {
  readonly title: string;
  readonly value: (row: T) => string;
  /** It is shown whole; the first column, what rows are called, gives way to it. */
  readonly isKept?: true;
  /** A part of it says something too. */
  readonly canBeCut?: true;
}

const GAP = 2;
/** What is left of a name at least. */
const NAME_WIDTH_MIN = 8;
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
  const widths = fit(columns, cells, width);
  const table = new Table({
    chars: NO_BORDER,
    style: { 'padding-left': 0, 'padding-right': GAP, head: [], border: [], compact: true },
  });
  // Ids made at about the same time begin alike, names do not: what stands at both ends tells either apart.
  const cut = (text: string, n: number) => {
    const room = widths[n] ?? 0;
    return text.length <= room ? text : cliTruncate(text, room, { position: n === 0 ? 'middle' : 'end' });
  };
  table.push(...cells.map((row) => row.slice(0, widths.length).map(cut)));
  const lines = table.toString().split('\n');
  return lines.map((line) => truncate(line.trimEnd(), width));
}

export function truncate(line: string, width: number): string {
  return width === Infinity ? line : cliTruncate(line, width);
}

/** How wide each column is that is shown. */
function fit<T>(columns: readonly Column<T>[], cells: readonly (readonly string[])[], width: number): number[] {
  const [name = 0, ...others] = columns.map((_, n) => Math.max(...cells.map((row) => (row[n] ?? '').length)));
  const keptCount = columns.findLastIndex(({ isKept }) => isKept === true);
  const kept = others.slice(0, Math.max(0, keptCount));
  const nameRoom = width - kept.reduce((total, each) => total + GAP + each, 0);
  const widths = [Math.min(name, Math.max(NAME_WIDTH_MIN, nameRoom)), ...kept];
  let left = width - widths.reduce((total, each) => total + each + GAP, 0);
  for (const [n, each] of others.entries()) {
    if (n < kept.length) continue;
    const column = columns[n + 1];
    if (each > left && (column?.canBeCut !== true || column.title.length > left)) break;
    widths.push(Math.min(each, left));
    left -= each + GAP;
  }
  return widths;
}

/** What others have named must not move the cursor. */
function plain(text: string): string {
  return text.replace(/\p{Cc}/gu, '\u{fffd}');
}
