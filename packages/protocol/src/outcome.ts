import { z } from 'zod';
import { OUTCOME_REASONS, OUTCOME_STATUSES, type OutcomeReason, type OutcomeStatus } from './outcome-reasons.js';
import { countSchema, epochMsSchema, idSchema } from './values.js';

export const outcomeStatusSchema = z.enum(OUTCOME_STATUSES);
export const outcomeReasonSchema = z.enum(Object.keys(OUTCOME_REASONS) as [OutcomeReason, ...OutcomeReason[]]);

function reasonsOf(status: OutcomeStatus): string[] {
  return Object.keys(OUTCOME_REASONS).filter((reason) => OUTCOME_REASONS[reason as OutcomeReason].status === status);
}

/** Tokens used, as Claude Code reports them. */
export const usageSchema = z.object({
  inputTokens: countSchema,
  outputTokens: countSchema,
  cacheCreationInputTokens: countSchema.optional(),
  cacheReadInputTokens: countSchema.optional(),
});
/** Tokens used, as Claude Code reports them. */
export type Usage = z.infer<typeof usageSchema>;

/** The verdict as soon as it is known, before the tree is proved dead. Times are epoch ms. */
export const verdictSchema = z.object({
  status: outcomeStatusSchema,
  reason: outcomeReasonSchema,
  at: epochMsSchema,
  message: z.string(),
});

/** The one terminal verdict on an execution, with what is known about it. */
export const outcomeSchema = z
  .object({
    executionId: idSchema,
    status: outcomeStatusSchema,
    reason: outcomeReasonSchema,
    /** For people; never holds a secret. */
    message: z.string(),
    retryable: z.boolean(),
    /** From the provider's own reset time, where it gave one. */
    retryAt: epochMsSchema.optional(),
    /** The text of the final result, cut at `resultBytesMax`. */
    result: z.string().optional(),
    resultTruncated: z.literal(true).optional(),
    /** Claude Code's session, for `resume`. */
    sessionId: z.string().optional(),
    model: z.string().optional(),
    turns: countSchema.optional(),
    costUsd: z.number().optional(),
    usage: usageSchema.optional(),
    /** Both null when the process was never started, or was not our child any more. */
    exit: z.object({ code: z.int().nullable(), signal: z.string().nullable() }),
    /** Processes found alive after the kill; null: could not be determined. */
    survivors: countSchema.nullable(),
    attempts: countSchema,
    acceptedAt: epochMsSchema,
    startedAt: epochMsSchema.optional(),
    /** When the deciding thing happened: a deadline, the final result, the exit. */
    endedAt: epochMsSchema,
    /** When this was sent, the tree dead and the slot free. */
    closedAt: epochMsSchema,
    /** Milliseconds spent held for a credential. */
    heldMs: countSchema,
    /** The last credential used. */
    credential: z.object({ id: z.string(), generation: countSchema }).optional(),
    /** A presumed `lost` that evidence replaced. */
    corrected: z.literal(true).optional(),
  })
  .refine((outcome) => OUTCOME_REASONS[outcome.reason].status === outcome.status, {
    path: ['reason'],
    message: 'belongs to another status',
  })
  .meta({
    anyOf: OUTCOME_STATUSES.map((status) => ({
      properties: { status: { const: status }, reason: { enum: reasonsOf(status) } },
    })),
  });
/** The one terminal verdict on an execution, with what is known about it. */
export type Outcome = z.infer<typeof outcomeSchema>;
