import {
  appendFileSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LIMITS } from '@outrigger/protocol';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Log } from '../process/log.js';
import { currentRedactor } from '../redaction.js';
import { LogReader, type Stretch } from './log-reader.js';
import { TURN_BYTES } from './turns.js';

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

type Sent = Exclude<Stretch, { kind: 'nothing_yet' }>;

/** Everything there is for now. No single look may take more than a turn. */
function readAll(reader: LogReader): Sent[] {
  const all: Sent[] = [];
  for (let next = reader.next(); next !== null; next = reader.next()) {
    if (next.kind === 'nothing_yet') expect(next.lookedAtBytes).toBeLessThanOrEqual(TURN_BYTES);
    else all.push(next);
  }
  return all;
}

/** The text of what was read, its parts put together. */
const textOf = (stretches: Sent[]) =>
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
      { kind: 'gap', start: 7, end, reason: 'line_too_long' },
      { kind: 'lines', start: end, end: end + 6, lines: ['after'], ends: [end + 6], continues: false },
    ]);
  });

  it('is told of when the log ends within it', () => {
    const reader = readerFrom();
    for (let mib = 1; mib <= 17; mib++) more();
    expect(readAll(reader)).toEqual([]);
    const end = log.fixEnd();
    expect(readAll(reader)).toEqual([{ kind: 'gap', start: 0, end, reason: 'line_too_long' }]);
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

describe('a log that was made longer than anybody can read', () => {
  const HUGE = 2 ** 40;

  it('is looked at a turn at a time, and is one gap once it has ended', () => {
    const reader = readerFrom();
    appendFileSync(path, 'before\n');
    truncateSync(path, HUGE);
    expect(reader.next()).toMatchObject({ kind: 'lines', lines: ['before'] });
    for (let turn = 1; turn <= 20; turn++) expect(reader.next()).toMatchObject({ kind: 'nothing_yet' });
    log.fixEnd();
    expect(readAll(reader)).toEqual([{ kind: 'gap', start: 7, end: HUGE, reason: 'line_too_long' }]);
    expect(reader.position).toBe(HUGE);
  });
});

describe('a log that its run has cut', () => {
  const seen = (text: string) => {
    const reader = readerFrom();
    appendFileSync(path, text);
    expect(textOf(readAll(reader))).toBe(text);
    truncateSync(path, 0);
    expect(readAll(reader)).toEqual([]);
    return reader;
  };

  it('goes on, behind a gap, with the first whole line behind its old end', () => {
    const reader = seen('one\ntwo\n');
    appendFileSync(path, 'three\n');
    expect(readAll(reader)).toEqual([]);
    appendFileSync(path, 'four\nfive\n');
    expect(readAll(reader)).toEqual([
      { kind: 'gap', start: 8, end: 11, reason: 'removed' },
      { kind: 'lines', start: 11, end: 16, lines: ['five'], ends: [16], continues: false },
    ]);
  });

  it('loses no line that begins at its old end', () => {
    const reader = seen('one\ntwo\n');
    appendFileSync(path, 'twelve\n\nfive\n');
    expect(readAll(reader)).toMatchObject([
      { kind: 'gap', start: 8, end: 8, reason: 'removed' },
      { kind: 'lines', start: 8, lines: ['five'] },
    ]);
    appendFileSync(path, 'six\n');
    expect(textOf(readAll(reader))).toBe('six\n');
  });

  it('has a gap though it ends before it was as long again', () => {
    const reader = seen('one\ntwo\n');
    appendFileSync(path, 'new\n');
    log.fixEnd();
    expect(readAll(reader)).toEqual([{ kind: 'gap', start: 8, end: 8, reason: 'removed' }]);
  });

  it('is the same for every reader, whenever it came', () => {
    seen('one\ntwo\n');
    const text = 'three\nfour\nfive\n';
    appendFileSync(path, text);
    for (let from = 0; from < 8; from++) {
      expect(readAll(readerFrom(from))).toMatchObject([
        { kind: 'gap', start: from, end: 11, reason: 'removed' },
        { kind: 'lines', lines: ['five'] },
      ]);
    }
    expect(textOf(readAll(readerFrom(11)))).toBe('five\n');
  });

  it('in the midst of a long line is a gap from where the line was cut off', () => {
    const reader = readerFrom();
    appendFileSync(path, `${'x'.repeat(300_000)}\n`);
    const part = reader.next();
    expect(part).toMatchObject({ kind: 'lines', continues: true });
    truncateSync(path, 10);
    expect(readAll(reader)).toEqual([]);
    appendFileSync(path, `${'y'.repeat(300_000)}\nafter\n`);
    expect(readAll(reader)).toMatchObject([
      { kind: 'gap', start: part?.kind === 'lines' ? part.end : 0, end: 300_011, reason: 'removed' },
      { kind: 'lines', lines: ['after'] },
    ]);
  });

  it.each([0, 5, 200_000])('to %i bytes after its end was fixed has a gap up to there', (left) => {
    const reader = readerFrom();
    const text = `one\n${'x'.repeat(300_000)}\n`;
    appendFileSync(path, text);
    expect(reader.next()).toMatchObject({ lines: ['one'] });
    const end = log.fixEnd();
    truncateSync(path, left);
    expect(readAll(reader)).toEqual([{ kind: 'gap', start: 4, end, reason: 'removed' }]);
  });
});

describe('a log that its run has taken away', () => {
  beforeEach(() => appendFileSync(path, 'ours\n'));
  const remove = () => rmSync(path);
  const ways: [string, () => void][] = [
    ['removed', remove],
    [
      'replaced by a folder',
      () => {
        remove();
        mkdirSync(path);
      },
    ],
    [
      'replaced by a link',
      () => {
        remove();
        symlinkSync('/etc/passwd', path);
      },
    ],
    [
      'replaced by another file',
      () => {
        writeFileSync(join(folder, 'other'), 'foreign\n');
        renameSync(join(folder, 'other'), path);
      },
    ],
    ['removed with its folder', () => rmSync(folder, { recursive: true })],
  ];
  afterEach(() => mkdirSync(folder, { recursive: true }));

  it.each(ways)('and %s is still read by those who had it open', (_way, takeAway) => {
    const reader = readerFrom();
    takeAway();
    expect(textOf(readAll(reader))).toBe('ours\n');
  });

  it.each(ways)('and %s is a gap for those who come later', (_way, takeAway) => {
    log.open();
    log.fixEnd();
    log.release();
    takeAway();
    const reader = readerFrom();
    expect(readAll(reader)).toEqual([{ kind: 'gap', start: 0, end: 5, reason: 'removed' }]);
    reader.close();
  });

  it('and replaced by another file is still ours for those who had it open', () => {
    const reader = readerFrom();
    const writer = openSync(path, 'a');
    writeFileSync(join(folder, 'other'), 'foreign\n');
    renameSync(join(folder, 'other'), path);
    writeSync(writer, 'more\n');
    closeSync(writer);
    expect(textOf(readAll(reader))).toBe('ours\nmore\n');
    expect(textOf(readAll(readerFrom()))).toBe('ours\nmore\n');
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
      log = new Log(join(folder, `log-${shift}`));
      writeFileSync(log.path, `${before}${SECRET}${'y'.repeat(1000)}\n`);
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
