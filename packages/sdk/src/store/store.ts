import { type Cursor, type Outcome } from '@outrigger/protocol';

/** What a store knows of an execution. */
export interface ExecutionRecord {
  readonly executionId: string;
  /** The agent it was dispatched to. */
  readonly agentId: string;
  /** Epoch ms, by the host's clock. */
  readonly createdAt: number;
  /** What the agent's sidecar remembered by then goes by this name; absent: it has not said. */
  readonly journalId?: string;
  readonly conclusion?: Conclusion;
}

/** How an execution ended. */
export interface Conclusion {
  readonly outcome: Outcome;
  /** End of its output. */
  readonly end: Cursor;
  /** Whether `onOutcome` has taken it; only then may it be acknowledged. */
  readonly isHandled: boolean;
}

/**
 * Where a host remembers what it dispatched and how that ended. A projection: the sidecars can always rebuild it.
 *
 * Every method is atomic, and what it wrote is there once it resolves. `describeStore` in `store/contract.ts` is the
 * suite an adapter has to pass.
 */
export interface Store {
  /** Adds a record. One with the same id gives way, unless it has a conclusion. */
  putExecution(record: Omit<ExecutionRecord, 'conclusion'>): Promise<void>;
  getExecution(executionId: string): Promise<ExecutionRecord | undefined>;
  /** Forgets a record that has no conclusion, because the agent refused the dispatch. */
  deleteExecution(executionId: string): Promise<void>;
  /** Records of one agent, oldest first. */
  listExecutions(agentId: string): Promise<ExecutionRecord[]>;
  /**
   * Records how an execution ended. The first outcome stays; only a presumed `lost` gives way to another status, and is
   * to be handled anew then.
   *
   * @returns what holds now; `isNew`: this call has put it there
   * @throws `unknown_execution`
   */
  recordOutcome(outcome: Outcome, end: Cursor): Promise<Conclusion & { isNew: boolean }>;
  /** Notes that `onOutcome` has taken the outcome. @throws `unknown_execution` */
  markHandled(executionId: string): Promise<void>;
  /** Ends what the store holds open. Records of a store that outlives the process stay. */
  close(): Promise<void>;
}
