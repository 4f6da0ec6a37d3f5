import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { type JournalRecord } from '../core/journal-state.js';
import { accepted, HEADER } from '../testing/journal-records.js';
import { aJournalError, newJournalPath, openJournal, recordsIn } from '../testing/journals.js';
import { Journal } from './journal.js';

it('a journal begins with its header, and is read again with all that was appended', () => {
  const path = newJournalPath();
  const { journal, content } = openJournal(path);
  expect(content).toMatchObject({ records: [HEADER], tornLines: 0 });
  journal.append(accepted('a'));
  expect(openJournal(path).content.records).toEqual([HEADER, accepted('a')]);
});

it('a journal that is there keeps its header', () => {
  const path = newJournalPath();
  openJournal(path);
  const { journal, content } = Journal.open(path, { ...HEADER, journalId: 'another' });
  void journal.close();
  expect(content.records).toEqual([HEADER]);
});

it('a journal is nobody else’s to read, made anew as well', () => {
  const path = newJournalPath();
  const { journal } = openJournal(path);
  const mode = () => statSync(path).mode & 0o777;
  expect(mode()).toBe(0o600);
  journal.rewrite([HEADER]);
  expect(mode()).toBe(0o600);
});

it('a prompt of 8 MiB is taken, whatever the length of its characters', () => {
  const path = newJournalPath();
  const record = accepted('a', 'é€😀'.repeat(932_100));
  openJournal(path).journal.append(record);
  expect(statSync(path).size).toBeGreaterThan(8 * 1024 * 1024);
  expect(recordsIn(path)).toEqual([HEADER, record]);
});

it('a journal whose last record is torn anywhere goes on behind the one before (R16)', () => {
  const path = newJournalPath();
  const { journal } = openJournal(path);
  journal.append(accepted('a', 'é€😀'));
  const before = journal.bytes;
  journal.append(accepted('b', 'é€😀'));
  const whole = readFileSync(path);
  for (let cut = before + 1; cut < whole.length; cut++) {
    writeFileSync(path, whole.subarray(0, cut));
    const torn = Journal.open(path, HEADER);
    torn.journal.append(accepted('c'));
    void torn.journal.close();
    expect(torn.content).toMatchObject({ records: [HEADER, accepted('a', 'é€😀')], tornLines: 1 });
    expect(recordsIn(path)).toEqual([HEADER, accepted('a', 'é€😀'), accepted('c')]);
  }
});

const encoded = (...records: JournalRecord[]) => {
  const path = newJournalPath();
  openJournal(path).journal.rewrite(records);
  return readFileSync(path);
};

it.each([
  ['is none', () => Buffer.from('something else\n'), 'unreadable'],
  ['is torn in its header', () => encoded(HEADER).subarray(0, 40), 'unreadable'],
  ['does not begin with one', () => encoded(accepted('a')), 'unreadable'],
  ['is of another version', () => encoded({ ...HEADER, version: 2 as 1 }, accepted('a')), 'other_version'],
] as const)('a journal that %s is said to be, and left as it is', (_what, content, code) => {
  const path = newJournalPath();
  writeFileSync(path, content());
  expect(() => openJournal(path)).toThrow(aJournalError(code));
  expect(readFileSync(path)).toEqual(content());
});

it('an empty file is begun like none: a header is never half there', () => {
  const path = newJournalPath();
  writeFileSync(path, '');
  expect(openJournal(path).content.records).toEqual([HEADER]);
});

it('a journal that cannot be begun says so', () => {
  const path = newJournalPath();
  rmSync(path, { force: true });
  expect(() => openJournal(`${path}/nowhere`)).toThrow(aJournalError('unwritable'));
});
