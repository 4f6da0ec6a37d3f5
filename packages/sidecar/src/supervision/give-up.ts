import { type Outcome, OUTCOME_REASONS } from '@outrigger/protocol';
import { type JournalledExecution } from '../core/journal-state.js';

/** The outcome of an execution of which something is written down that makes no sense. */
export function unreadableOutcome({ accepted, attempts }: JournalledExecution, survivors: number | null): Outcome {
  const now = Date.now();
  return {
    executionId: accepted.id,
    status: 'failed',
    reason: 'crashed',
    message: 'What was written down of it cannot be understood; the log of the sidecar has the cause.',
    retryable: OUTCOME_REASONS.crashed.retryable,
    exit: { code: null, signal: null },
    survivors,
    attempts: attempts.length,
    acceptedAt: Math.round(accepted.acceptedAtEpochMs),
    endedAt: now,
    closedAt: now,
    heldMs: 0,
  };
}
