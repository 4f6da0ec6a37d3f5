import Table from 'cli-table3';
import { type Ended } from './follow.js';
import { colors, columns, shorten } from './terminal.js';

/** Below this the table leaves out what matters least. */
const WIDE_COLUMNS = 100;
/** What the narrow and the wide table need besides the text. */
const NARROW_CHARS = 58;
const WIDE_CHARS = 79;
/** With less room than this for the text it is left out. */
const TEXT_CHARS_MIN = 12;

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;

/** The outcomes of all runs, a row each, as wide as the terminal allows. */
export function outcomeTable(runs: readonly Ended[]): string {
  const isWide = columns() >= WIDE_COLUMNS;
  const textChars = columns() - (isWide ? WIDE_CHARS : NARROW_CHARS);
  const hasText = textChars >= TEXT_CHARS_MIN;
  const wide = ['attempts', 'exit'];
  const table = new Table({
    head: ['run', 'status', 'reason', 'took', 'held', ...(isWide ? wide : []), ...(hasText ? ['what it said'] : [])],
    style: { head: [], border: [], compact: true },
  });
  for (const { name, outcome } of runs) {
    const { status, reason, startedAt, endedAt, heldMs, attempts, exit } = outcome;
    table.push([
      name,
      (status === 'succeeded' ? colors.green : colors.red)(status),
      reason,
      startedAt === undefined ? '-' : seconds(endedAt - startedAt),
      seconds(heldMs),
      ...(isWide ? [attempts, exit.code ?? exit.signal ?? '-'] : []),
      ...(hasText ? [shorten(outcome.result ?? outcome.message, textChars)] : []),
    ]);
  }
  return table.toString();
}
