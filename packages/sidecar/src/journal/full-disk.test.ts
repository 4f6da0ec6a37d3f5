import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  rmdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { type JournalRecord } from '../core/journal-state.js';
import { accepted, HEADER } from '../testing/journal-records.js';
import { aJournalError, openJournal, recordsIn } from '../testing/journals.js';

/** A disk with room for very little; null and why where this machine does not let one make it. */
function mountSmallDisk(): { folder: string } | { folder: null; why: string } {
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-disk-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', folder], { encoding: 'utf8' });
  onTestFinished(() => {
    if (mounted.status === 0) spawnSync('umount', ['--lazy', folder]);
    rmdirSync(folder);
  });
  return mounted.status === 0
    ? { folder }
    : { folder: null, why: `cannot mount a small disk: ${mounted.stderr.trim()}` };
}

/** Takes all the room there is, but for so many bytes. */
function fill(path: string, leaveBytes: number): void {
  const file = openSync(path, 'w');
  const block = Buffer.alloc(4096);
  try {
    for (;;) writeSync(file, block);
  } catch (error) {
    expect(error).toMatchObject({ code: 'ENOSPC' });
  } finally {
    closeSync(file);
  }
  const { size } = statSync(path);
  truncateSync(path, size - leaveBytes);
}

it('a journal on a full disk is readable, and goes on once there is room (R15)', async (test) => {
  const disk = mountSmallDisk();
  if (disk.folder === null) return test.skip(disk.why);
  const [path, filler] = [join(disk.folder, 'journal'), join(disk.folder, 'filler')];
  const { journal } = openJournal(path);
  fill(filler, 16_384);

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
