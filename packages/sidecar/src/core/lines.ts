/**
 * Cuts the bytes of a log into pieces that can be sent: whole lines where they fit, parts of a line where they do not.
 */

/** Lines, without their ends, that cover `bytes` of the log; with `continues` the last one goes on in the next piece. */
export interface Piece {
  readonly bytes: number;
  readonly lines: string[];
  readonly continues: boolean;
}

const NEWLINE = 0x0a;

/**
 * The next piece of a log, from its first byte not yet sent.
 *
 * @param bytes What the log holds from there on, at most as much as one piece may have.
 * @param options.isEnd The log ends with these bytes and nothing will follow.
 * @param options.isPartAllowed The line that starts here is known to end within bounds, so a part of it may go ahead.
 * @returns `null` when it takes more bytes to tell.
 */
export function cutPiece(bytes: Buffer, options: { isEnd: boolean; isPartAllowed: boolean }): Piece | null {
  if (bytes.length === 0) return null;
  if (options.isEnd) {
    const endsWithNewline = bytes[bytes.length - 1] === NEWLINE;
    return {
      bytes: bytes.length,
      lines: toLines(bytes, endsWithNewline ? bytes.length - 1 : bytes.length),
      continues: false,
    };
  }
  const newline = bytes.lastIndexOf(NEWLINE);
  if (newline >= 0) return { bytes: newline + 1, lines: toLines(bytes, newline), continues: false };
  if (!options.isPartAllowed) return null;
  const end = wholeCharacters(bytes);
  if (end === 0) return null;
  return { bytes: end, lines: toLines(bytes, end), continues: true };
}

/** Bytes that are not UTF-8 become U+FFFD. */
function toLines(bytes: Buffer, end: number): string[] {
  return bytes.toString('utf8', 0, end).split('\n');
}

/** The length up to the last whole character, so that a part never ends within one. */
function wholeCharacters(bytes: Buffer): number {
  let start = bytes.length - 1;
  while (isContinuation(bytes[start] ?? 0)) start--;
  const isCut = start + characterLength(bytes[start] ?? 0) > bytes.length;
  return isCut ? start : bytes.length;
}

function isContinuation(byte: number): boolean {
  return (byte & 0b1100_0000) === 0b1000_0000;
}

function characterLength(leadByte: number): number {
  if (leadByte >= 0xf0) return 4;
  if (leadByte >= 0xe0) return 3;
  if (leadByte >= 0xc2) return 2;
  return 1;
}
