import {
  type Circuit,
  type Cursor,
  type ExecutionState,
  type Hold,
  type Log,
  type Outcome,
  type OutriggerError,
  type SidecarFrame,
} from '@outrigger/protocol';

import { type SwitchReason } from './core/pool/state.js';
import { type ExpiryWarning } from './credentials/expiry-warnings.js';
import { type Execution } from './execution.js';
import { type AgentReport } from './reconciler.js';
import { type Store } from './store/store.js';

/** A notice's fields, without the frame's name. */
type NoticeOf<T extends CredentialNotice['type']> = Omit<SidecarFrame<T>, 'type'>;

/** What an agent tells of its credential, as a frame. @internal */
export type CredentialNotice = SidecarFrame<'credential_needed' | 'credential_changed' | 'rate_limit'>;

/** The fleet's event for each of them. @internal */
export const CREDENTIAL_EVENTS = {
  credential_needed: 'credentialNeeded',
  credential_changed: 'credentialChanged',
  rate_limit: 'rateLimit',
} as const satisfies Record<CredentialNotice['type'], keyof FleetEvents>;

/** The verdict on an execution as soon as it is known; `at` in epoch ms. */
export type Decision = NonNullable<SidecarFrame<'state'>['verdict']>;

/** The provider refuses the agent's credential, as the agent tells it. Times in epoch ms; it never holds a secret. */
export type CredentialNeeded = NoticeOf<'credential_needed'>;

/** Another credential is in force on an agent. `at` in epoch ms. */
export type CredentialChanged = NoticeOf<'credential_changed'>;

/** How much of the limits of an agent's credential is used; `utilization` is a fraction, times are epoch ms. */
export type RateLimit = NoticeOf<'rate_limit'>;

/**
 * Where an execution is in its life. States come as the agent told of them, so one may stand behind the output. That a
 * run waits for a credential is a {@link HoldEvent}; it is where it was once it goes on.
 */
export interface StateEvent {
  type: 'state';
  state: Exclude<ExecutionState, 'held'>;
  /** Epoch ms, by the agent's clock. */
  at: number;
  /** Which process of the execution, from 1; there are several only with `onCredentialFailure: 'resume'`. */
  attempt: number;
  /** From `ending` on. */
  verdict?: Decision;
}

/**
 * The provider refuses the agent's credential, and the run waits for another one: until `until`, nothing of it is lost.
 * One right after another says that the next credential was refused as well, or that the release between was not heard.
 */
export interface HoldEvent extends Hold {
  type: 'hold';
  /** Since when, in epoch ms. */
  at: number;
  attempt: number;
}

/** The run goes on. A run that ends while it is held has a state and an outcome, and no such event. */
export interface ReleasedEvent {
  type: 'released';
  /** Epoch ms. */
  at: number;
  /** The attempt that goes on: another one where the run is resumed. */
  attempt: number;
  /** Of the credential in force; left out where it is not known. */
  generation?: number;
}

/** News of the limits of the credential the run uses. Of those a reader has not taken yet only the latest stays. */
export interface RateLimitEvent extends RateLimit {
  type: 'rate_limit';
}

/** A line of Claude Code's stream. */
export interface MessageEvent {
  type: 'message';
  /** The line as it was printed. */
  line: string;
  /** The line's JSON object; left out where it is none. */
  message?: Record<string, unknown>;
  /** Error text printed as if it were an answer: never show it as one. */
  quarantined: boolean;
  cursor: Cursor;
}

/** A line of stderr. */
export interface StderrEvent {
  type: 'stderr';
  line: string;
  cursor: Cursor;
}

/** Bytes [start, end) of a log that cannot be delivered. */
export interface GapEvent {
  type: 'gap';
  log: Log;
  start: number;
  end: number;
  reason: SidecarFrame<'gap'>['reason'];
  cursor: Cursor;
}

/** Always the last event. */
export interface OutcomeEvent {
  type: 'outcome';
  outcome: Outcome;
}

/**
 * What an execution's iterator yields.
 *
 * A `cursor` is where to go on reading after the event, with `events({ from })`: it gives all the lines that had not come
 * by then, and no other.
 */
export type ExecutionEvent =
  StateEvent | MessageEvent | StderrEvent | HoldEvent | ReleasedEvent | RateLimitEvent | GapEvent | OutcomeEvent;

/** How a drain of an agent goes on. Times in epoch ms. */
export type DrainProgress = Omit<SidecarFrame<'drain_progress'>, 'type'>;

/**
 * Executions on an agent died young too often in a row, and it admits nothing until `retryAt`. `openedAt` names the opening.
 * Times in epoch ms.
 */
