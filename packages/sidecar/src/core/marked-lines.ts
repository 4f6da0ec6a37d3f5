const NEWLINE = 0x0a;

/**
 * The lines in which any of `marks` stands, in order and without their line ends. Only these are made into text.
 *
 * @param marks Without line ends.
 */
export function markedLines(bytes: Buffer, marks: readonly string[]): string[] {
  const lines: string[] = [];
  /** Where each mark stands next; -1: nowhere any more. */
  const places = marks.map((mark) => bytes.indexOf(mark));
  for (let at = firstOf(places); at >= 0; at = firstOf(places)) {
    const newline = bytes.indexOf(NEWLINE, at);
    const end = newline < 0 ? bytes.length : newline;
    lines.push(bytes.toString('utf8', bytes.lastIndexOf(NEWLINE, at) + 1, end));
    for (const [index, mark] of marks.entries()) {
      const place = places[index] ?? -1;
      if (place >= 0 && place < end) places[index] = bytes.indexOf(mark, end);
    }
  }
  return lines;
}

function firstOf(places: readonly number[]): number {
  let first = -1;
  for (const place of places) if (place >= 0 && (first < 0 || place < first)) first = place;
  return first;
}
