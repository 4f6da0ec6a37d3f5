import { type Cursor, type Outcome } from '@outrigger/protocol';

/** Which execution a record is of: it belongs to the first agent that it was dispatched to. */
export interface ExecutionKey {
  readonly agentId: string;
  readonly executionId: string;
}

/** What a store knows of an execution. */
export interface ExecutionRecord extends ExecutionKey {
  /** Epoch ms, by the host's clock. */
  readonly createdAt: number;
  /** What the agent's sidecar remembered by then goes by this name; absent: it has not said. */
  readonly journalId?: string;
  /** Limits of which the execution holds a permit. */
  readonly limits?: readonly string[];
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

/** How an execution ended, as it is to be recorded. */
export interface Evidence {
  readonly agentId: string;
  readonly outcome: Outcome;
  readonly end: Cursor;
  /** Of the agent's lease. Needed for a presumed outcome; what an agent has said itself needs none. */
  readonly fence?: number;
}

/** Who wants to handle an outcome, and for how long nobody else may. */
export interface Claimant {
  readonly holder: string;
  readonly ttlMs: number;
}

/** What holds for an execution once an outcome was recorded. */
export interface Recorded extends Conclusion {
  /** The caller may handle the outcome, under this claim; null: it was handled, or somebody else is at it. */
  readonly claim: number | null;
  /** For how long somebody else may still be at it; 0: nobody is. */
  readonly claimedForMs: number;
  readonly limits: readonly string[];
}

/** Open records of an agent, and the ids of those that cannot be read. */
export interface OpenExecutions {
  readonly records: ExecutionRecord[];
  readonly unreadable: string[];
}

/** A permit of a limit, held by an execution. */
export interface Permit {
  readonly executionId: string;
  readonly heldForMs: number;
}

/** A value that hosts share, and the name of its state. */
export interface Document {
  readonly value: unknown;
  /** Null: there is no such document. */
  readonly version: string | null;
}

/**
 * Where the hosts of a fleet remember what was dispatched and how it ended, and settle who does what. A projection: the
 * sidecars can always rebuild it.
 *
 * Every method is atomic, can be repeated without harm, and what it wrote is there once it resolves. One that is not
 * answered in time rejects with `store_unavailable`, and may have been carried out. `describeStore` in
 * `store/contract.ts` is the suite an adapter has to pass.
 */
export interface Store {
  /** Names what is stored: hosts that see the same name share it. An id as the protocol has it. */
  id(): Promise<string>;

  /**
   * Notes that an execution is about to be dispatched, by `dispatchId`, which is unique for each call. A record that is there is brought up to date, unless it has a conclusion.
   *
   * @throws `wrong_agent` when the id belongs to another agent; `data.agentId`
   */
  putExecution(record: Omit<ExecutionRecord, 'conclusion'>, dispatchId: string): Promise<void>;
  /** Takes back what `putExecution` has noted under `dispatchId`. Without a conclusion and another dispatch, the record goes. */
  withdrawExecution(key: ExecutionKey, dispatchId: string): Promise<void>;
  /** Forgets an open record, unless it was concluded or put again since it was read. @throws `stale_fence` */
  forgetExecution(record: ExecutionRecord, fence: number): Promise<void>;
  /** @throws `unreadable_record` */
  getExecution(executionId: string): Promise<ExecutionRecord | undefined>;
  /** Records of one agent without a conclusion, or with a presumed one that nobody has handled yet; oldest first. */
  openExecutions(agentId: string): Promise<OpenExecutions>;

  /**
   * Records how an execution ended, known or not, which frees what it held on its agent, and claims its handling. The first
   * outcome stays; only a presumed `lost` gives way to another status, is marked as `corrected` then, and to be handled anew.
   * A claim that the claimant holds already is prolonged.
   *
   * @throws `stale_fence`, `wrong_agent`
   */
  recordOutcome(evidence: Evidence, claimant: Claimant): Promise<Recorded>;
  /** Lets somebody else handle the outcome. One that is not held any more changes nothing. */
  releaseClaim(key: ExecutionKey, claim: number): Promise<void>;
  /** Notes that `onOutcome` has taken the outcome. @returns false when the claim is not held any more: it was not noted */
  markHandled(key: ExecutionKey, claim: number): Promise<boolean>;

  /** Notes that an agent can be reached. */
  touchAgent(agentId: string): Promise<void>;
  /** For how long no host has reached an agent; null: none ever has. */
  unseenForMs(agentId: string): Promise<number | null>;
  /** Every agent that was seen, and not dropped since. */
  agents(): Promise<string[]>;
  /** Forgets an agent that is gone for good. */
  dropAgent(agentId: string): Promise<void>;

  /**
   * Lets one holder at a time act on an agent. Who holds the lease already has it prolonged.
   *
   * @param above The fence will be higher than this: what a sidecar has seen already.
   * @returns the fence of the lease, which is higher than that of every lease before; null: somebody else holds it
   */
  acquireLease(agentId: string, claimant: Claimant, above?: number): Promise<number | null>;
  /** Gives a lease back. One that is not held any more changes nothing. */
  releaseLease(agentId: string, fence: number): Promise<void>;

  /** Takes a permit of a limit, unless `max` others hold one. @returns whether the execution holds one now */
  takePermit(limit: string, executionId: string, max: number): Promise<boolean>;
  /** Gives a permit back. One that is not held changes nothing. */
  returnPermit(limit: string, executionId: string): Promise<void>;
  /** The permits of a limit that are held, the oldest first. */
  permits(limit: string): Promise<Permit[]>;

  /** Reads a document that hosts share. */
  readDocument(name: string): Promise<Document>;
  /**
   * Replaces a document if it still is as it was read.
   *
   * @param change `ifVersion` is that of `readDocument`; `version` a new unique one.
   * @returns false: somebody else has replaced it
   */
  writeDocument(name: string, change: { value: unknown; ifVersion: string | null; version: string }): Promise<boolean>;

  /** Ends what the store holds open. Records of a store that outlives the process stay. */
  close(): Promise<void>;
}

/** The part of a store that keeps execution records. */
export type ExecutionStore = Pick<
  Store,
  | 'putExecution'
  | 'withdrawExecution'
  | 'forgetExecution'
  | 'getExecution'
  | 'openExecutions'
  | 'recordOutcome'
  | 'releaseClaim'
  | 'markHandled'
>;
