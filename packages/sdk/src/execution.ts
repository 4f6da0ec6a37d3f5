import { randomUUID } from 'node:crypto';
import { type ExecutionState, type Outcome } from '@outrigger/protocol';
import { type Decision, type ExecutionEvent } from './events.js';
import { type Ledger } from './ledger.js';
import { readEvents } from './reading/events.js';
import { type ReadOptions, Source } from './reading/source.js';
import { readText, type TextOptions } from './reading/text.js';
import { sdkError } from './errors.js';
import { type Tracker } from './tracker.js';

/** How a message is sent. */
export interface SendOptions {
  /**
   * Under which the message is told once, whoever sends it how often: 1 to 128 letters, digits, `.`, `_` and `-`, the first one a
   * letter or digit. @default a fresh UUID
   */
  messageId?: string;
}

/** A message that an agent has taken in. */
export interface Sent {
  messageId: string;
  /** It had been sent before, with the same text. */
  known: boolean;
}

/**
 * A handle on one execution. Any number of handles and iterators can exist; each iterator reads by itself, from the
 * beginning unless told otherwise, and holds the execution back no more than it holds back the others.
 */
export class Execution implements AsyncDisposable {
  readonly #ledger: Ledger;
  readonly #tracker: Tracker;
  readonly #source: Source;

  /** @internal */
  constructor(ledger: Ledger, tracker: Tracker) {
    this.#ledger = ledger;
    this.#tracker = tracker;
    this.#source = new Source(ledger, tracker);
  }

  get id(): string {
    return this.#tracker.executionId;
  }

  get agentId(): string {
    return this.#tracker.agentId;
  }

  /** Where it is in its life, as its agent has told last; `ended` also once its outcome is stored. Undefined: not told yet. */
  get state(): ExecutionState | undefined {
    return this.#tracker.outcome === undefined ? this.#tracker.state : 'ended';
  }

  /** Status and reason, before cleanup is done. Rejects only with `fleet_closed`. */
  get decided(): Promise<Decision> {
    return this.#tracker.decided;
  }

  /** The one outcome, once it is stored, whatever its status and whoever reads the output. Rejects only with `fleet_closed`. */
  get outcome(): Promise<Outcome> {
    return this.#tracker.concluded;
  }

  /**
   * Everything that happens, the outcome last. Of several attempts each is read to its end before the next; states, holds
   * and limits come as they are heard of, so before output that waits to be read.
   *
   * `next()` throws `unknown_execution` when the agent knows it no more and it is not lost, `agent_closed` or `fleet_closed`, and
   * `invalid` for a cursor outside the output. A connection that is lost only makes it wait.
   *
   * @throws `invalid` for a credit that is no positive number of bytes
   */
  events(options: ReadOptions = {}): AsyncGenerator<ExecutionEvent, void> {
    const { creditBytes } = options;
    if (creditBytes !== undefined && !(Number.isSafeInteger(creditBytes) && creditBytes > 0)) {
      throw sdkError('invalid', 'creditBytes: expected a positive integer');
    }
    return readEvents(this.#source, options);
  }

  /** As {@link events}, from the beginning. */
  [Symbol.asyncIterator](): AsyncGenerator<ExecutionEvent, void> {
    return this.events();
  }

  /**
   * What the assistant said to the user: no error text, no subagent's talk, nothing of a turn that was cut, be it by the
   * end of its attempt.
   */
  text(options: TextOptions = {}): AsyncGenerator<string, void> {
    return readText(this.#source, options);
  }

  /**
   * Says something to an execution that was dispatched with `interactive: true`. It is told once everything sent before has been
   * answered, and begins a turn of its own; {@link Execution.text} yields each turn's answers when that ends well. Resolves when the agent has
   * it on its disk: the run is told it unless it ends before. Can be called at any time, also while the run is queued or held.
   *
   * Sent again when the connection is lost before the answer, which is harmless: the agent knows it by its `messageId`. Give one to
   * send it again yourself, after `agent_unreachable` or by another host.
   *
   * @throws `invalid` before anything is sent, for a text that is empty or longer than 60 KiB as JSON; a `WireError` with
   * `not_interactive`, `input_ended` when it is ending or nothing more was to be said, `message_conflict` when the `messageId` has
   * another text, `limit_exceeded` (`data.limit`) when too much waits to be told or was sent in all, `unknown_execution`, or
   * `disk_low`; `agent_unreachable` when no answer came in time: it may be told all the same
   */
  async send(text: string, { messageId = randomUUID() }: SendOptions = {}): Promise<Sent> {
    const { known } = await this.#ledger.link.call('send_message', { executionId: this.id, messageId, text });
    return { messageId, known };
  }

  /**
   * Says that nothing more is to come: an interactive execution ends well once it has answered everything that was sent. Without it
   * that ends when nobody has sent anything for `interactiveIdleMs` after an answer. Resolves when the agent has it on its disk; asking
   * again, or of one that has ended, changes nothing.
   *
   * @throws a `WireError` with `not_interactive`, `unknown_execution` or `disk_low`; `agent_unreachable`
   */
  async end(): Promise<void> {
    await this.#ledger.link.call('end_input', { executionId: this.id });
  }

  /** Asks the agent to end it. Resolves when the agent has taken the request; `outcome` tells what came of it. */
  async cancel(): Promise<void> {
    await this.#ledger.link.call('cancel', { executionId: this.id });
  }

  /** Ends this handle's iterators. The execution goes on. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#source.close();
    return Promise.resolve();
  }
}
