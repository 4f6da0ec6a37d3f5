/** Journals on a real disk, for tests. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { type JournalRecord } from '../core/journal-state.js';
import { type Disk, DISK } from '../journal/disk.js';
import { type JournalError } from '../journal/journal-error.js';
import { Journal, type JournalOptions } from '../journal/journal.js';
import { readJournal } from '../journal/read-journal.js';
import { HEADER } from './journal-records.js';

export function newJournalPath(): string {
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-journal-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return join(folder, 'journal');
}

export function openJournal(path: string, options?: JournalOptions): ReturnType<typeof Journal.open> {
  const opened = Journal.open(path, HEADER, options);
  onTestFinished(() => opened.journal.close());
  return opened;
}

/** On the real disk, but for what a test wants to see, or to fail. */
export function openJournalOn(disk: Partial<Disk>): { path: string; journal: Journal } {
  const path = newJournalPath();
  return { path, journal: openJournal(path, { disk: { ...DISK, ...disk } }).journal };
}

export const recordsIn = (path: string): readonly JournalRecord[] => readJournal(path).records;

export const aJournalError = (code: JournalError['code']) =>
  expect.objectContaining({ name: 'JournalError', code }) as Error;
