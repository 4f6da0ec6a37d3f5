import wrapAnsi from 'wrap-ansi';

/** Where a paragraph stands. */
export interface Paragraph {
  /** Columns there are. */
  readonly width: number;
  /** What its first line begins with, e.g. a mark. @default as much space as before the others */
  readonly lead?: string;
  /** Columns before its other lines. */
  readonly indent: number;
}

/** Narrower than this nothing can be read; what is too long is broken all the same. */
const TEXT_WIDTH_MIN = 10;

/** Lines broken between words, below each other. */
export function wrap(text: string, { width, indent, lead = ' '.repeat(indent) }: Paragraph): string[] {
  const room = Math.max(TEXT_WIDTH_MIN, width - indent);
  const lines = width === Infinity ? [text] : wrapAnsi(text, room, { hard: true }).split('\n');
  return lines.map((line, n) => (n === 0 ? lead : ' '.repeat(indent)) + line);
}
