import { type ExecutionState, type Outcome } from '@outrigger/protocol';
import { type Decision, type ExecutionEvent } from './events.js';
import { type Ledger } from './ledger.js';
import { readEvents } from './reading/events.js';
import { type ReadOptions, Source } from './reading/source.js';
import { readText, type TextOptions } from './reading/text.js';
import { sdkError } from './errors.js';
import { type Tracker } from './tracker.js';

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
