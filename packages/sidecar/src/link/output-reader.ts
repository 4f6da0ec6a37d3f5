import { type Cursor, type Log as LogName, WireError } from '@outrigger/protocol';
import { type CurrentRedactor } from '../redaction.js';
import { type KnownRun } from '../supervision/known-run.js';
import { type AttemptView } from '../supervision/past-attempt.js';
import { seenBytes } from './log-extent.js';
import { LogReader, type Stretch } from './log-reader.js';

/** A stretch of the logs, and where it stands. */
export interface PlacedStretch {
  readonly attempt: number;
  readonly log: LogName;
  readonly stretch: Stretch;
}

/** Reads an execution's logs for one subscription: all of an attempt, its logs taking turns, before anything of the next. */
export class OutputReader {
  readonly #run: KnownRun;
  readonly #redactor: CurrentRedactor;
  /** The attempt at hand; 0: none is there yet. */
  #attempt = 0;
  #readers: LogReader[] = [];

  /** @throws WireError `invalid` for a cursor that lies outside the logs. */
  constructor(run: KnownRun, { from, redactor }: { readonly from: Cursor; readonly redactor: CurrentRedactor }) {
    this.#run = run;
    this.#redactor = redactor;
    const attempt = run.attempts[from.attempt - 1];
    if (attempt !== undefined) this.#openAt(attempt, from);
    // An execution has no logs before its files are made, and none at all if it never got that far.
    else if (from.attempt > 1) throw outsideLogs(`attempt ${from.attempt} does not exist`);
    else if (from.stdout + from.stderr > 0) throw outsideLogs('the execution has no output');
  }

  /** The next stretch, or null while there is none. */
  next(): PlacedStretch | null {
    do {
      for (const reader of this.#readers) {
        const stretch = reader.next();
        if (stretch === null) continue;
        this.#readers.reverse();
        return { attempt: this.#attempt, log: reader.name, stretch };
      }
    } while (this.#goOn());
    return null;
  }

  close(): void {
    this.#readers.forEach((reader) => reader.close());
    this.#readers = [];
  }

  /** Turns to the next attempt, if there is one: it is not made before the logs of the one at hand have ended. */
  #goOn(): boolean {
    const next = this.#run.attempts[this.#attempt];
    if (next === undefined) return false;
    this.close();
    this.#open(next, { stdout: 0, stderr: 0 });
    return true;
  }

  #openAt(attempt: AttemptView, from: Cursor): void {
    try {
      this.#open(attempt, from);
      if (from.stdout <= seenBytes(attempt.stdout) && from.stderr <= seenBytes(attempt.stderr)) return;
      throw outsideLogs('it lies behind the end of the output');
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #open({ number, stdout, stderr }: AttemptView, from: Omit<Cursor, 'attempt'>): void {
    const redactor = this.#redactor;
    this.#attempt = number;
    this.#readers.push(new LogReader('stdout', stdout, { position: from.stdout, redactor }));
    this.#readers.push(new LogReader('stderr', stderr, { position: from.stderr, redactor }));
  }
}

function outsideLogs(message: string): WireError {
  return new WireError('invalid', `cursor: ${message}`, { issues: [{ path: 'from', message }] });
}
