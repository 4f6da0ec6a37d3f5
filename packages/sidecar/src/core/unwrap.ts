/**
 * Puts texts in base64 or hex together again that a tool broke over lines, as `base64` does at 76 characters, `openssl`
 * at 64 and `xxd -p` at 60.
 */

/** Tools break no lines shorter than this; it keeps the ends of other lines from being looked at. */
const LINE_CHARS_MIN = 32;
/** A line end as it is or escaped for JSON, up to three times, and an indentation; at the end of a text half of it. */
const BREAK = /(?:\r?\n|(?:\\{1,4}r)?\\{1,4}n)[ \t]{0,8}(?=[A-Za-z0-9+/_-]|$)|(?:\r|\\{1,4}(?:r\\{0,4})?)$/g;
const BREAK_CHARS_MAX = 18;

export interface Unwrapped {
  /** Without the breaks. */
  readonly text: string;
  /** Where a character of `text` stands in the original. */
  originalAt(index: number): number;
}

/** Null: nothing is broken over lines. The cost is linear in the text. */
export function unwrap(original: string): Unwrapped | null {
  const parts: string[] = [];
  /** Where each part begins, in the original and without breaks. */
  const starts = [{ original: 0, unwrapped: 0 }];
  for (const { index, 0: found } of original.matchAll(BREAK)) {
    const last = starts.at(-1) ?? { original: 0, unwrapped: 0 };
    if (!isAfterLine(original, index)) continue;
    parts.push(original.slice(last.original, index));
    starts.push({ original: index + found.length, unwrapped: last.unwrapped + index - last.original });
  }
  if (parts.length === 0) return null;
  return {
    text: parts.join('') + original.slice(starts.at(-1)?.original),
    originalAt: (index) => {
      const start = lastUpTo(starts, index);
      return start.original + index - start.unwrapped;
    },
  };
}

/** How many characters a form of so many can be spread over, with the line before its first break. */
export function wrappedCharsMax(formChars: number): number {
  const breaks = Math.ceil(formChars / LINE_CHARS_MIN) + 1;
  return LINE_CHARS_MIN + formChars + breaks * BREAK_CHARS_MAX;
}

function isAfterLine(text: string, end: number): boolean {
  if (end < LINE_CHARS_MIN) return false;
  for (let at = end - 1; at >= end - LINE_CHARS_MIN; at--) {
    if (!isEncoding(text.charCodeAt(at))) return false;
  }
  return true;
}

/** Letters, digits and `+/-_`. */
function isEncoding(code: number): boolean {
  return (
    (code >= 0x61 && code <= 0x7a) ||
    (code >= 0x41 && code <= 0x5a) ||
    (code >= 0x2f && code <= 0x39) ||
    code === 0x2b ||
    code === 0x2d ||
    code === 0x5f
  );
}

interface Start {
  readonly original: number;
  readonly unwrapped: number;
}

/** The last of `starts` that is not behind `index`, found by halves. */
function lastUpTo(starts: readonly Start[], index: number): Start {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((starts[middle]?.unwrapped ?? 0) <= index) low = middle;
    else high = middle - 1;
  }
  return starts[low] ?? { original: 0, unwrapped: 0 };
}
