import { type Cursor, CURSOR_START } from '@outrigger/protocol';
import { type Ledger } from '../ledger.js';
import { type Tracker } from '../tracker.js';
import { Reader } from './reader.js';

/** Log bytes an iterator may have on their way or waiting, unless told otherwise. */
const WINDOW_BYTES_DEFAULT = 1024 * 1024;

/** Where reading begins, and how far ahead of its consumer it may be. */
export interface ReadOptions {
  /** Where to begin. @default the beginning of the output */
  from?: Cursor;
  /** Log bytes that may wait here for the consumer; a started line may come on top. @default 1 MiB */
  creditBytes?: number;
}

/** An execution's output, to be read any number of times. */
export class Source {
  readonly #ledger: Ledger;
  readonly #tracker: Tracker;
  readonly #readers = new Set<Reader>();

  constructor(ledger: Ledger, tracker: Tracker) {
    this.#ledger = ledger;
    this.#tracker = tracker;
  }

  get executionId(): string {
    return this.#tracker.executionId;
  }

  /** @throws `agent_closed` */
  open({ from = CURSOR_START, creditBytes = WINDOW_BYTES_DEFAULT }: ReadOptions): Reader {
    const { link } = this.#ledger;
    const reader: Reader = new Reader({
      tracker: this.#tracker,
      link,
      from,
      windowBytes: creditBytes,
      onUnknown: (error) => this.#ledger.onUnknown(this.executionId, error),
      onClose: () => this.#readers.delete(reader),
    });
    this.#readers.add(reader);
    return reader;
  }

  /** Ends every reader that is open. */
  close(): void {
    for (const reader of [...this.#readers]) reader.close();
  }
}
