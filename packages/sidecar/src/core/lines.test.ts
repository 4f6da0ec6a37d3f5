import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cutPiece, type Piece } from './lines.js';

const piece = (bytes: Buffer | string, options: { isEnd?: boolean; isPartAllowed?: boolean } = {}) =>
  cutPiece(Buffer.from(bytes), { isEnd: false, isPartAllowed: false, ...options });

describe('a piece', () => {
  it('is every whole line there is', () => {
    expect(piece('one\ntwo\nthr')).toEqual({ bytes: 8, lines: ['one', 'two'], continues: false });
    expect(piece('\n')).toEqual({ bytes: 1, lines: [''], continues: false });
    expect(piece('\n\n\n')).toEqual({ bytes: 3, lines: ['', '', ''], continues: false });
  });

  it('keeps a carriage return, which is part of the line', () => {
    expect(piece('one\r\ntwo\r\n')).toEqual({ bytes: 10, lines: ['one\r', 'two\r'], continues: false });
  });

  it('waits for the end of a line that may be too long', () => {
    expect(piece('one')).toBeNull();
  });

  it('is part of a line that is known to end', () => {
    expect(piece('one', { isPartAllowed: true })).toEqual({ bytes: 3, lines: ['one'], continues: true });
  });

  it('is whole lines even where a part would be allowed', () => {
    expect(piece('one\ntwo', { isPartAllowed: true })).toEqual({ bytes: 4, lines: ['one'], continues: false });
  });

  it('at the end of the log is all of it, with or without a last line end', () => {
    expect(piece('one\ntwo', { isEnd: true })).toEqual({ bytes: 7, lines: ['one', 'two'], continues: false });
    expect(piece('one\ntwo\n', { isEnd: true })).toEqual({ bytes: 8, lines: ['one', 'two'], continues: false });
    expect(piece('two', { isEnd: true, isPartAllowed: true })).toMatchObject({ continues: false });
  });

  it('is none where there are no bytes', () => {
    for (const isEnd of [true, false]) expect(piece('', { isEnd, isPartAllowed: true })).toBeNull();
  });

  it.each(['\u0080', '\u07ff', '\u0800', '\uffff', '\u{10000}', '\u{10ffff}'])(
    'O11: never ends within a character, as %j',
    (character) => {
      const whole = Buffer.from(`a${character}`);
      for (let length = 2; length < whole.length; length++) {
        const cut = piece(whole.subarray(0, length), { isPartAllowed: true });
        expect(cut).toEqual({ bytes: 1, lines: ['a'], continues: true });
      }
      expect(piece(whole, { isPartAllowed: true })).toMatchObject({ bytes: whole.length, lines: [`a${character}`] });
    },
  );

  it('waits for the rest of a character that is all there is', () => {
    expect(piece(Buffer.from('€').subarray(0, 2), { isPartAllowed: true })).toBeNull();
  });

  it.each([
    ['no lead byte', [0x80, 0x80, 0x80, 0x80, 0x80]],
    ['a lead byte that never is one', [0x61, 0xc1]],
    ['more bytes than its lead byte says', [0xc3, 0xa9, 0xa9]],
  ])('O11: takes bytes that are no UTF-8 as they come, as with %s', (_what, bytes) => {
    expect(piece(Buffer.from(bytes), { isPartAllowed: true })).toMatchObject({ bytes: bytes.length });
  });
});

/** Reads a log as a reader does: as many bytes at a time as it is given, more where that is too few to tell. */
function readLog(log: Buffer, steps: { size: number; isPartAllowed: boolean }[]): { start: number; piece: Piece }[] {
  const pieces: { start: number; piece: Piece }[] = [];
  let position = 0;
  let size = 0;
  for (let turn = 0; position < log.length; turn++) {
    const { size: more, isPartAllowed } = steps[turn % steps.length] ?? { size: 1, isPartAllowed: true };
    size += more;
    const bytes = log.subarray(position, position + size);
    const found = cutPiece(bytes, { isEnd: position + bytes.length === log.length, isPartAllowed });
    if (found === null) continue;
    pieces.push({ start: position, piece: found });
    position += found.bytes;
    size = 0;
  }
  return pieces;
}

/** The lines as a receiver puts them together again. */
function assemble(pieces: Piece[]): string[] {
  const lines: string[] = [];
  let isOpen = false;
  for (const { lines: more, continues } of pieces) {
    const [first = '', ...rest] = more;
    lines.push(isOpen ? `${lines.pop() ?? ''}${first}` : first, ...rest);
    isOpen = continues;
  }
  return lines;
}

describe('for any log in pieces of any size', () => {
  const text = fc
    .constantFrom('a', '\n', '\r\n', '\n\n', 'é', '€', '\u{1f600}', '\u0080', '\u{10ffff}')
    .map((character) => Buffer.from(character));
  const garbage = fc
    .constantFrom([0x80], [0xff], [0xc0], [0xe2, 0x82], [0xf0, 0x9f, 0x98], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80])
    .map((bytes) => Buffer.from(bytes));
  const join = (parts: Uint8Array[]) => Buffer.concat(parts);
  const utf8 = fc.array(text, { maxLength: 40 }).map(join);
  const anything = fc.oneof(
    fc.array(fc.oneof(text, garbage), { maxLength: 40 }).map(join),
    fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
  );
  const steps = fc.array(fc.record({ size: fc.integer({ min: 1, max: 9 }), isPartAllowed: fc.boolean() }), {
    minLength: 1,
    maxLength: 8,
  });

  it('O11: the lines put together again are those of the whole', () => {
    fc.assert(
      fc.property(fc.oneof(utf8, anything), steps, (log, sizes) => {
        const whole = log.toString().split('\n');
        if (whole.at(-1) === '') whole.pop();
        expect(assemble(readLog(log, sizes).map(({ piece: found }) => found))).toEqual(whole);
      }),
      { numRuns: 1000 },
    );
  });

  it('O11: no part ends within a character of UTF-8', () => {
    fc.assert(
      fc.property(utf8, steps, (log, sizes) => {
        for (const { start, piece: found } of readLog(log, sizes)) {
          const bytes = log.subarray(start, start + found.bytes);
          expect(Buffer.from(bytes.toString())).toEqual(bytes);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('a piece of four bytes or more always gets ahead where parts are allowed', () => {
    fc.assert(
      fc.property(
        anything.filter((log) => log.length >= 4),
        (log) => {
          expect(cutPiece(log, { isEnd: false, isPartAllowed: true })?.bytes).toBeGreaterThan(0);
        },
      ),
    );
  });
});
