import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CutOptions, cutPiece, type Piece } from './lines.js';
import { createRedactor, REDACTED } from './redact.js';

const redactorFor = (...secrets: string[]) => createRedactor(secrets, (bytes) => Buffer.from(bytes).toString('base64'));
const NO_SECRETS = redactorFor();

const piece = (bytes: Buffer | string, options: Partial<CutOptions> = {}) =>
  cutPiece(Buffer.from(bytes), {
    before: 0,
    isEnd: false,
    isPartAllowed: false,
    redactor: NO_SECRETS,
    ...options,
  });

describe('a piece', () => {
  it('is every whole line there is', () => {
    expect(piece('one\ntwo\nthr')).toEqual({ bytes: 8, lines: ['one', 'two'], ends: [4, 8], continues: false });
    expect(piece('\n')).toEqual({ bytes: 1, lines: [''], ends: [1], continues: false });
    expect(piece('\n\n\n')).toEqual({ bytes: 3, lines: ['', '', ''], ends: [1, 2, 3], continues: false });
  });

  it('keeps a carriage return, which is part of the line', () => {
    expect(piece('one\r\ntwo\r\n')).toEqual({
      bytes: 10,
      lines: ['one\r', 'two\r'],
      ends: [5, 10],
      continues: false,
    });
  });

  it('waits for the end of a line that may be too long', () => {
    expect(piece('one')).toBeNull();
  });

  it('is part of a line that is known to end', () => {
    expect(piece('one', { isPartAllowed: true })).toEqual({ bytes: 3, lines: ['one'], ends: [3], continues: true });
  });

  it('is whole lines even where a part would be allowed', () => {
    expect(piece('one\ntwo', { isPartAllowed: true })).toEqual({
      bytes: 4,
      lines: ['one'],
      ends: [4],
      continues: false,
    });
  });

  it('at the end of the log is all of it, with or without a last line end', () => {
    expect(piece('one\ntwo', { isEnd: true })).toEqual({
      bytes: 7,
      lines: ['one', 'two'],
      ends: [4, 7],
      continues: false,
    });
    expect(piece('one\ntwo\n', { isEnd: true })).toMatchObject({ bytes: 8, lines: ['one', 'two'], ends: [4, 8] });
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
        expect(cut).toEqual({ bytes: 1, lines: ['a'], ends: [1], continues: true });
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

const SECRET = 'sk-ant-0123456789';

describe('a piece with a secret', () => {
  const redactor = redactorFor(SECRET);

  it('T6: has something else in its place, and ends where the log has them', () => {
    expect(piece(`a ${SECRET}\n${SECRET}${SECRET}\nb\n`, { redactor })).toEqual({
      bytes: 57,
      lines: ['a [redacted]', '[redacted]', 'b'],
      ends: [20, 55, 57],
      continues: false,
    });
  });

  it('T6: that is a part ends before a secret it would cut, or may cut', () => {
    const long = `${'x'.repeat(500)}${SECRET}`;
    const cut = (text: string) => piece(text, { redactor, isPartAllowed: true });
    expect(cut(`${long}${'y'.repeat(redactor.reachBytes - 7)}`)).toMatchObject({
      bytes: 500,
      lines: ['x'.repeat(500)],
      ends: [500],
      continues: true,
    });
    // A secret that stands behind the place is left for the next part as a whole.
    expect(cut(`${long}yy`)?.bytes).toBe(519 - redactor.reachBytes);
    const behind = cut(`${long}${'y'.repeat(500)}`);
    expect(behind?.lines).toEqual([`${'x'.repeat(500)}[redacted]${'y'.repeat(500 - redactor.reachBytes)}`]);
    expect(cut('x'.repeat(500))?.bytes).toBe(500 - redactor.reachBytes);
    expect(cut('x'.repeat(redactor.reachBytes))).toBeNull();
  });

  it('T6: that reaches over all a part can have is cut, and the next part goes on hiding it', () => {
    const all = redactorFor('aaaaaaaaaa');
    const line = 'a'.repeat(500);
    const first = piece(line, { redactor: all, isPartAllowed: true });
    expect(first).toMatchObject({ lines: ['[redacted]'], continues: true, bytes: 500 - all.reachBytes });
    const rest = line.slice(500 - 2 * all.reachBytes);
    expect(piece(`${rest}b\n`, { redactor: all, before: all.reachBytes })).toEqual({
      bytes: all.reachBytes + 2,
      lines: ['[redacted]b'],
      ends: [all.reachBytes + 2],
      continues: false,
    });
  });

  it('T6: that begins within a secret does not tell the rest of it', () => {
    for (let before = 1; before < SECRET.length; before++) {
      expect(piece(`${SECRET} b\n`, { redactor, before })).toMatchObject({
        bytes: SECRET.length + 3 - before,
        lines: ['[redacted] b'],
      });
    }
    expect(piece(`${SECRET} b\n`, { redactor, before: SECRET.length })).toMatchObject({ lines: [' b'] });
  });

  it('T6: that the log ends in the middle of does not tell its beginning', () => {
    expect(piece(`a ${SECRET.slice(0, -1)}`, { redactor, isEnd: true })).toMatchObject({ lines: ['a [redacted]'] });
    expect(piece(`a ${SECRET.slice(0, -1)}\nb`, { redactor, isEnd: true })?.lines).toEqual([
      `a ${SECRET.slice(0, -1)}`,
      'b',
    ]);
  });

  describe('that goes over line ends', () => {
    const long = `${SECRET}abcdefghijklmnopq`;
    const wrapped = redactorFor(long);
    const [first = '', second = ''] = [0, 32].map((at) =>
      Buffer.from(long)
        .toString('hex')
        .slice(at, at + 32),
    );
    const third = Buffer.from(long).toString('hex').slice(64);

    it('T6: is hidden in each line, and lines stay lines', () => {
      const log = `a\nb ${first}\n${second}\n${third} c\nd\n`;
      expect(piece(log, { redactor: wrapped })).toMatchObject({
        bytes: log.length,
        lines: ['a', 'b [redacted]', '[redacted]', '[redacted] c', 'd'],
      });
    });

    it('T6: holds its lines back until it can be told', () => {
      expect(piece(`a\n${first}\n`, { redactor: wrapped })).toMatchObject({ lines: ['a'], continues: false });
      expect(piece(`a\n${first}\r\n${second}\r\n${third.slice(0, 2)}`, { redactor: wrapped })?.lines).toEqual(['a']);
      for (const end of ['\n', '\r\n', `\n${second}`, `\r\n${second}\r`]) {
        expect(piece(`${first}${end}`, { redactor: wrapped })).toBeNull();
      }
      expect(piece(`${first}\n${second}\n${third}`, { redactor: wrapped })).toMatchObject({
        lines: ['[redacted]', '[redacted]'],
        continues: false,
      });
      expect(piece(`${first}\n${second}\nb`, { redactor: wrapped })).toMatchObject({ lines: [first, second] });
    });

    it('sends what stands before it in its line', () => {
      const before = piece(`b ${first}\n`, { redactor: wrapped });
      expect(before).toEqual({ bytes: 2, lines: ['b '], ends: [2], continues: true });
      expect(piece(`b ${first}\n`, { redactor: wrapped, before: 2 })).toBeNull();
      expect(piece(`b ${first}\n${second}\n${third}\n`, { redactor: wrapped, before: 2 })).toMatchObject({
        lines: ['[redacted]', '[redacted]', '[redacted]'],
        continues: false,
      });
    });

    it('T6: is hidden where the log ends within it', () => {
      const options = { redactor: wrapped, isEnd: true };
      expect(piece(`a\n${first}\n`, options)?.lines).toEqual(['a', '[redacted]']);
      expect(piece(`a\n${first}\n${second}\n${third.slice(0, 2)}`, options)?.lines).toEqual([
        'a',
        '[redacted]',
        '[redacted]',
        '[redacted]',
      ]);
    });

    it('T6: is hidden from where a reader begins, be it at a line end', () => {
      const log = `${first}\r\n${second}\n${third}\n`;
      for (let before = 1; before < first.length; before++) {
        expect(piece(log, { redactor: wrapped, before })?.lines).toEqual(['[redacted]', '[redacted]', '[redacted]']);
      }
      expect(piece(log, { redactor: wrapped, before: first.length + 1 })?.lines).toEqual([
        '',
        '[redacted]',
        '[redacted]',
      ]);
      expect(piece(log, { redactor: wrapped, before: first.length + 2 })?.lines).toEqual(['[redacted]', '[redacted]']);
    });
  });

  it('sends nothing a second time', () => {
    expect(piece('one\ntwo\n', { before: 4 })).toEqual({ bytes: 4, lines: ['two'], ends: [4], continues: false });
    expect(piece('one\n', { before: 4 })).toBeNull();
    expect(piece('one\n', { before: 4, isEnd: true, isPartAllowed: true })).toBeNull();
    expect(piece('one\nt', { before: 4 })).toBeNull();
    expect(piece('one\nt', { before: 4, isPartAllowed: true })).toMatchObject({ bytes: 1, lines: ['t'], ends: [1] });
  });
});

/** Reads a log as a reader does: as many bytes at a time as it is given, more where that is too few to tell. */
function readLog(
  log: Buffer,
  steps: { size: number; isPartAllowed: boolean }[],
  redactor = NO_SECRETS,
): { start: number; piece: Piece }[] {
  const pieces: { start: number; piece: Piece }[] = [];
  let position = 0;
  let size = 0;
  for (let turn = 0; position < log.length; turn++) {
    const { size: more, isPartAllowed } = steps[turn % steps.length] ?? { size: 1, isPartAllowed: true };
    size += more;
    const before = Math.min(redactor.reachBytes, position);
    const bytes = log.subarray(position - before, position + size);
    const isEnd = position - before + bytes.length === log.length;
    const found = cutPiece(bytes, { before, isEnd, isPartAllowed, redactor });
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
          expect(piece(log, { isPartAllowed: true })?.bytes).toBeGreaterThan(0);
        },
      ),
    );
  });

  it('the end of each entry is behind its line end, or where the piece ends', () => {
    fc.assert(
      fc.property(anything, steps, (log, sizes) => {
        for (const { start, piece: found } of readLog(log, sizes)) {
          expect(found.ends).toHaveLength(found.lines.length);
          expect(found.ends.at(-1)).toBe(found.bytes);
          for (const end of found.ends.slice(0, -1)) expect(log[start + end - 1]).toBe(0x0a);
          const newlines = log.subarray(start, start + found.bytes).filter((byte) => byte === 0x0a).length;
          expect(found.lines.length - newlines).toBe(log[start + found.bytes - 1] === 0x0a ? 0 : 1);
        }
      }),
    );
  });

  it('T6: no form of a secret is in what is sent, everything else is unchanged, wherever it is cut', () => {
    const secret = 'p"ss+w\\rd/?>~';
    const redactor = redactorFor(secret, SECRET);
    const base64 = (value: string) => Buffer.from(value).toString('base64');
    const hidden = fc.constantFrom(
      ...[secret, SECRET].flatMap((value) => [
        value,
        JSON.stringify(value).slice(1, -1),
        encodeURIComponent(value),
        ...['', 'u:', 'user:'].map((user) => base64(`${user}${value}`)),
        Buffer.from(`ab:${value}`).toString('base64url'),
      ]),
    );
    const plain = fc.constantFrom('a', '.', 'é', '😀', '\n', ' ', '=', 'sk-ant-', secret.slice(0, 7));
    const big = fc.array(fc.record({ size: fc.integer({ min: 1, max: 200 }), isPartAllowed: fc.boolean() }), {
      minLength: 1,
      maxLength: 8,
    });
    fc.assert(
      fc.property(fc.array(fc.oneof(plain, hidden), { maxLength: 40 }), big, (parts, sizes) => {
        const log = Buffer.from(parts.join(''));
        const sent = assemble(readLog(log, sizes, redactor).map(({ piece: found }) => found)).join('\n');
        expect(redactor.find(Buffer.from(sent))).toEqual([]);
        // A secret that fills a whole piece is replaced in each of them.
        const whole = redactor.redact(log.toString(), { isCut: true });
        expect(sent.replaceAll(/(\[redacted\])+/g, REDACTED)).toBe(whole.replace(/\n$/, ''));
      }),
      { numRuns: 2000 },
    );
  });
});

