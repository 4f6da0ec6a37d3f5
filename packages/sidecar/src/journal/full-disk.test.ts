import { existsSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { type JournalRecord } from '../core/journal-state.js';
import { accepted, HEADER } from '../testing/journal-records.js';
import { aJournalError, openJournal, recordsIn } from '../testing/journals.js';
import { fillDisk, mountSmallDisk } from '../testing/small-disk.js';

it('a journal on a full disk is readable, and goes on once there is room (R15)', async (test) => {
  const disk = mountSmallDisk();
  if (disk.folder === null) return test.skip(disk.why);
  const [path, filler] = [join(disk.folder, 'journal'), join(disk.folder, 'filler')];
  const { journal } = openJournal(path);
  fillDisk(filler, 16_384);

  const kept: JournalRecord[] = [HEADER];
  const appendMany = () => {
    for (let i = 0; i < 1000; i++) {
      const record = accepted(`run-${i}`, 'é'.repeat(700));
      journal.append(record);
      kept.push(record);
    }
  };
  expect(appendMany).toThrow(aJournalError('unwritable'));
  expect(kept.length).toBeGreaterThan(5);
  expect(statSync(path).size).toBe(journal.bytes);
  await journal.commit();
  expect(recordsIn(path)).toEqual(kept);

  expect(() => journal.rewrite(kept)).toThrow(aJournalError('unwritable'));
  expect(existsSync(`${path}.new`)).toBe(false);
  expect(recordsIn(path)).toEqual(kept);

  rmSync(filler);
  journal.append(accepted('again'));
  await journal.commit();
  expect(recordsIn(path)).toEqual([...kept, accepted('again')]);
  journal.rewrite([HEADER]);
  expect(recordsIn(path)).toEqual([HEADER]);
});
