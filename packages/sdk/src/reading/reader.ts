import { type Cursor, type Outcome, type OutriggerError } from '@outrigger/protocol';
import { hasReached, isBehindFence } from '../core/fence.js';
import { Fifo } from '../core/fifo.js';
import {
  acceptFrame,
  cursorOf,
  type OutputItem,
  type OutputState,
  positionOf,
  readOutputFrom,
} from '../core/output-assembler.js';
import { defer, type Deferred } from '../deferred.js';
import { sdkError } from '../errors.js';
import { type GapEvent, type RateLimitEvent } from '../events.js';
import { type AgentLink } from '../link/link.js';
import { type Subscriber, type SubscriptionFrame } from '../link/subscriptions.js';
import { type StepEvent, type Tracker } from '../tracker.js';
import { CreditWindow } from './window.js';

/** A line, with where to go on behind it. */
export interface LineItem {
  readonly type: 'line';
  readonly log: 'stdout' | 'stderr';
  readonly line: string;
  readonly cursor: Cursor;
}

export type ReaderItem =
  LineItem | StepEvent | RateLimitEvent | GapEvent | { readonly type: 'outcome'; readonly outcome: Outcome };

/** What waits to be taken: a frame's lines stay together, as they are much smaller that way. */
type Entry = StepEvent | OutputEntry;
type OutputEntry = OutputItem & { readonly bytes: number; readonly cursor: Cursor };
type GapEntry = Extract<OutputEntry, { kind: 'gap' }>;
type LinesEntry = Extract<OutputEntry, { kind: 'lines' }>;

export interface ReaderOptions {
  readonly tracker: Tracker;
  readonly link: AgentLink;
  readonly from: Cursor;
  readonly windowBytes: number;
  /** The agent does not know the execution. */
  readonly onUnknown: (error: OutriggerError) => void;
  readonly onClose: () => void;
}

/** Reads one execution's logs through a subscription of its own, at the pace of whoever takes from it. */
export class Reader implements Subscriber {
  readonly executionId: string;
  readonly #options: ReaderOptions;
  readonly #window: CreditWindow;
  readonly #queue = new Fifo<Entry>();
  readonly #unwatch: () => void;
  /** The latest, if it was not taken: they come with answers of the provider, however slowly somebody reads here. */
  #rateLimit: RateLimitEvent | null = null;
  #output: OutputState;
  /** The line of the first entry that is next. */
  #nextLine = 0;
  #state: 'open' | 'done' = 'open';
  #failure: OutriggerError | null = null;
  #wakeup: Deferred<undefined> | null = null;

