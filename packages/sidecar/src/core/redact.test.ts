import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRedactor, REDACTED, replaceStretches } from './redact.js';

const toBase64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
const redactorFor = (...secrets: string[]) => createRedactor(secrets, toBase64);
const redact = (secret: string, text: string) => redactorFor(secret).redact(text);

const PLAIN = 'sk-ant-oat01-0123456789';
const ODD = 'p"ss\\w+rd/?>~é!';

describe('a redactor', () => {
  it.each([
    ['as it is', (secret: string) => secret],
    ['escaped for JSON', (secret: string) => JSON.stringify(secret).slice(1, -1)],
    ['escaped for JSON within JSON', (secret: string) => JSON.stringify(JSON.stringify(secret)).slice(3, -3)],
    ['encoded for a URL', (secret: string) => encodeURIComponent(secret)],
    [
      'encoded for a URL in small letters',
      (secret: string) => encodeURIComponent(secret).replaceAll(/%../g, (e) => e.toLowerCase()),
    ],
    ['encoded for a URL to the letter', (secret: string) => encodeURIComponent(secret).replaceAll('!', '%21')],
  ])('T6: replaces a secret %s', (_form, encode) => {
    for (const secret of [PLAIN, ODD]) {
      expect(redact(secret, `<${encode(secret)}> and ${encode(secret)}`)).toBe('<[redacted]> and [redacted]');
    }
  });

  it.each(['', 'u', 'ab', 'user:', 'x-access-token:'])(
    'T6: replaces it in base64 behind %j, and in what follows',
    (before) => {
      for (const secret of [PLAIN, ODD]) {
        for (const behind of ['', '\n', '!!']) {
          const bytes = Buffer.from(`${before}${secret}${behind}`);
          for (const text of [
            bytes.toString('base64'),
            bytes.toString('base64url'),
            encodeURIComponent(bytes.toString('base64')),
          ]) {
            const redacted = redact(secret, `Basic ${text}.`);
            expect(redacted).toContain(REDACTED);
            const [left = '', right = ''] = redacted.slice('Basic '.length, -1).split(REDACTED);
            // What is left encodes what stands around the secret, and at most the few bits next to it.
            expect(left.length).toBeLessThanOrEqual(Math.ceil((before.length * 4) / 3));
            expect(decodeURIComponent(right).replaceAll('=', '').length).toBeLessThanOrEqual(
              Math.ceil((behind.length * 4) / 3) + 1,
            );
          }
        }
      }
    },
  );

  describe.each<[string, BufferEncoding]>([
    ['base64', 'base64'],
    ['base64 for a URL', 'base64url'],
    ['hex', 'hex'],
  ])('T6: replaces it in %s that is broken over lines', (_what, encoding) => {
    const long = `${PLAIN}-${ODD}-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVWXYZ`;
    const encode = (text: string) => Buffer.from(text).toString(encoding).replaceAll('=', '');
    const inLines = (text: string, width: number, lineEnd: string) =>
      (text.match(new RegExp(`.{1,${width}}`, 'g')) ?? []).join(lineEnd);

    it.each([
      ['a line end', '\n'],
      ['two characters', '\r\n'],
      ['one in JSON', '\\n'],
      ['two in JSON', '\\r\\n'],
      ['one in JSON in JSON', '\\\\n'],
      ['one in JSON three times over', '\\\\\\\\n'],
      ['an indentation', '\n  \t'],
    ])('by %s', (_end, lineEnd) => {
      for (const width of [32, 60, 64, 76]) {
        for (let before = 0; before < width; before++) {
          const whole = encode(`${'x'.repeat(before)}${long}behind`);
          const text = `x: ${inLines(whole, width, lineEnd)}`;
          const [left = '', right = '', ...others] = redactorFor(long).redact(text).split(REDACTED);
          const [shownLeft, shownRight] = [left.slice('x: '.length), right].map((shown) =>
            shown.replaceAll(lineEnd, ''),
          );
          expect(others).toEqual([]);
          expect(whole.startsWith(shownLeft ?? '-') && whole.endsWith(shownRight ?? '-')).toBe(true);
          // What is left encodes what stands around the secret, and at most the few bits next to it.
          expect(shownLeft?.length).toBeLessThanOrEqual(encode('x'.repeat(before)).length);
          expect(shownRight?.length).toBeLessThanOrEqual(encode('behind').length + 1);
        }
      }
    });
  });

  it('T6: says from where on bytes may be the beginning of a secret that goes over a line end', () => {
    const hex = Buffer.from(PLAIN).toString('hex');
    const redactor = redactorFor(PLAIN);
    const text = (length: number, end = '\n') => Buffer.from(`é ${hex.slice(0, length)}${end}`);
    expect(redactor.openFrom(text(40))).toBe(3);
    expect(redactor.openFrom(text(32))).toBe(3);
    for (const whole of [text(31), text(40, ' '), text(40, '\n!'), text(hex.length), Buffer.from('')]) {
      expect(redactor.openFrom(whole)).toBe(whole.length);
    }
    expect(redactor.openFrom(Buffer.concat([Buffer.alloc(1000, 'x\n'), text(40)]))).toBe(1003);
    for (const end of ['\n', '\n \t', '\r', '\r\n', '\\', '\\r', '\\r\\', '\\\\r\\\\n', '\\\\']) {
      expect(redactor.openFrom(text(40, end))).toBe(3);
      expect(redactor.find(text(40, end), { isCut: true })).toEqual([{ start: 3, end: 43 }]);
    }
    expect(redactor.find(text(40))).toEqual([]);
    expect(redactor.redact(`${hex.slice(0, 32)}\n${hex.slice(32, 34)}`, { isCut: true })).toBe(REDACTED);
    expect(redactorFor().openFrom(text(40))).toBe(text(40).length);
  });

  it('tells apart secrets that end and begin at a line end', () => {
    const hex = Buffer.from(PLAIN).toString('hex');
    expect(redact(PLAIN, `${hex}\n${hex}`)).toBe('[redacted]\n[redacted]');
  });

  it('takes the ends of short lines for what they are', () => {
    const hex = Buffer.from(PLAIN).toString('hex');
    const text = hex.replaceAll(/.{31}/g, '$&\n');
    expect(redact(PLAIN, text)).toBe(text);
    const parted = `${hex.slice(0, 32)}\n\n${hex.slice(32)}`;
    expect(redact(PLAIN, parted)).toBe(parted);
  });

  it('replaces nothing but secrets', () => {
    const text = `${PLAIN.slice(0, -1)} ${PLAIN.slice(1)} ${PLAIN.toUpperCase()}`;
    expect(redact(PLAIN, text)).toBe(text);
    expect(redactorFor().redact(text)).toBe(text);
    expect(redactorFor().find(Buffer.from(text))).toEqual([]);
    expect(redactorFor().reachBytes).toBe(0);
  });

  it('passes over a secret that is too short to be told from other text', () => {
    expect(redact('1234567', '1234567')).toBe('1234567');
    expect(redactorFor('1234567').reachBytes).toBe(0);
    expect(redact('12345678', '12345678')).toBe(REDACTED);
  });

  it('takes the beginning of a very long one for all of it', () => {
    const long = Array.from({ length: 1500 }, (_, n) => n + 1000).join('');
    const redactor = redactorFor(long);
    expect(redactor.redact(long)).toBe(`${REDACTED}${long.slice(4096)}`);
    expect(redactor.reachBytes).toBeLessThan(20_000);
    expect(redactorFor(`${'a'.repeat(4095)}😀`).redact('b')).toBe('b');
  });

  it('knows how far its longest form reaches', () => {
    const redactor = redactorFor('12345678', 'abcdefghij');
    // 20 digits in hex, a line before them that shows that they are broken over lines, and as many breaks as fit in.
    expect(redactor.reachBytes).toBe(20 + 32 + 2 * 18 - 1);
    expect(redactorFor('"'.repeat(100)).reachBytes).toBe(4 * 100 - 1);
  });

  it('takes secrets that overlap or touch for one, and tells apart those that do not', () => {
    const redactor = redactorFor('abcdefgh', 'efghijkl');
    expect(redactor.redact('xabcdefghijkly')).toBe('x[redacted]y');
    expect(redactor.redact('abcdefghabcdefgh')).toBe(REDACTED);
    expect(redactor.redact('abcdefgh abcdefgh')).toBe('[redacted] [redacted]');
    expect(redactor.redact('efghijkl abcdefgh')).toBe('[redacted] [redacted]');
    expect(redactorFor('aaaaaaaa').redact('aaaaaaaaaab')).toBe('[redacted]b');
    // The shorter of two lies within the longer.
    expect(redactorFor('abcdefgh', 'xxabcdefghxx').redact('xxabcdefghxx.')).toBe('[redacted].');
  });

  it('says where in bytes a secret is, whatever stands before it', () => {
    expect(redactorFor(PLAIN).find(Buffer.from(`é${PLAIN}é${PLAIN}`))).toEqual([
      { start: 2, end: 2 + PLAIN.length },
      { start: 4 + PLAIN.length, end: 4 + 2 * PLAIN.length },
    ]);
  });

  it.each([8, 15, PLAIN.length - 1])(
    'T6: takes %i characters of a secret at the end of a text that was cut for it',
    (length) => {
      const text = `x ${PLAIN.slice(0, length)}`;
      const redactor = redactorFor(PLAIN);
      expect(redactor.redact(text, { isCut: true })).toBe('x [redacted]');
      expect(redactor.redact(text, { isCut: false })).toBe(text);
      expect(redactor.redact(text)).toBe(text);
      expect(redactor.redact(`${text} `, { isCut: true })).toBe(`${text} `);
      expect(redactor.find(Buffer.from(text), { isCut: true })).toEqual([{ start: 2, end: 2 + length }]);
      expect(redactor.redact(PLAIN.slice(0, length), { isCut: true })).toBe(REDACTED);
    },
  );

  it('leaves a few characters at the end of a text alone, as many texts end like that', () => {
    const text = PLAIN.slice(0, 7);
    expect(redactorFor(PLAIN).redact(text, { isCut: true })).toBe(text);
  });

  it('T6: leaves no form in any text, and everything else as it was', () => {
    const secret = fc.string({
      unit: fc.constantFrom('a', 'b', '"', '\\', '/', '+', '%', 'é', '😀'),
      minLength: 8,
      maxLength: 20,
    });
    const around = fc.string({ unit: fc.constantFrom('x', 'y', '\n', 'ü'), maxLength: 20 });
    fc.assert(
      fc.property(secret, around, around, fc.nat(4), (value, before, behind, form) => {
        const encoded = [
          value,
          JSON.stringify(value).slice(1, -1),
          encodeURIComponent(value),
          toBase64(Buffer.from(value)),
          Buffer.from(value).toString('base64url'),
        ][form];
        const redactor = redactorFor(value);
        const redacted = redactor.redact(`${before}${encoded}${behind}`);
        expect(redactor.redact(redacted)).toBe(redacted);
        expect(redacted.startsWith(`${before}${REDACTED}`)).toBe(true);
        expect(redacted.endsWith(behind)).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });
});

it('replaces stretches within a part of a text', () => {
  const text = '0123456789';
  const read = (start: number, end: number) => text.slice(start, end);
  expect(replaceStretches([], { start: 2, end: 5 }, read)).toBe('234');
  expect(replaceStretches([{ start: 3, end: 4 }], { start: 2, end: 6 }, read)).toBe('2[redacted]45');
  expect(
    replaceStretches(
      [
        { start: 2, end: 4 },
        { start: 5, end: 6 },
      ],
      { start: 2, end: 6 },
      read,
    ),
  ).toBe('[redacted]4[redacted]');
});
