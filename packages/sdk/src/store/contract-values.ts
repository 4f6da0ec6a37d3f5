import { type Outcome } from '@outrigger/protocol';

/** A good outcome, for tests of stores. */
export function outcomeOf(executionId: string, rest: Partial<Outcome> = {}): Outcome {
  return {
    executionId,
    status: 'succeeded',
    reason: 'completed',
    message: 'done',
    retryable: false,
    exit: { code: 0, signal: null },
    survivors: 0,
    attempts: 1,
    acceptedAt: 1,
    endedAt: 2,
    closedAt: 3,
    heldMs: 0,
    ...rest,
  };
}
