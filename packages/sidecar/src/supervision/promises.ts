import { WireError } from '@outrigger/protocol';
import { type Logger } from 'pino';
import { type JournalRecord } from '../core/journal-state.js';
import { type ExecutionJournal } from '../journal/execution-journal.js';

/** What is told to hosts only once it is on the disk; where it cannot be put there they are told that instead. */
export class Promises {
  readonly #journal: ExecutionJournal;
  readonly #logger: Logger;

  constructor(journal: ExecutionJournal, logger: Logger) {
    this.#journal = journal;
    this.#logger = logger;
  }

  /** Writes down, in one step, what is to be promised. @throws WireError `disk_low`; then it does not hold */
  promise(...records: readonly JournalRecord[]): void {
    try {
      this.#journal.promise(...records);
    } catch (error) {
      throw this.#refusal(error);
    }
  }

  /** Resolves when it may be told. @throws WireError `disk_low` */
  async commit(): Promise<void> {
    try {
      await this.#journal.commit();
    } catch (error) {
      throw this.#refusal(error);
    }
  }

  #refusal(error: unknown): WireError {
    this.#logger.error({ err: error }, 'the journal cannot be written');
    return new WireError('disk_low', 'the agent cannot write its journal; free some space under its state folder');
  }
}
