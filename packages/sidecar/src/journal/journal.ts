import { closeSync, existsSync, readFileSync, statSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { type DecodedJournal, decodeJournal, encodeRecord } from '../core/journal-codec.js';
import { JOURNAL_SIZE_LIMITS, journalBytesMax, type JournalSizeLimits } from '../core/journal-size.js';
import { type JournalRecord } from '../core/journal-state.js';
import { type Disk, DISK } from './disk.js';
import { JournalError } from './journal-error.js';
import { readJournal } from './read-journal.js';
import { removeFresh, replaceFile, writeAll } from './replace-file.js';

type JournalHeader = Extract<JournalRecord, { is: 'journal' }>;

export interface JournalOptions {
  readonly sizeLimits?: JournalSizeLimits;
  readonly disk?: Disk;
}

/**
 * A file of records, one a line, that only grows until it is made anew. What is appended is written at once, and on the
 * disk when `commit` resolves: one sync serves all who wait at the same time.
 */
export class Journal {
  readonly #path: string;
  readonly #disk: Disk;
  readonly #sizeLimits: JournalSizeLimits;
  #fd: number;
  #bytes: number;
  /** Up to this size the file is left as it is. */
  #bytesMax: number;
  /** There is half a record behind the last whole one. */
  #isTorn = false;
  /** After a failed sync the kernel takes what was not written for written: another sync of the same file proves nothing. */
  #isDoubtful = false;
  /** How many records are on the disk once the name of the file they are in is; null: it is. */
  #unnamed: number | null = null;
  /** Records appended, and how many of them are on the disk. */
  #appended = 0;
  #synced = 0;
  #syncing: { readonly upTo: number; readonly done: Promise<void> } | null = null;

  private constructor(path: string, bytes: number, { disk, sizeLimits }: Required<JournalOptions>) {
    this.#path = path;
    this.#disk = disk;
    this.#sizeLimits = sizeLimits;
    this.#fd = disk.open(path);
    this.#bytes = bytes;
    this.#bytesMax = journalBytesMax(0, sizeLimits);
  }

  /**
   * Opens the journal at that path, and cuts a torn end off; or begins one with that header.
   *
   * @throws JournalError
   */
  static open(
    path: string,
    header: JournalHeader,
    { disk = DISK, sizeLimits = JOURNAL_SIZE_LIMITS }: JournalOptions = {},
  ): { journal: Journal; content: DecodedJournal } {
    try {
      if (!existsSync(path) || statSync(path).size === 0) closeSync(replaceFile(disk, path, encodeAll([header])));
      removeFresh(path);
      disk.syncFolder(path);
    } catch (error) {
      throw unwritable('begun', error);
    }
    const content = readJournal(path);
    try {
      const journal = new Journal(path, content.soundBytes, { disk, sizeLimits });
      if (content.tornLines > 0) journal.#cutTornEnd();
      // What was read is acted on, so it must not be lost with the machine.
      disk.syncNow(journal.#fd);
      return { journal, content };
    } catch (error) {
      throw unwritable('opened', error);
    }
  }

  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Writes records in one step, so that who is killed has written all of them or none.
   *
   * @throws JournalError when they cannot be written; nothing of them is left then.
   */
  append(...records: readonly JournalRecord[]): void {
    const line = encodeAll(records);
    try {
      // Half a record would hide all that comes behind it.
      if (this.#isTorn) this.#cutTornEnd();
      this.#isTorn = true;
      writeAll(this.#disk, this.#fd, line);
    } catch (error) {
      this.#tryCutTornEnd();
      throw unwritable('written', error);
    }
    this.#isTorn = false;
    this.#bytes += line.length;
    this.#appended++;
  }

  /**
   * Resolves when everything appended so far is on the disk.
   *
   * @throws JournalError when that is not known. What was appended may or may not be found again; another try can go well,
   *   and `rewrite` can where that cannot.
   */
  async commit(): Promise<void> {
    const upTo = this.#appended;
    // A sync that began before the last record need not take it along.
    if (this.#syncing !== null && this.#syncing.upTo < upTo) await this.#syncing.done.catch(() => undefined);
    if (this.#synced >= upTo) return;
    this.#syncing ??= {
      upTo: this.#appended,
      done: this.#sync(this.#appended).finally(() => (this.#syncing = null)),
    };
    await this.#syncing.done;
  }

  async #sync(upTo: number): Promise<void> {
    try {
      if (this.#isDoubtful) this.#copy();
      this.#syncName();
      await this.#disk.sync(this.#fd);
      this.#synced = Math.max(this.#synced, upTo);
    } catch (error) {
      // Made anew meanwhile, it is on the disk by another way.
      if (this.#synced >= upTo) return;
      this.#isDoubtful = true;
      throw unwritable('synced', error);
    }
  }

  /**
   * Makes the file anew with these records alone, which are on the disk then. A crash leaves the old file or the new one.
   *
   * @throws JournalError
   */
  rewrite(records: readonly JournalRecord[]): void {
    this.#rewriteWith(encodeAll(records));
  }

  /**
   * Makes the file anew where it has grown too large for what counts in it. Cheap while it has not.
   *
   * @param live The fewest records that amount to the same as the journal's.
   * @throws JournalError when it cannot be made anew; it is tried again when it has grown further.
   */
  keepSmall(live: () => readonly JournalRecord[]): void {
    if (this.#bytes <= this.#bytesMax) return;
    const bytes = encodeAll(live());
    this.#bytesMax = journalBytesMax(bytes.length, this.#sizeLimits);
    if (this.#bytes <= this.#bytesMax) return;
    this.#bytesMax = this.#bytes + this.#sizeLimits.bytesMin;
    this.#rewriteWith(bytes);
  }

  async close(): Promise<void> {
    await this.commit().catch(() => undefined);
    closeSync(this.#fd);
  }

  #rewriteWith(bytes: Uint8Array): void {
    try {
      this.#replace(bytes);
      this.#bytesMax = journalBytesMax(bytes.length, this.#sizeLimits);
      this.#syncName();
    } catch (error) {
      throw unwritable('made anew', error);
    }
  }

  /** Puts what the kernel still has of a file that could not be synced into another. */
  #copy(): void {
    const bytes = readFileSync(this.#path).subarray(0, this.#bytes);
    if (decodeJournal(bytes, crc32).soundBytes !== this.#bytes) throw new Error('what was appended is gone');
    this.#replace(bytes);
  }

  #replace(bytes: Uint8Array): void {
    const fd = replaceFile(this.#disk, this.#path, bytes);
    const old = this.#fd;
    // A number that is closed under a sync can be another file's by then.
    const inUse = this.#syncing?.done ?? Promise.resolve();
    void inUse.catch(() => undefined).then(() => closeSync(old));
    this.#fd = fd;
    this.#bytes = bytes.length;
    this.#isTorn = false;
    this.#isDoubtful = false;
    this.#unnamed = this.#appended;
  }

  #syncName(): void {
    if (this.#unnamed === null) return;
    this.#disk.syncFolder(this.#path);
    this.#synced = Math.max(this.#synced, this.#unnamed);
    this.#unnamed = null;
  }

  #cutTornEnd(): void {
    this.#disk.truncate(this.#fd, this.#bytes);
    this.#isTorn = false;
  }

  #tryCutTornEnd(): void {
    try {
      this.#cutTornEnd();
    } catch {
      // Before the next record it is tried again.
    }
  }
}

function encodeAll(records: readonly JournalRecord[]): Uint8Array {
  return Buffer.concat(records.map((record) => encodeRecord(record, crc32)));
}

function unwritable(what: string, error: unknown): JournalError {
  return new JournalError('unwritable', `the journal cannot be ${what}: ${(error as Error).message}`, error);
}
