import { isatty } from 'node:tty';
import picocolors from 'picocolors';

// By default a CI counts as a terminal.
export const colors = picocolors.createColors(isatty(1) && process.env['NO_COLOR'] === undefined);

/** What a pipe gets, or a terminal that does not say how wide it is. */
const DEFAULT_COLUMNS = 120;

export function columns(): number {
  return (isatty(1) && process.stdout.columns) || DEFAULT_COLUMNS;
}

/** One line of at most so many characters. */
export function shorten(text: string, charsMax = DEFAULT_COLUMNS): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length <= charsMax ? line : `${line.slice(0, Math.max(0, charsMax - 1))}…`;
}
