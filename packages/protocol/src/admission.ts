import { z } from 'zod';
import { outcomeReasonSchema } from './outcome.js';
import { countSchema, epochMsSchema, idSchema } from './values.js';

/** Why an agent admits nothing although it could: it is being drained, or its circuit breaker is open. */

/** What becomes of what still runs at a drain's deadline: it goes on and the drain has failed, or it is cancelled. */
export const atDeadlineSchema = z.enum(['leave', 'cancel']);
/** What becomes of what still runs at the deadline of a drain. */
export type AtDeadline = z.infer<typeof atDeadlineSchema>;

/**
 * A drain as it stands. Nothing is admitted until it has ended.
 *
 * ```
 *   draining ──deadline, cancel──► cancelling ──► drained
 *      │ └─────────────nothing runs──────────────► ▲
 *      └──deadline, leave──► failed ──nothing runs─┘        any of them ──resumed, expired──► ended
 * ```
 */
export const drainSchema = z.object({
  /** Names it for as long as it stands; a drain that is asked for after one has failed is another one. */
  drainId: z.string(),
  state: z.enum(['draining', 'cancelling', 'failed', 'drained', 'ended']),
  startedAt: epochMsSchema,
  deadlineAt: epochMsSchema,
  atDeadline: atDeadlineSchema,
  /** When it ends by itself; absent: it does not. */
  expiresAt: epochMsSchema.optional(),
  /** The sidecar stops once it is over; admission is not resumed. */
  isFinal: z.boolean(),
  /** Executions that still run, at most `executionsNamedMax` of them. */
  remaining: z.array(idSchema),
  remainingCount: countSchema,
  /** In state `ended`: somebody resumed admission, or nobody renewed the drain. */
  cause: z.enum(['resumed', 'expired']).optional(),
});
/** A drain as it stands. */
export type Drain = z.infer<typeof drainSchema>;

/** A circuit breaker that is not closed. Times are epoch ms. */
export const circuitSchema = z.object({
  /** `half_open`: the cooldown is over, and one execution is let in to try. */
  state: z.enum(['open', 'half_open']),
  openedAt: epochMsSchema,
  /** When an execution is let in again, as far as can be told. */
  retryAt: epochMsSchema,
  /** How often it has opened since it was last closed. */
  openings: countSchema,
  /** The execution whose young death opened it, and what it died of. */
  executionId: idSchema,
  reason: outcomeReasonSchema,
});
/** A circuit breaker that is not closed. Times are epoch ms. */
export type Circuit = z.infer<typeof circuitSchema>;
