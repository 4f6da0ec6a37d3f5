import { fstatSync, statSync, writeFileSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { accepted, HEADER } from '../testing/journal-records.js';
import { aJournalError, openJournalOn, recordsIn } from '../testing/journals.js';
import { DISK } from './disk.js';

/** A journal that tells how much of it is on the disk for sure, and after how many syncs. */
function openCounting() {
  const on = { syncs: 0, bytes: 0 };
  const sync = async (fd: number) => {
    const { size } = fstatSync(fd);
    await DISK.sync(fd);
    on.syncs++;
    on.bytes = Math.max(on.bytes, size);
  };
  return { ...openJournalOn({ sync }), on };
}

it('many who commit at once wait for one sync', async () => {
  const { path, journal, on } = openCounting();
  const commits = Array.from({ length: 1000 }, (_, i) => {
    journal.append(accepted(`run-${i}`));
    return journal.commit();
  });
  await Promise.all(commits);
  expect(recordsIn(path)).toHaveLength(1001);
  // The first begins at once, and what comes meanwhile shares the next.
  expect(on).toEqual({ syncs: 2, bytes: journal.bytes });
});

it('what was committed is on the disk, however commits and syncs meet', async () => {
  const { journal, on } = openCounting();
  const commits: Promise<void>[] = [];
  for (let i = 0; i < 300; i++) {
    journal.append(accepted(`run-${i}`));
    const { bytes } = journal;
    commits.push(journal.commit().then(() => expect(on.bytes).toBeGreaterThanOrEqual(bytes)));
    if (i % 7 === 0) await turn();
  }
  await Promise.all(commits);
});

it('nothing is synced for nothing', async () => {
  const { journal, on } = openCounting();
  await journal.commit();
  journal.append(accepted('a'));
  await journal.commit();
  await journal.commit();
  expect(on.syncs).toBe(1);
});

it('a sync that fails fails all who waited for it, and who commits then gets another file', async () => {
  let isBroken = false;
  let files = 0;
  const { path, journal } = openJournalOn({
    sync: (fd) => (isBroken ? Promise.reject(new Error('EIO: i/o error, fdatasync')) : DISK.sync(fd)),
    syncNow: (fd) => {
      if (isBroken) throw new Error('EIO: i/o error, fsync');
      DISK.syncNow(fd);
    },
    rename: (from, to) => {
      DISK.rename(from, to);
      files++;
    },
  });
  const commit = (id: string) => {
    journal.append(accepted(id));
    return journal.commit();
  };
  isBroken = true;
  const results = await Promise.allSettled([commit('a'), commit('b'), commit('c')]);
  expect(results).toEqual(Array(3).fill({ status: 'rejected', reason: aJournalError('unwritable') }));
  expect(files).toBe(1);

  isBroken = false;
  await journal.commit();
  expect(files).toBe(2);
  expect(recordsIn(path)).toEqual([HEADER, ...['a', 'b', 'c'].map((id) => accepted(id))]);
  await commit('d');
  expect(recordsIn(path)).toHaveLength(5);
  expect(files).toBe(2);
});

it('a journal of which the kernel has lost what could not be synced is not taken for whole, until it is made anew', async () => {
  let isBroken = true;
  const { path, journal } = openJournalOn({
    sync: (fd) => (isBroken ? Promise.reject(new Error('EIO: i/o error, fdatasync')) : DISK.sync(fd)),
  });
  journal.append(accepted('a'));
  await expect(journal.commit()).rejects.toEqual(aJournalError('unwritable'));
  isBroken = false;
  writeFileSync(path, Buffer.alloc(journal.bytes));
  await expect(journal.commit()).rejects.toEqual(aJournalError('unwritable'));
  journal.rewrite([HEADER, accepted('a')]);
  await journal.commit();
  expect(recordsIn(path)).toEqual([HEADER, accepted('a')]);
});

it('who waits for a sync while the journal is made anew is served', async () => {
  let release = () => {};
  const isReleased = new Promise<void>((resolve) => (release = resolve));
  let syncedInode = 0;
  const sync = async (fd: number) => {
    await isReleased;
    syncedInode = fstatSync(fd).ino;
    throw new Error('EIO: i/o error, fdatasync');
  };
  const { path, journal } = openJournalOn({ sync });
  journal.append(accepted('a'));
  const committed = journal.commit();
  const { ino } = statSync(path);
  journal.rewrite([HEADER, accepted('a')]);
  release();
  await committed;
  // Never another file that has got the number of the one that was synced.
  expect(syncedInode).toBe(ino);
  expect(recordsIn(path)).toEqual([HEADER, accepted('a')]);
});

it('a record of which only half can be written is taken back, at the latest before the next one', () => {
  const failures: string[] = [];
  const failIfBroken = (step: string) => {
    if (!isBroken) return;
    failures.push(step);
    throw new Error(`EIO: i/o error, ${step}`);
  };
  let isBroken = false;
  const { path, journal } = openJournalOn({
    write: (fd, bytes) => {
      if (bytes.length < 100) failIfBroken('write');
      return DISK.write(fd, bytes.subarray(0, 100));
    },
    truncate: (fd, bytes) => {
      failIfBroken('truncate');
      DISK.truncate(fd, bytes);
    },
  });
  isBroken = true;
  expect(() => journal.append(accepted('a'))).toThrow(aJournalError('unwritable'));
  expect(failures).toEqual(['write', 'truncate']);
  isBroken = false;
  journal.append(accepted('b'));
  expect(recordsIn(path)).toEqual([HEADER, accepted('b')]);
});
