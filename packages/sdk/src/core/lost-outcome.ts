import { type Outcome, OUTCOME_REASONS, type ReasonOf } from '@outrigger/protocol';

/** What is known of an execution whose agent knows nothing of it. */
export interface LostExecution {
  readonly executionId: string;
  /** Epoch ms at which it was dispatched. */
  readonly dispatchedAt: number;
  /** Processes it has had, as far as was heard. */
  readonly attempts: number;
}

/** The outcome of an execution that is presumed lost; evidence replaces it. */
export function lostOutcome(
  { executionId, dispatchedAt, attempts }: LostExecution,
  reason: ReasonOf<'lost'>,
  nowMs: number,
): Outcome {
  const { status, meaning, retryable } = OUTCOME_REASONS[reason];
  return {
    executionId,
    status,
    reason,
    message: meaning,
    retryable,
    exit: { code: null, signal: null },
    survivors: null,
    attempts,
    acceptedAt: dispatchedAt,
    endedAt: nowMs,
    closedAt: nowMs,
    heldMs: 0,
  };
}
