import { type Cursor, LIMITS, type SidecarFrame, WireError } from '@outrigger/protocol';
import { type CurrentRedactor } from '../redaction.js';
import { type Run } from '../supervision/run.js';
import { LogReader } from './log-reader.js';

/** Sent at one go before others get a turn. */
const TURN_BYTES = 1024 * 1024;

export interface SubscriptionOptions {
  readonly name: string;
  readonly run: Run;
  readonly from: Cursor;
  readonly creditBytes: number;
  readonly redactor: CurrentRedactor;
  /** False while the connection has enough queued; `resume` is called when it has room again. */
  readonly hasRoom: () => boolean;
  /** It could not go on, and is closed. */
  readonly onFailed: (error: unknown) => void;
  readonly send: (frame: SidecarFrame<'output' | 'stderr' | 'gap'>) => void;
}

/** One reader of an execution's logs on one connection. Sends while it has credit, room, and something to send. */
export class Subscription {
  readonly #options: SubscriptionOptions;
  readonly #stopListening: () => void;
  #readers: LogReader[] = [];
  #creditBytes: number;
  #turn: NodeJS.Immediate | null = null;

  /** @throws WireError `invalid` for a cursor that lies outside the logs. */
  constructor(options: SubscriptionOptions) {
    this.#options = options;
    this.#creditBytes = Math.min(options.creditBytes, LIMITS.creditBytesMax);
    this.#openLogs();
    this.#stopListening = options.run.onGrowth(() => this.resume());
    this.resume();
  }

  /** Returns the credit there is now; what the last frame overdrew is paid back first and counts as none. */
  addCredit(bytes: number): number {
    this.#creditBytes = Math.min(this.#creditBytes + bytes, LIMITS.creditBytesMax);
    this.resume();
    return Math.max(0, this.#creditBytes);
  }

  /** Sends what can be sent, after the frame at hand has been answered. */
  resume(): void {
    this.#turn ??= setImmediate(() => this.#send());
  }

  close(): void {
    this.#stopListening();
    if (this.#turn !== null) clearImmediate(this.#turn);
    this.#readers.forEach((reader) => reader.close());
    this.#readers = [];
  }

  /** An execution has no logs before its files are made, and none at all if it never got that far. */
  #openLogs(): void {
    const { run, from, redactor } = this.#options;
    if (from.attempt !== 1) throw outsideLogs(`attempt ${from.attempt} does not exist`);
    if (run.attempt === null) {
      if (from.stdout + from.stderr > 0) throw outsideLogs('the execution has no output');
      return;
    }
    const { stdout, stderr } = run.attempt;
    this.#readers = [
      new LogReader('stdout', stdout, { position: from.stdout, redactor }),
      new LogReader('stderr', stderr, { position: from.stderr, redactor }),
    ];
    if (from.stdout <= stdout.size() && from.stderr <= stderr.size()) return;
    this.#readers.forEach((reader) => reader.close());
    throw outsideLogs('it lies behind the end of the output');
  }

  /** A run can remove or replace its own logs; that is this reader's loss and nobody else's. */
  #send(): void {
    this.#turn = null;
    try {
      this.#sendTurn();
    } catch (error) {
      this.close();
      this.#options.onFailed(error);
    }
  }

  #sendTurn(): void {
    if (this.#readers.length === 0 && this.#options.run.attempt !== null) this.#openLogs();
    for (let turnBytes = 0; turnBytes < TURN_BYTES;) {
      if (this.#creditBytes <= 0 || !this.#options.hasRoom()) return;
      const sent = this.#sendNext();
      if (sent === null) return;
      turnBytes += sent.bytes;
      this.#creditBytes -= sent.cost;
    }
    this.resume();
  }

  /** Sends one frame, the logs taking turns. `cost`: what it takes off the credit; a gap takes nothing. */
  #sendNext(): { bytes: number; cost: number } | null {
    const { name, run } = this.#options;
    for (const reader of this.#readers) {
      const stretch = reader.next();
      if (stretch === null) continue;
      this.#readers.reverse();
      const { start, end } = stretch;
      const batch = { subscription: name, executionId: run.id, attempt: 1, start, end };
      if (stretch.kind === 'gap') {
        this.#options.send({ type: 'gap', ...batch, log: reader.name, reason: 'line_too_long' });
        return { bytes: end - start, cost: 0 };
      }
      const { lines, ends, continues } = stretch;
      const type = reader.name === 'stdout' ? 'output' : 'stderr';
      this.#options.send({ type, ...batch, lines, ends, ...(continues ? { continues } : {}) });
      return { bytes: end - start, cost: end - start };
    }
    return null;
  }
}

function outsideLogs(message: string): WireError {
  return new WireError('invalid', `cursor: ${message}`, { issues: [{ path: 'from', message }] });
}