export type CircuitOpened = Omit<Circuit, 'state'>;

/** An agent's circuit is closed. Left out is what was not heard of because the connection was down. */
export interface CircuitClosed {
  /** Of the opening that is over, in epoch ms. */
  openedAt: number;
  at?: number;
  /** The execution that succeeded. */
  executionId?: string;
}

/** News of an agent's admission, under the name of the fleet's event. @internal */
export type AdmissionEvent =
  | { name: 'drainProgress'; event: DrainProgress }
  | { name: 'circuitOpened'; event: CircuitOpened }
  | { name: 'circuitClosed'; event: CircuitClosed };

/** An agent has another credential. */
export interface CredentialSwitched {
  agentId: string;
  /** The one it had; null: none of which the name was known. */
  from: string | null;
  to: string;
  generation: number;
  reason: SwitchReason;
}

/** This host asks an agent to take an execution. Times in epoch ms. */
export interface Dispatching {
  agentId: string;
  executionId: string;
  at: number;
}

/** What came of it. `known`: the agent had it already. Left out is `execution` after an error, and `error` without. */
export interface Dispatched extends Dispatching {
  afterMs: number;
  known: boolean;
  execution?: Execution;
  error?: unknown;
}

/** Something failed in the store, or it did not answer in time. What was refused by its rules is no failure of it. */
export interface StoreFailed {
  operation: Exclude<keyof Store, 'close'>;
  error: unknown;
}

/** Events of a fleet, by name, with their arguments. */
export interface FleetEvents {
  /** A connection was lost and is being made anew, for ever. Once per outage. */
  agentUnreachable: [{ agentId: string; error: OutriggerError }];
  /** The connection is back, and everything the agent knows has been taken in. */
  agentBack: [{ agentId: string }];
  /**
   * Requests on an agent wait for another credential; `agent.swapCredential` gives it one. Once for each generation and
   * reason, and again with each connection while any waits.
   */
  credentialNeeded: [{ agentId: string } & CredentialNeeded];
  /** Another credential is in force, whoever put it there. */
  credentialChanged: [{ agentId: string } & CredentialChanged];
  /** The provider has said something new about the limits of an agent's credential. */
  rateLimit: [{ agentId: string } & RateLimit];
  /** The pool has given an agent another credential. By the host that did it, so once for each switch. */
  credentialSwitched: [CredentialSwitched];
  /** No credential is left for some agent; `until` is the earliest time at which one is good again. Once in a fleet. */
  credentialsExhausted: [{ since: number; until: number | null }];
  /** A credential of the pool comes to its end. Once for each threshold. */
  credentialExpiring: [ExpiryWarning];
  /** A drain goes on: it has begun, an execution has ended, its deadline has passed, or it has ended. Whoever asked for it. */
  drainProgress: [{ agentId: string } & DrainProgress];
  /** An agent admits nothing because executions die young on it. Once for each opening. */
  circuitOpened: [{ agentId: string } & CircuitOpened];
  /** It admits again. */
  circuitClosed: [{ agentId: string } & CircuitClosed];
  /**
   * Hosts with other stores are connected to an agent. An outcome goes to whichever acknowledges it first, so each of them misses
   * some: give all of them the same `redisStore`. Told by whoever connected last.
   */
  splitStore: [{ agentId: string; storeIds: string[] }];
  /**
   * An execution that was presumed lost has ended otherwise, and `onOutcome` has taken that. By the host that has handled it, so
   * once in a fleet.
   */
  outcomeCorrected: [{ agentId: string; outcome: Outcome }];
  /** `onOutcome` has taken an outcome. By the host that has handled it, so once in a fleet, and again when it is corrected. */
  outcomeHandled: [{ agentId: string; outcome: Outcome }];
  /** This host dispatches an execution on an agent; `fleet.dispatch` may try several, one after the other. */
  dispatching: [Dispatching];
  /** The dispatch was answered, or has failed. */
  dispatched: [Dispatched];
  /** An execution goes on, as this host hears it: its state, a hold, a release. Once each, whoever dispatched it. */
  executionStep: [{ agentId: string; executionId: string; event: StateEvent | HoldEvent | ReleasedEvent }];
  /** An agent was reconciled, or that has failed: with each connection, from time to time, and when asked for. */
  reconciled: [AgentReport];
  /** The store has failed. What was to be done is tried again where it has to be done. */
  storeFailed: [StoreFailed];
  /** `onOutcome` or the store failed; it is tried again, and the outcome stays unacknowledged until it succeeds. */
  outcomeHandlerFailed: [{ agentId: string; executionId: string; error: unknown; failures: number }];
}
