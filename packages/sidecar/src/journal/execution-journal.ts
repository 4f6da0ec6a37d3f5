import { randomUUID } from 'node:crypto';
import { copyFileSync } from 'node:fs';
import { LIMITS } from '@outrigger/protocol';
import { type Logger } from 'pino';
import { machineBootId, monotonicMs } from '../clock.js';
import { JournalFold } from '../core/journal-fold.js';
import { rebaseJournal } from '../core/journal-rebase.js';
import { recordsOf } from '../core/journal-records.js';
import { type JournalSizeLimits } from '../core/journal-size.js';
import { JOURNAL_VERSION, type JournalRecord, type JournalState } from '../core/journal-state.js';
import { type DecodedJournal } from '../core/journal-codec.js';
import { type Disk } from './disk.js';
import { JournalError } from './journal-error.js';
import { Journal } from './journal.js';
import { Reserve } from './reserve.js';

/** How long an id is known of which nothing else is. */
export const TOMBSTONE_MS = 30 * 24 * 60 * 60 * 1000;
/** Between tries to write down what could not be written when it happened. */
const CATCH_UP_MS = 5000;
/** As many records that could not be written are kept to be written later; beyond it the whole file is made anew. */
const UNWRITTEN_MAX = 1000;

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
  readonly #reserve: Reserve;
  #fold: JournalFold;
  /** What holds and was not written; null: so much that only a new file has it all. */
  #unwritten: JournalRecord[] | null = [];
  /** A new file costs time and room, so it is not tried with every call. */
  #nextRewriteAt = 0;
  /** Something could not be written, or the room is gone that is kept for that. */
  #isBehind = false;
  #catchUpTimer: NodeJS.Timeout | undefined;

  private constructor(path: string, journal: Journal, content: DecodedJournal, options: ExecutionJournalOptions) {
    const { records, damagedLines } = content;
    this.#journal = journal;
    this.#logger = options.logger;
    this.#reserve = new Reserve(`${path}.reserve`);
    if (!this.#reserve.isFull) this.#fallBehind(new JournalError('unwritable', 'there is no room to be kept for it'));
    this.#fold = new JournalFold(records);
    const bootId = options.bootId ?? machineBootId();
    this.#isOfThisBoot = this.#fold.state.machineBootId === bootId;
    if (!this.#isOfThisBoot) this.#rebase(bootId);
    if (damagedLines > 0) this.#rename();
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
    const { tornLines, damagedLines, soundBytes } = content;
    if (tornLines > 0) logger.warn({ path, tornLines, soundBytes }, 'the end of the journal was torn and is cut off');
    if (damagedLines > 0) {
      logger.error({ path, damagedLines }, 'the journal is damaged: of some executions nothing is known any more');
      keepCopy(path, logger);
    }
    return new ExecutionJournal(path, journal, content, options);
  }

  /** Size of the file. */
  get bytes(): number {
    return this.#journal.bytes;
  }

  /** Whether something could not be written yet; nothing may be promised then. */
  get isBehind(): boolean {
    return this.#isBehind;
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
    if (!this.#reserve.isFull) throw new JournalError('unwritable', 'there is no room for the journal');
    this.#catchUp();
    this.#journal.append(...records);
    records.forEach((record) => this.#fold.take(record));
    this.#keepSmall();
  }

  /** Writes down what has happened, whether or not it can be written. */
  note(record: JournalRecord): void {
    this.#fold.take(record);
    try {
      this.#writeNow(record);
    } catch (error) {
      this.#leaveUnwritten(record);
      this.#fallBehind(error);
      return;
    }
    this.#keepSmall();
  }

  /** @throws JournalError */
  #writeNow(record: JournalRecord): void {
    try {
      this.#catchUp();
      this.#journal.append(record);
    } catch (error) {
      if (!this.#reserve.release()) throw error;
      // Told, and tried again later to be made good.
      this.#fallBehind(error);
      this.#catchUp();
      this.#journal.append(record);
    }
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
    if (this.#unwritten === null) this.#rewrite();
    else if (this.#unwritten.length > 0) this.#journal.append(...this.#unwritten);
    else return;
    this.#unwritten = [];
  }

  /** @throws JournalError */
  #rewrite(): void {
    const nowMs = monotonicMs();
    if (nowMs < this.#nextRewriteAt)
      throw new JournalError('unwritable', 'the journal could not be made anew just now');
    this.#nextRewriteAt = nowMs + CATCH_UP_MS;
    this.#journal.rewrite(this.#live());
  }

  #leaveUnwritten(record: JournalRecord): void {
    if (this.#unwritten !== null && this.#unwritten.length < UNWRITTEN_MAX) this.#unwritten.push(record);
    else this.#unwritten = null;
  }

  #fallBehind(error: unknown): void {
    if (!this.#isBehind) this.#logger.error({ err: error }, 'the journal cannot be written; it is tried again');
    this.#isBehind = true;
    this.#tryLater();
  }

  #tryLater(): void {
    clearTimeout(this.#catchUpTimer);
    this.#catchUpTimer = setTimeout(() => void this.#tryAgain(), CATCH_UP_MS);
    this.#catchUpTimer.unref();
  }

  async #tryAgain(): Promise<void> {
    try {
      await this.commit();
      this.#reserve.fill();
    } catch (error) {
      this.#fallBehind(error);
      return;
    }
    if (!this.#reserve.isFull) {
      this.#tryLater();
      return;
    }
    this.#isBehind = false;
    this.#logger.info('the journal can be written again');
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
    this.#replace({ ...moved, machineBootId: bootId, epochAtZeroMs: now });
  }

  /** Not all is known any more that was promised under its name. */
  #rename(): void {
    this.#replace({ ...this.#fold.state, journalId: randomUUID() });
  }

  #replace(state: JournalState): void {
    this.#fold = new JournalFold(recordsOf(state));
    this.#unwritten = null;
    try {
      this.#catchUp();
    } catch (error) {
      this.#fallBehind(error);
    }
  }
}

/** For whoever wants to know what has become of it. */
function keepCopy(path: string, logger: Logger): void {
  try {
    copyFileSync(path, `${path}.damaged`);
  } catch (error) {
    logger.warn({ err: error }, 'no copy of the damaged journal can be kept');
  }
}

function epochAtZeroMs(): number {
  return Date.now() - monotonicMs();
}
