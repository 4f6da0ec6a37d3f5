import { randomUUID } from 'node:crypto';
import { LIMITS } from '@outrigger/protocol';
import { type Logger } from 'pino';
import { machineBootId, monotonicMs } from '../clock.js';
import { JournalFold } from '../core/journal-fold.js';
import { rebaseJournal } from '../core/journal-rebase.js';
import { recordsOf } from '../core/journal-records.js';
import { type JournalSizeLimits } from '../core/journal-size.js';
import { JOURNAL_VERSION, type JournalRecord, type JournalState } from '../core/journal-state.js';
import { type Disk } from './disk.js';
import { Journal } from './journal.js';

/** How long an id is known of which nothing else is. */
export const TOMBSTONE_MS = 30 * 24 * 60 * 60 * 1000;
/** Between tries to write down what could not be written when it happened. */
const CATCH_UP_MS = 5000;

export interface ExecutionJournalOptions {
  readonly logger: Logger;
  readonly disk?: Disk;
  readonly sizeLimits?: JournalSizeLimits;
  /** @default that of the machine */
  readonly bootId?: string;
}

/**
 * What the sidecar has written down, and what that amounts to. Where the disk fails what it amounts to still holds, and is
 * written down as soon as it can be; but nothing is promised meanwhile.
 */
export class ExecutionJournal {
  readonly #journal: Journal;
  readonly #logger: Logger;
  readonly #isOfThisBoot: boolean;
  #fold: JournalFold;
  /** Something was not written that holds. */
  #isBehind = false;
  #catchUpTimer: NodeJS.Timeout | undefined;

  private constructor(journal: Journal, records: readonly JournalRecord[], options: ExecutionJournalOptions) {
    this.#journal = journal;
    this.#logger = options.logger;
    this.#fold = new JournalFold(records);
    const bootId = options.bootId ?? machineBootId();
    this.#isOfThisBoot = this.#fold.state.machineBootId === bootId;
    if (!this.#isOfThisBoot) this.#rebase(bootId);
  }

  /**
   * Opens the journal at that path, or begins one.
   *
   * @throws JournalError when there is one that cannot be used
   */
  static open(path: string, options: ExecutionJournalOptions): ExecutionJournal {
    const { bootId = machineBootId(), logger } = options;
    const header = {
      is: 'journal',
      version: JOURNAL_VERSION,
      journalId: randomUUID(),
      machineBootId: bootId,
      epochAtZeroMs: epochAtZeroMs(),
    } as const;
    const { journal, content } = Journal.open(path, header, options);
    const { lostLines, soundBytes } = content;
    if (lostLines > 0)
      logger.warn({ path, lostLines, soundBytes }, 'the end of the journal was damaged and is cut off');
    return new ExecutionJournal(journal, content.records, options);
  }

  /** Names what is remembered: another one than last time means that nothing is. */
  get journalId(): string {
    return this.#fold.state.journalId ?? '';
  }

  /** Everything that holds, on the clock of this boot. */
  get state(): JournalState {
    return this.#fold.state;
  }

  /** Whether the machine is the same since what was found was written: only then can a process of that time live. */
  get isOfThisBoot(): boolean {
    return this.#isOfThisBoot;
  }

  /**
   * Writes down, in one step, what must not be lost once it is told; {@link commit} puts it on the disk.
   *
   * @throws JournalError when it cannot; then it does not hold.
   */
  promise(...records: readonly JournalRecord[]): void {
    this.#catchUp();
    this.#journal.append(...records);
    records.forEach((record) => this.#fold.take(record));
    this.#keepSmall();
  }

  /** Writes down what has happened, whether or not it can be written. */
  note(record: JournalRecord): void {
    this.#fold.take(record);
    try {
      if (this.#isBehind) this.#catchUp();
      else this.#journal.append(record);
    } catch (error) {
      this.#fallBehind(error);
      return;
    }
    this.#keepSmall();
  }

  /** Resolves when all that holds is on the disk. @throws JournalError when that is not known */
  async commit(): Promise<void> {
    this.#catchUp();
    await this.#journal.commit();
  }

  /** Resolves when all that holds is on the disk, or cannot be put there for now. */
  async settle(): Promise<void> {
    try {
      await this.commit();
    } catch (error) {
      this.#fallBehind(error);
    }
  }

  async close(): Promise<void> {
    clearTimeout(this.#catchUpTimer);
    await this.settle();
    await this.#journal.close();
  }

  /** @throws JournalError */
  #catchUp(): void {
    if (!this.#isBehind) return;
    this.#journal.rewrite(this.#live());
    this.#isBehind = false;
    clearTimeout(this.#catchUpTimer);
    this.#logger.info('the journal is complete again');
  }

  #fallBehind(error: unknown): void {
    if (!this.#isBehind) this.#logger.error({ err: error }, 'the journal cannot be written; it is tried again');
    this.#isBehind = true;
    clearTimeout(this.#catchUpTimer);
    this.#catchUpTimer = setTimeout(() => void this.settle(), CATCH_UP_MS);
    this.#catchUpTimer.unref();
  }

  /** It is there as it was where it cannot be made anew, and grows. */
  #keepSmall(): void {
    try {
      this.#journal.keepSmall(() => this.#live());
    } catch (error) {
      this.#logger.warn({ err: error }, 'the journal cannot be made smaller for now');
    }
  }

  #live(): JournalRecord[] {
    const nowMs = monotonicMs();
    this.#fold.expire({ cancelsBefore: nowMs - LIMITS.cancelMemoryMs, tombstonesBefore: nowMs - TOMBSTONE_MS });
    return recordsOf(this.#fold.state);
  }

  /** The moments of another boot mean nothing here, so they are made moments of this one before anything is added. */
  #rebase(bootId: string): void {
    const before = this.#fold.state;
    const now = epochAtZeroMs();
    const moved = rebaseJournal(before, (before.epochAtZeroMs ?? now) - now);
    this.#fold = new JournalFold(recordsOf({ ...moved, machineBootId: bootId, epochAtZeroMs: now }));
    this.#journal.rewrite(this.#live());
  }
}

function epochAtZeroMs(): number {
  return Date.now() - monotonicMs();
}
