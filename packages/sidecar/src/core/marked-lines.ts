const NEWLINE = 0x0a;

/**
 * The lines in which a mark stands, in order and without their line ends. Only these are made into text.
 *
 * @param mark Global, and matches nothing but ASCII within a line. One expression is looked for in a third of the time that it
 *   takes to look for each of five texts by itself.
 */
export function markedLines(bytes: Buffer, mark: RegExp): string[] {
  const lines: string[] = [];
  let end = -1;
  // In latin1 each byte is a character.
  for (const { index } of bytes.toString('latin1').matchAll(mark)) {
    if (index < end) continue;
    const newline = bytes.indexOf(NEWLINE, index);
    end = newline < 0 ? bytes.length : newline;
    lines.push(bytes.toString('utf8', bytes.lastIndexOf(NEWLINE, index) + 1, end));
  }
  return lines;
}
