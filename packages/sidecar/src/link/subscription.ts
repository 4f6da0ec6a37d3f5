import { type Cursor, LIMITS, type SidecarFrame } from '@outrigger/protocol';
import { type CurrentRedactor } from '../redaction.js';
import { type KnownRun } from '../supervision/known-run.js';
import { type Stretch } from './log-reader.js';
import { OutputReader, type PlacedStretch } from './output-reader.js';
import { TURN_BYTES, turns } from './turns.js';

export interface SubscriptionOptions {
  readonly name: string;
  readonly run: KnownRun;
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
  readonly #reader: OutputReader;
  #creditBytes: number;
  readonly #turn = () => this.#send();

  /** @throws WireError `invalid` for a cursor that lies outside the logs. */
  constructor(options: SubscriptionOptions) {
    this.#options = options;
    this.#creditBytes = Math.min(options.creditBytes, LIMITS.creditBytesMax);
    this.#reader = new OutputReader(options.run, options);
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
    turns.ask(this.#turn);
  }

  close(): void {
    this.#stopListening();
    turns.withdraw(this.#turn);
    this.#reader.close();
  }

  /** What fails here is this reader's loss and nobody else's. */
  #send(): number {
    try {
      return this.#sendTurn();
    } catch (error) {
      this.close();
      this.#options.onFailed(error);
      return 0;
    }
  }

  #sendTurn(): number {
    let turnBytes = 0;
    while (turnBytes < TURN_BYTES) {
      if (this.#creditBytes <= 0 || !this.#options.hasRoom()) return turnBytes;
      const bytes = this.#sendNext();
      if (bytes === null) return turnBytes;
      turnBytes += bytes;
    }
    this.resume();
    return turnBytes;
  }

  /** Sends one frame. Returns the bytes that were looked at; null: there is nothing to do. */
  #sendNext(): number | null {
    const next = this.#reader.next();
    if (next === null) return null;
    const { stretch, ...place } = next;
    return stretch.kind === 'nothing_yet' ? stretch.lookedAtBytes : this.#sendStretch(place, stretch);
  }

  #sendStretch(
    { attempt, log }: Omit<PlacedStretch, 'stretch'>,
    stretch: Exclude<Stretch, { kind: 'nothing_yet' }>,
  ): number {
    const { name, run } = this.#options;
    const { start, end } = stretch;
    const batch = { subscription: name, executionId: run.id, attempt, start, end };
    if (stretch.kind === 'gap') {
      this.#options.send({ type: 'gap', ...batch, log, reason: stretch.reason });
      return end - start;
    }
    const { lines, ends, continues } = stretch;
    this.#options.send({
      type: log === 'stdout' ? 'output' : 'stderr',
      ...batch,
      lines,
      ends,
      ...(continues ? { continues } : {}),
    });
    this.#creditBytes -= end - start;
    return end - start;
  }
}
