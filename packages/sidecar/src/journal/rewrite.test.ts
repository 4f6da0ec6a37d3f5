import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { journalBytesMax } from '../core/journal-size.js';
import { accepted, HEADER } from '../testing/journal-records.js';
import { aJournalError, newJournalPath, openJournal, openJournalOn, recordsIn } from '../testing/journals.js';
import { DISK } from './disk.js';

const CHILD = fileURLToPath(new URL('../testing/rewrite.child.ts', import.meta.url));
const OLD = [HEADER, accepted('a', 'old')];
const NEW = [HEADER, accepted('b', 'new')];

function openFilesOf(path: string): number {
  const target = (fd: string) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return '';
    }
  };
  return readdirSync('/proc/self/fd').filter((fd) => target(fd).startsWith(dirname(path))).length;
}

it('who is killed at any step of making a journal anew leaves the old one or the new one', () => {
  const seen: unknown[] = [];
  const source = newJournalPath();
  openJournal(source).journal.rewrite(NEW);
  for (let steps = 0, isDone = false; !isDone; steps++) {
    const path = newJournalPath();
    openJournal(path).journal.append(accepted('a', 'old'));
    const child = spawnSync(process.execPath, ['--import', 'tsx', CHILD, path, source, String(steps)], {
      encoding: 'utf8',
    });
    isDone = child.stdout === 'rewritten';
    expect([isDone, child.signal]).toEqual(isDone ? [true, null] : [false, 'SIGKILL']);
    const records = recordsIn(path);
    seen.push(records);
    // And it goes on with it.
    const { journal } = openJournal(path);
    expect(existsSync(`${path}.new`)).toBe(false);
    journal.append(accepted('c'));
    expect(recordsIn(path)).toEqual([...records, accepted('c')]);
  }
  // Made, written in two pieces, synced, renamed; after that only the folder is left to sync.
  expect(seen).toEqual([OLD, OLD, OLD, OLD, OLD, NEW, NEW]);
}, 60_000);

describe.each(['create', 'write', 'syncNow', 'rename', 'syncFolder'] as const)('a journal whose %s fails', (step) => {
  it('when it is made anew is the old one or the new one, and goes on', async () => {
    let isBroken = false;
    const failing = (...args: never[]) => {
      if (isBroken) throw new Error(`EIO: i/o error, ${step}`);
      return (DISK[step] as (...args: never[]) => never)(...args);
    };
    const { path, journal } = openJournalOn({ [step]: failing });
    journal.append(accepted('a', 'old'));
    await journal.commit();
    isBroken = true;
    expect(() => journal.rewrite(NEW)).toThrow(aJournalError('unwritable'));
    const kept = step === 'syncFolder' ? NEW : OLD;
    expect(recordsIn(path)).toEqual(kept);
    expect(existsSync(`${path}.new`)).toBe(false);
    isBroken = false;
    journal.append(accepted('c'));
    await journal.commit();
    expect(recordsIn(path)).toEqual([...kept, accepted('c')]);
    await expect.poll(() => openFilesOf(path)).toBe(1);
  });
});

it('a journal whose name is not on the disk syncs nothing before it is', async () => {
  let isBroken = false;
  const syncFolder = (path: string) => {
    if (isBroken) throw new Error('EIO: i/o error, fsync');
    DISK.syncFolder(path);
  };
  const { journal } = openJournalOn({ syncFolder });
  isBroken = true;
  expect(() => journal.rewrite(NEW)).toThrow(aJournalError('unwritable'));
  journal.append(accepted('c'));
  await expect(journal.commit()).rejects.toEqual(aJournalError('unwritable'));
  isBroken = false;
  await journal.commit();
});

describe('the size of a journal', () => {
  const sizeLimits = { bytesMin: 1000, timesLiveMax: 4, slackBytesMax: 1_000_000 };

  it.each([
    [0, 1000],
    [250, 1000],
    [251, 1004],
  ])('with %i bytes that count may be %i', (live, max) => {
    expect(journalBytesMax(live, sizeLimits)).toBe(max);
  });

  it('stays within its bound however much is appended, at a cost that stays within one, too', () => {
    const path = newJournalPath();
    let creations = 0;
    const create = (file: string) => (creations++, DISK.create(file));
    const { journal } = openJournal(path, { sizeLimits, disk: { ...DISK, create } });
    const live = () => [HEADER, accepted('a')];
    const liveBytes = (journal.rewrite(live()), journal.bytes);
    const recordBytes = liveBytes / 2;
    for (let i = 0; i < 1000; i++) {
      journal.append(accepted('a'));
      journal.keepSmall(live);
      expect(journal.bytes).toBeLessThanOrEqual(journalBytesMax(liveBytes, sizeLimits) + recordBytes);
    }
    expect(creations).toBeLessThan((1000 * 2 * recordBytes) / (journalBytesMax(liveBytes, sizeLimits) - liveBytes) + 2);
    expect(readFileSync(path).length).toBe(journal.bytes);
  });

  it('is left alone where most of it counts', () => {
    const { journal } = openJournal(newJournalPath(), { sizeLimits });
    const live = [HEADER, accepted('a', 'x'.repeat(2000))];
    live.slice(1).forEach((record) => journal.append(record));
    const { bytes } = journal;
    let looks = 0;
    const look = () => (looks++, live);
    journal.keepSmall(look);
    journal.keepSmall(look);
    expect([journal.bytes, looks]).toEqual([bytes, 1]);
  });

  it('that cannot be brought down is tried again when it has grown further', () => {
    let tries = 0;
    const rename = (from: string, to: string) => {
      if (from.endsWith('.new') && tries++ > 0) throw new Error('EIO: i/o error, rename');
      DISK.rename(from, to);
    };
    const { journal } = openJournal(newJournalPath(), { sizeLimits, disk: { ...DISK, rename } });
    const keepSmall = () => journal.keepSmall(() => [HEADER]);
    while (journal.bytes <= 1000) journal.append(accepted('a'));
    expect(keepSmall).toThrow(aJournalError('unwritable'));
    const { bytes } = journal;
    keepSmall();
    while (journal.bytes <= bytes + 1000) journal.append(accepted('a'));
    expect(keepSmall).toThrow(aJournalError('unwritable'));
    expect(tries).toBe(3);
  });
});