  constructor(options: ReaderOptions) {
    const { tracker, from, windowBytes, link } = options;
    this.#options = options;
    this.executionId = tracker.executionId;
    this.#window = new CreditWindow(windowBytes);
    this.#output = readOutputFrom(from);
    for (const event of tracker.history) this.#queue.push(event);
    this.#unwatch = tracker.watch({
      onStep: (event) => {
        this.#queue.push(event);
        this.#wake();
      },
      onRateLimit: (event) => {
        this.#rateLimit = event;
        this.#wake();
      },
      onConcluded: () => this.#wake(),
      onForgotten: (error) => this.#end(error),
    });
    try {
      link.subscribe(this);
    } catch (error) {
      this.fail(error as OutriggerError);
    }
  }

  /** The next item, if it is there already. Most are, and to wait for each of them costs as much as to read it. */
  takeNow(): ReaderItem | null {
    return this.#takeRateLimit() ?? this.#shift() ?? this.#lastItem();
  }

  /** The next item, or null after the outcome or `close`. One call at a time. @throws what `fail` was given */
  async take(): Promise<ReaderItem | null> {
    for (;;) {
      const item = this.takeNow();
      if (item !== null || this.#state === 'done') return item;
      if (this.#failure !== null) {
        this.close();
        throw this.#failure;
      }
      this.#wakeup = defer();
      await this.#wakeup.promise;
    }
  }

  close(): void {
    if (this.#state === 'done') return;
    this.#state = 'done';
    this.#unwatch();
    this.#options.link.unsubscribe(this);
    this.#queue.clear();
    this.#rateLimit = null;
    this.#options.onClose();
    this.#wake();
  }

  restart(): { from: Cursor; creditBytes: number } {
    return { from: positionOf(this.#output), creditBytes: this.#window.restart() };
  }

  onFrame(frame: SubscriptionFrame): void {
    const { link } = this.#options;
    const step = acceptFrame(this.#output, frame, link.lineBytesMax);
    if (!step.ok) {
      const message = `agent ${this.#options.tracker.agentId}, execution ${this.executionId}: ${step.violation}`;
      link.abort(sdkError('protocol_error', message, { data: { executionId: this.executionId } }));
      return;
    }
    this.#output = step.state;
    // A gap brings no bytes and costs no credit.
    const bytes = frame.type === 'gap' ? 0 : frame.end - frame.start;
    this.#window.receive(bytes);
    // Nobody can consume part of a line, so it is granted anew at once, or a long line would never end.
    if (step.item === null) this.#release(bytes);
    else this.#queue.push({ ...step.item, bytes, cursor: cursorOf(step.state) });
    this.#wake();
  }

  /** Whether what an agent does not know is lost, and so has an outcome, has to be found out. */
  fail(error: OutriggerError): void {
    const isOpen = this.#options.tracker.outcome === undefined;
    if (error.code === 'unknown_execution' && isOpen) this.#options.onUnknown(error);
    else this.#end(error);
  }

  #end(error: OutriggerError): void {
    this.#failure ??= error;
    this.#wake();
  }

  #takeRateLimit(): RateLimitEvent | null {
    const event = this.#rateLimit;
    this.#rateLimit = null;
    return event;
  }

  #shift(): ReaderItem | null {
    for (let entry = this.#queue.peek(); entry !== undefined; entry = this.#queue.peek()) {
      const item = this.#itemOf(entry);
      if (item !== null) return item;
    }
    return null;
  }

  /** The next item of the first entry; null if it lies behind the fence. */
  #itemOf(entry: Entry): ReaderItem | null {
    if ('type' in entry) {
      this.#queue.shift();
      return entry;
    }
    const { tracker } = this.#options;
    const index = this.#nextLine++;
    const isLast = entry.kind === 'gap' || this.#nextLine >= entry.batch.lines.length;
    if (isLast) {
      this.#queue.shift();
      this.#nextLine = 0;
      this.#release(entry.bytes);
    }
    const item = entry.kind === 'gap' ? gapEvent(entry) : lineItem(entry, index);
    const place = { attempt: item.cursor.attempt, log: item.log, offset: item.cursor[item.log] };
    return !this.#isLost && tracker.end !== undefined && isBehindFence(place, tracker.end) ? null : item;
  }

  /** The outcome, once everything before it was read. */
  #lastItem(): ReaderItem | null {
    const { outcome, end } = this.#options.tracker;
    if (this.#state === 'done' || outcome === undefined || end === undefined) return null;
    if (!this.#isLost && !hasReached(positionOf(this.#output), end)) return null;
    this.close();
    return { type: 'outcome', outcome };
  }

  /** Nobody knows where its output ended; what came before counts. */
  get #isLost(): boolean {
    return this.#options.tracker.outcome?.status === 'lost';
  }

  #release(bytes: number): void {
    const granted = this.#window.release(bytes);
    if (granted > 0) this.#options.link.grant(this, granted);
  }

  #wake(): void {
    this.#wakeup?.resolve(undefined);
    this.#wakeup = null;
  }
}

function gapEvent({ log, start, end, reason, cursor }: GapEntry): GapEvent {
  return { type: 'gap', log, start, end, reason, cursor };
}

function lineItem({ batch: { log, lines, ends }, cursor }: LinesEntry, index: number): LineItem {
  return { type: 'line', log, line: lines[index] ?? '', cursor: { ...cursor, [log]: ends[index] } };
}
