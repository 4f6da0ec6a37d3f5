import {
  type Credential,
  type DispatchRequest,
  type ExecutionSummary,
  type Result,
  type Welcome,
  WireError,
} from '@outrigger/protocol';
import { v7 as uuidv7 } from 'uuid';
import { generationOfOwnSwap } from './core/swap.js';
import { beginDrain, type DrainOptions, drainOver, type DrainResult } from './drain.js';
import { type DispatchContext, dispatchOn } from './dispatching.js';
import { sdkError } from './errors.js';
import { type Execution } from './execution.js';
import { type Ledger } from './ledger.js';
import { listExecutions } from './listing.js';
import { whileDrained, type WhileDrainedOptions } from './while-drained.js';

/**
 * What an agent is doing, and with which credential: `generation` rises with each it is given, `credentialId` is its name,
 * both null without one. `preflight` and `machine` are there when they were asked for.
 */
export type AgentStatus = Omit<Result<'status'>, 'execution'>;

/** What an agent is: its names, versions and limits, how it tells the processes of runs apart, and whether these can reach it. */
export type AgentInfo = Pick<
  Welcome,
  | 'version'
  | 'agentId'
  | 'journalId'
  | 'bootId'
  | 'sidecarVersion'
  | 'claudeVersion'
  | 'capabilities'
  | 'killMethods'
  | 'isolation'
  | 'limits'
  | 'credentialMode'
>;

/** When another credential may take the place of the one in force. */
export interface SwapOptions {
  /**
   * Swaps only while this generation is in force, e.g. the one that `credentialNeeded` names; null: only while there is no
   * credential. @default the swap is made whatever is in force
   */
  ifGeneration?: number | null;
}

/** A connected agent. */
export class Agent implements AsyncDisposable {
  readonly #ledger: Ledger;
  readonly #context: DispatchContext;

  /** @internal */
  constructor(ledger: Ledger, context: DispatchContext) {
    this.#ledger = ledger;
    this.#context = context;
  }

  get id(): string {
    return this.#ledger.agentId;
  }

