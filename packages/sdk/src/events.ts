import {
  type Cursor,
  type ExecutionState,
  type Log,
  type Outcome,
  type OutriggerError,
  type SidecarFrame,
} from '@outrigger/protocol';

/** The verdict on an execution as soon as it is known; `at` in epoch ms. */
export type Decision = NonNullable<SidecarFrame<'state'>['verdict']>;

/** Where an execution is in its life. States come as the agent told of them, so one may stand behind the output. */
export interface StateEvent {
  type: 'state';
  state: ExecutionState;
  /** Epoch ms, by the agent's clock. */
  at: number;
  /** From `ending` on. */
  verdict?: Decision;
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
export type ExecutionEvent = StateEvent | MessageEvent | StderrEvent | GapEvent | OutcomeEvent;

/** Events of a fleet, by name, with their arguments. */
export interface FleetEvents {
  /** A connection was lost and is being made anew, for ever. Once per outage. */
  agentUnreachable: [{ agentId: string; error: OutriggerError }];
  /** The connection is back, and everything the agent knows has been taken in. */
  agentBack: [{ agentId: string }];
  /** `onOutcome` or the store failed; it is tried again, and the outcome stays unacknowledged until it succeeds. */
  outcomeHandlerFailed: [{ agentId: string; executionId: string; error: unknown; failures: number }];
}
