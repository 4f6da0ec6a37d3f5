/**
 * Cuts the bytes of a log into pieces that can be sent: whole lines where they fit, parts of a line where they do not,
 * and no secret in any of them.
 */
import { type Redactor, replaceStretches, type Stretch } from './redact.js';

/** Lines, without their line ends, that cover `bytes` of the log; with `continues` the last one goes on. */
export interface Piece {
  readonly bytes: number;
  readonly lines: string[];
  /** The bytes up to behind each entry of `lines`, its line end included. */
  readonly ends: number[];
  readonly continues: boolean;
}

export interface CutOptions {
  /** How many of the bytes were sent before. They are there to recognise a secret that reaches over their end. */
  readonly before: number;
  /** The log ends with these bytes and nothing will follow. */
  readonly isEnd: boolean;
  /** A piece can have no more bytes than these, and the line is known to end within bounds: a part may go ahead. */
  readonly isPartAllowed: boolean;
  readonly redactor: Redactor;
}

const NEWLINE = 0x0a;

/**
 * The next piece of a log.
 *
 * @param bytes What the log holds, `before` included, at most as much as one piece may have.
 * @returns `null` when it takes more bytes to tell.
 */
export function cutPiece(bytes: Buffer, options: CutOptions): Piece | null {
  const { before, isEnd, isPartAllowed, redactor } = options;
  const secrets = redactor.find(bytes, { isCut: isEnd });
  const knownEnd = isEnd ? bytes.length : redactor.openFrom(bytes);
  const wholeEnd = isEnd ? bytes.length : bytes.subarray(0, knownEnd).lastIndexOf(NEWLINE) + 1;
  if (wholeEnd > before) return toPiece(bytes.subarray(0, wholeEnd), { before, secrets, continues: false });
  // The line is whole, but may end within a secret: what stands before that can go ahead.
  const isOpen = bytes.includes(NEWLINE, before);
  if (!isOpen && !isPartAllowed) return null;
  const end = isOpen ? knownEnd : partEnd(bytes, { before, secrets, reachBytes: redactor.reachBytes });
  return end > before ? toPiece(bytes.subarray(0, end), { before, secrets, continues: true }) : null;
}

function toPiece(bytes: Buffer, options: { before: number; secrets: readonly Stretch[]; continues: boolean }): Piece {
  const { before, secrets, continues } = options;
  const endsWithNewline = !continues && bytes[bytes.length - 1] === NEWLINE;
  const text = { start: before, end: endsWithNewline ? bytes.length - 1 : bytes.length };
  const hidden = secrets
    .map(({ start, end }) => ({ start: Math.max(start, text.start), end: Math.min(end, text.end) }))
    .flatMap((secret) => withoutLineEnds(bytes, secret));
  return {
    bytes: bytes.length - before,
    // Bytes that are not UTF-8 become U+FFFD.
    lines: replaceStretches(hidden, text, (start, end) => bytes.toString('utf8', start, end)).split('\n'),
    ends: entryEnds(bytes, before),
    continues,
  };
}

/** The parts of a stretch in each line, so that lines stay lines. */
function withoutLineEnds(bytes: Buffer, { start, end }: Stretch): Stretch[] {
  const parts: Stretch[] = [];
  for (let from = start; from < end;) {
    const newline = bytes.indexOf(NEWLINE, from);
    const to = newline < 0 ? end : Math.min(newline, end);
    if (to > from) parts.push({ start: from, end: to });
    from = to + 1;
  }
  return parts;
}

function entryEnds(bytes: Buffer, before: number): number[] {
  const ends: number[] = [];
  for (let at = before; at < bytes.length; at = before + (ends.at(-1) ?? 0)) {
    const newline = bytes.indexOf(NEWLINE, at);
    ends.push((newline < 0 ? bytes.length : newline + 1) - before);
  }
  return ends;
}

/**
 * How far a part may go: not into a character, not so far that a secret could begin and not be recognised yet, and not
 * into a secret. Where it is all one secret, the part is cut in it all the same: the next one looks back.
 */
function partEnd(bytes: Buffer, options: { before: number; secrets: readonly Stretch[]; reachBytes: number }): number {
  const end = wholeCharacters(bytes.subarray(0, Math.max(0, bytes.length - options.reachBytes)));
  const straddling = options.secrets.find((secret) => secret.start < end && secret.end > end);
  return straddling !== undefined && straddling.start > options.before ? straddling.start : end;
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