  /**
   * Starts an execution, under a fresh UUIDv7 unless `executionId` says otherwise. Idempotent by that id: the same call
   * again, even by another host, gives a handle on the same execution. Lasts as long as it takes to reach the agent, at
   * most `requestTimeoutMs`.
   *
   * @throws `invalid`, `frame_too_large` before anything is sent; a `WireError` with the agent's refusal, e.g.
   * `at_capacity`, or `credential_refused` with `preflight`; `agent_unreachable` when no answer came in time: the agent may run it all the same, so dispatch it
   * again under the same id; `wrong_agent` when the id was dispatched to another agent before; `limit_reached`;
   * `store_unavailable`
   */
  async dispatch({
    executionId = uuidv7(),
    ...request
  }: DispatchRequest & { executionId?: string }): Promise<Execution> {
    return dispatchOn(this.#ledger, this.#context, { executionId, request });
  }

  /** What the agent has said of itself when the connection began last. */
  get info(): AgentInfo {
    const { welcome } = this.#ledger;
    if (welcome === undefined) throw sdkError('agent_unreachable', `agent ${this.id} was never reached`);
    const { version, agentId, journalId, bootId, sidecarVersion, claudeVersion, capabilities } = welcome;
    const { killMethods, isolation, limits, credentialMode } = welcome;
    return {
      ...{ version, agentId, journalId, bootId, sidecarVersion, claudeVersion, capabilities },
      ...{ killMethods, isolation, limits, credentialMode },
    };
  }

  /**
   * Every execution of the agent whose outcome nobody has acknowledged, as it stands; oldest first.
   *
   * @throws `agent_unreachable`
   */
  async executions(): Promise<ExecutionSummary[]> {
    return listExecutions(this.#ledger);
  }

  /**
   * How the agent stands. With `preflight` it also says whether the credential in force is good, after asking the
   * provider if need be, which takes some seconds at most; with `machine` how its machine stands.
   *
   * @throws `agent_unreachable`
   */
  async status(options: { preflight?: boolean; machine?: boolean } = {}): Promise<AgentStatus> {
    const { execution: _notAskedFor, ...status } = await this.#ledger.link.call('status', options);
    return status;
  }

  /**
   * Puts another credential in force on the agent, which the fleet's pool leaves alone from then on, until
   * {@link unpinCredential}. What is held for one goes on with it at once, and nothing that runs is
   * restarted. Its secret is sent on this connection alone, which `connect` has made over `wss:`, on loopback, or as
   * `insecure`; the agent keeps it in memory.
   *
   * Sent again when the connection is lost before the answer, which is harmless: the credential that is in force already
   * changes nothing. Without `ifGeneration` the latest swap wins, so one that is sent again can undo what another host did
   * in between. With it, one that had been applied is told from one that came too late by the credential's `id`, so one
   * `id` should not stand for two secrets at the same time.
   *
   * @returns the generation in force
   * @throws `invalid` before anything is sent; a `WireError` with `stale_generation` when another generation than
   * `ifGeneration` is in force, `data.generation`; `agent_unreachable` when no answer came in time: it may be in force all
   * the same
   */
  async swapCredential(credential: Credential, { ifGeneration }: SwapOptions = {}): Promise<number> {
    const { link } = this.#ledger;
    const request = link.prepare('swap_credential', { credential, ifGeneration });
    try {
      // Before it is in force, so that the pool does not take it for one to be replaced.
      await this.#context.pool.pin(this.id, true);
      const { generation } = await link.request(request);
      return generation;
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      const { timesSent } = request;
      const inForce = this.#ledger.credential;
      const generation = generationOfOwnSwap({ error, credentialId: credential.id, timesSent, inForce });
      if (generation === null) throw error;
      return generation;
    }
  }

  /** Lets the fleet's pool choose the agent's credential again, after {@link swapCredential}. */
  async unpinCredential(): Promise<void> {
    await this.#context.pool.pin(this.id, false);
  }

  /**
   * Admits nothing on the agent from now on, and resolves when the drain is over: nothing runs any more, the deadline has
   * passed, or the drain was ended. A connection that is lost meanwhile only makes it wait. The agent stays drained until
   * {@link resumeAdmission}, `ttlMs`, or the end of its sidecar. Two drains are one: the earlier deadline, the stricter
   * choice.
   *
   * @throws `invalid`; `agent_unreachable` when the agent does not answer, or cannot say how the drain ended although its
   * deadline has passed; the signal's reason
   */
  async drain(options: DrainOptions): Promise<DrainResult> {
    return drainOver(this.#ledger, await beginDrain(this.#ledger, options), options);
  }

  /**
   * Ends the drain that stands, whoever asked for it.
   *
   * @returns whether there was one
   * @throws a `WireError` with `draining` when the sidecar stops; `agent_unreachable`
   */
  async resumeAdmission(): Promise<boolean> {
    const { resumed } = await this.#ledger.link.call('resume_admission', {});
    return resumed;
  }

  /**
   * Replaces the agent's container while nothing runs in it: drains it, calls `replace`, and resolves with its result once a
   * new sidecar answers in the old one's place, under the same URL, token and `agentId`.
   *
   * When it rejects and nothing was replaced, the agent admits again, unless another drain stood before. After
   * `not_replaced` it does not: its container may be about to go.
   *
   * @param replace Is called once the agent is drained; with `evenIfNotDrained` whatever came of the drain.
   * @throws `drain_failed` with `data.remaining`: `replace` was not called; whatever `replace` throws; `not_replaced` when
   * no new sidecar has answered `replacedWithinMs` after it; and what {@link drain} throws
   */
  async whileDrained<T>(options: WhileDrainedOptions, replace: (drain: DrainResult) => T | Promise<T>): Promise<T> {
    return whileDrained(this.#ledger, options, { replace, logger: this.#context.logger });
  }

  /** Closes the connection. What runs goes on, and its outcomes wait at the agent for the next connection. */
  async close(): Promise<void> {
    await this.#ledger.detach(sdkError('agent_closed', `the connection to agent ${this.id} was closed`));
  }

  /** As {@link close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
