import { randomUUID } from 'node:crypto';
import { type DispatchRequest, type Result, WireError } from '@outrigger/protocol';
import { sdkError } from './errors.js';
import { Execution } from './execution.js';
import { type Ledger } from './ledger.js';
import { type Store } from './store/store.js';

/** What an agent is doing. */
export type AgentStatus = Omit<Result<'status'>, 'execution'>;

/** A connected agent. */
export class Agent implements AsyncDisposable {
  readonly #ledger: Ledger;
  readonly #store: Store;

  /** @internal */
  constructor(ledger: Ledger, store: Store) {
    this.#ledger = ledger;
    this.#store = store;
  }

  get id(): string {
    return this.#ledger.agentId;
  }

  /**
   * Starts an execution, under a random UUID unless `executionId` says otherwise. Idempotent by that id: the same call
   * again, even by another host, gives a handle on the same execution. Lasts as long as it takes to reach the agent, at
   * most `requestTimeoutMs`.
   *
   * @throws `invalid`, `frame_too_large` before anything is sent; a `WireError` with the agent's refusal, e.g.
   * `at_capacity`; `agent_unreachable` when no answer came in time: the agent may run it all the same, so dispatch it
   * again under the same id
   */
  async dispatch({
    executionId = randomUUID(),
    ...request
  }: DispatchRequest & { executionId?: string }): Promise<Execution> {
    const { link } = this.#ledger;
    const prepared = link.prepare('dispatch', { executionId, request });
    await this.#store.putExecution({ executionId, agentId: this.id, createdAt: Date.now() });
    try {
      const summary = await link.request(prepared);
      return new Execution(this.#ledger, this.#ledger.take(summary));
    } catch (error) {
      if (error instanceof WireError && isRefusal(error)) await this.#store.deleteExecution(executionId);
      throw error;
    }
  }

  /** @throws `agent_unreachable` */
  async status(): Promise<AgentStatus> {
    const { agentId, bootId, counts, generation } = await this.#ledger.link.call('status', {});
    return { agentId, bootId, counts, generation };
  }

  /** Closes the connection. What runs goes on, and its outcomes wait at the agent for the next connection. */
  async close(): Promise<void> {
    await this.#ledger.detach(sdkError('agent_closed', `the connection to agent ${this.id} was closed`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** A conflict means that the id is in use, and `internal` that nobody knows; the record of either has to stay. */
function isRefusal({ code }: WireError): boolean {
  return code !== 'execution_conflict' && code !== 'internal';
}
