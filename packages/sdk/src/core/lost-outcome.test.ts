import { OUTCOME_REASONS } from '@outrigger/protocol';
import { expect, it } from 'vitest';
import { lostOutcome } from './lost-outcome.js';

it('an execution that is presumed lost has an outcome that claims nothing else (R3)', () => {
  const lost = lostOutcome({ executionId: 'a', dispatchedAt: 5, attempts: 2 }, 'sidecar_restarted', 9);
  expect(lost).toEqual({
    executionId: 'a',
    status: 'lost',
    reason: 'sidecar_restarted',
    message: OUTCOME_REASONS.sidecar_restarted.meaning,
    retryable: true,
    exit: { code: null, signal: null },
    survivors: null,
    attempts: 2,
    acceptedAt: 5,
    endedAt: 9,
    closedAt: 9,
    heldMs: 0,
  });
});
