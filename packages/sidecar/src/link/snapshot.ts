import { type ExecutionSummary, LIMITS } from '@outrigger/protocol';
import { type Channel } from './channel.js';

/** Executions on their way to one connection, in pages. Their outcomes follow in frames of their own. */
export class Snapshot {
  readonly #channel: Channel;
  readonly #left: Omit<ExecutionSummary, 'outcome'>[];
  #isSent = false;

  constructor(executions: readonly ExecutionSummary[], channel: Channel) {
    this.#channel = channel;
    this.#left = executions.map(({ outcome: _sentByItself, ...summary }) => summary).reverse();
  }

  get isSent(): boolean {
    return this.#isSent;
  }

  /** Sends the pages there is room for. */
  resume(): void {
    while (!this.#isSent && this.#channel.hasRoom) {
      const executions = this.#takePage();
      this.#isSent = this.#left.length === 0;
      this.#channel.send({ type: 'snapshot', executions, more: !this.#isSent });
    }
  }

  /** One that is larger than a page gets a page of its own, which a frame has room for. */
  #takePage(): Omit<ExecutionSummary, 'outcome'>[] {
    const page: Omit<ExecutionSummary, 'outcome'>[] = [];
    let pageBytes = 0;
    for (let next = this.#left.at(-1); next !== undefined; next = this.#left.at(-1)) {
      pageBytes += Buffer.byteLength(JSON.stringify(next));
      const isFull = page.length >= LIMITS.snapshotPageSize || pageBytes > LIMITS.snapshotPageBytes;
      if (isFull && page.length > 0) break;
      page.push(next);
      this.#left.pop();
    }
    return page;
  }
}