it('T6: a text in base64 that is broken over lines tells no secret, whatever pieces it is read in', () => {
  const secret = 'sk-ant-oat01-AbC_dEf-0123456789-xYz-AbC_dEf-0123456789-xYz-AbC_dEf-0123456789-xYz';
  const redactor = redactorFor(secret);
  const around = fc.string({ unit: fc.constantFrom('a', ' ', '=', '\n', 'é'), maxLength: 200 });
  const steps = fc.array(fc.record({ size: fc.integer({ min: 1, max: 400 }), isPartAllowed: fc.boolean() }), {
    minLength: 1,
    maxLength: 5,
  });
  const encodings = fc.constantFrom<BufferEncoding>('base64', 'base64url', 'hex');
  fc.assert(
    fc.property(
      fc.record({
        before: around,
        behind: around,
        width: fc.constantFrom(60, 64, 76),
        lineEnd: fc.constantFrom('\n', '\r\n'),
      }),
      encodings,
      steps,
      ({ before, behind, width, lineEnd }, encoding, sizes) => {
        const encoded = Buffer.from(`${before}${secret}${behind}`).toString(encoding);
        const broken = (encoded.match(new RegExp(`.{1,${width}}`, 'g')) ?? []).join(lineEnd);
        const log = `first\n${broken}\nlast\n`;
        const lines = assemble(readLog(Buffer.from(log), sizes, redactor).map((read) => read.piece));
        expect(lines).toHaveLength(log.split('\n').length - 1);
        const said = lines.join('').replaceAll('\r', '');
        const known = Buffer.from(said.replace(/^first/, '').split(REDACTED, 1)[0] ?? '', encoding).toString('latin1');
        expect(known).not.toContain(secret.slice(0, 9));
        expect(said).toContain(REDACTED);
        // What stands around it is all still there.
        const start = Buffer.from(before).toString(encoding).replaceAll('=', '').slice(0, -1);
        expect(said.startsWith(`first${start}`)).toBe(true);
        expect(said.length).toBeLessThan(encoded.length - secret.length + 100);
      },
    ),
    { numRuns: 500 },
  );
});
