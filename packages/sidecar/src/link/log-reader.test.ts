import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LIMITS } from '@outrigger/protocol';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Log } from '../process/log.js';
import { currentRedactor } from '../redaction.js';
import { LogReader, type Stretch } from './log-reader.js';

const SECRET = 'sk-ant-oat01-0123456789-abcdef';

let folder: string;
let path: string;
let log: Log;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'outrigger-log-'));
  path = join(folder, 'log');
  writeFileSync(path, '');
  log = new Log(path);
});
afterEach(() => rmSync(folder, { recursive: true }));

const readerFrom = (position = 0, secrets = () => [SECRET]) =>
  new LogReader('stdout', log, { position, redactor: currentRedactor(secrets) });

/** Everything there is for now. */
function readAll(reader: LogReader): Stretch[] {
  const all: Stretch[] = [];
  for (let next = reader.next(); next !== null; next = reader.next()) all.push(next);
  return all;
}

/** The text of what was read, its parts put together. */
const textOf = (stretches: Stretch[]) =>
  stretches
    .map((stretch) => (stretch.kind === 'gap' ? '' : stretch.lines.join('\n') + (stretch.continues ? '' : '\n')))
    .join('');

describe('a line that is too long', () => {
  const more = () => appendFileSync(path, 'x'.repeat(1024 * 1024));

  it('is told of once its end is known, however often it is looked at before', () => {
    const reader = readerFrom();
    appendFileSync(path, 'before\n');
    expect(readAll(reader)).toMatchObject([{ kind: 'lines', lines: ['before'], ends: [7] }]);
    for (let mib = 1; mib <= 18; mib++) {
      more();
      expect(readAll(reader)).toEqual([]);
      expect(reader.position).toBe(7);
    }
    appendFileSync(path, 'x\nafter\n');
    const end = 7 + 18 * 1024 * 1024 + 2;
    expect(readAll(reader)).toEqual([
      { kind: 'gap', start: 7, end },
      { kind: 'lines', start: end, end: end + 6, lines: ['after'], ends: [end + 6], continues: false },
    ]);
  });

  it('is told of when the log ends within it', () => {
    const reader = readerFrom();
    for (let mib = 1; mib <= 17; mib++) more();
    expect(readAll(reader)).toEqual([]);
    const end = log.fixEnd();
    expect(readAll(reader)).toEqual([{ kind: 'gap', start: 0, end }]);
  });

  it.each([
    ['comes as a whole where it is just within the bound', 0, 'lines'],
    ['is a gap where it is one byte above', 1, 'gap'],
  ])('%s, its line end counted', (_what, excess, kind) => {
    const reader = readerFrom();
    appendFileSync(path, `${'x'.repeat(LIMITS.lineBytesMax - 1 + excess)}\n`);
    const all = readAll(reader);
    expect(new Set(all.map((stretch) => stretch.kind))).toEqual(new Set([kind]));
    expect(all.at(-1)?.end).toBe(LIMITS.lineBytesMax + excess);
  });
});

describe('a line of several parts', () => {
  it('waits for its end, then comes at once', () => {
    const reader = readerFrom();
    appendFileSync(path, 'x'.repeat(300_000));
    expect(readAll(reader)).toEqual([]);
    appendFileSync(path, '\n');
    const all = readAll(reader);
    expect(all.length).toBeGreaterThan(2);
    expect(textOf(all)).toBe(`${'x'.repeat(300_000)}\n`);
  });

  it('T6: never has a part that ends within a secret', () => {
    // Wherever the secret is, around the places where a frame is full.
    for (let shift = 0; shift < 2 * SECRET.length; shift++) {
      const before = 'x'.repeat(LIMITS.outputFrameBytes - shift);
      writeFileSync(path, `${before}${SECRET}${'y'.repeat(1000)}\n`);
      expect(textOf(readAll(readerFrom()))).toBe(`${before}[redacted]${'y'.repeat(1000)}\n`);
    }
  });
});

describe('a secret', () => {
  it('T6: is replaced though it was written in two pieces', () => {
    const reader = readerFrom();
    appendFileSync(path, `one\na ${SECRET.slice(0, 10)}`);
    const first = readAll(reader);
    appendFileSync(path, `${SECRET.slice(10)} b\n`);
    expect(textOf([...first, ...readAll(reader)])).toBe('one\na [redacted] b\n');
  });

  it('T6: is not told from within, wherever a reader begins', () => {
    const text = `one\na ${SECRET} b\n`;
    appendFileSync(path, text);
    const start = text.indexOf(SECRET);
    for (let from = start + 1; from < start + SECRET.length; from++) {
      expect(textOf(readAll(readerFrom(from)))).toBe('[redacted] b\n');
    }
    expect(textOf(readAll(readerFrom(start)))).toBe('[redacted] b\n');
    expect(textOf(readAll(readerFrom(start + SECRET.length)))).toBe(' b\n');
  });

  it('T6: that is new is replaced from then on', () => {
    let secrets = ['a-secret-from-before'];
    const reader = readerFrom(0, () => secrets);
    appendFileSync(path, `${SECRET}\n`);
    expect(textOf(readAll(reader))).toBe(`${SECRET}\n`);
    secrets = [SECRET];
    appendFileSync(path, `${SECRET}\n`);
    expect(textOf(readAll(reader))).toBe('[redacted]\n');
  });
});
