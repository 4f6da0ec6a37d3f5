import { z } from 'zod';
import { WIRE_ERRORS, type WireErrorCode } from '../errors.js';
import { outcomeSchema, verdictSchema } from '../outcome.js';
import { countSchema, cursorSchema, epochMsSchema, executionStateSchema, idSchema, logSchema } from '../values.js';
import { type RequestType } from './client.js';
import { labelsSchema } from './dispatch.js';

/** What a sidecar sends. Objects are open: a client ignores fields it does not know, so that a sidecar can add some. */

const wireErrorCodeSchema = z.enum(Object.keys(WIRE_ERRORS) as [WireErrorCode, ...WireErrorCode[]]);

/** What an agent is doing, counted from its live executions. */
export const agentCountsSchema = z.object({
  live: countSchema,
  queued: countSchema,
  maxExecutions: countSchema,
  unacknowledged: countSchema,
});

export const welcomeSchema = z.object({
  type: z.literal('welcome'),
  version: z.int(),
  agentId: idSchema,
  /** Names the state folder: another one means that what the last one knew is gone. */
  journalId: z.string(),
  /** Names the sidecar process. */
  bootId: z.string(),
  sidecarVersion: z.string(),
  claudeVersion: z.string().nullable(),
  capabilities: z.array(z.string()),
  /** How the processes of a run are told from others, best first; see `survivors` of an outcome. */
  killMethods: z.array(z.enum(['cgroup', 'rlimit', 'lineage'])),
  /** Whether the CLI can reach the sidecar's memory, files and credentials. */
  isolation: z.enum(['none', 'uid']),
  limits: z.record(z.string(), z.number()),
  /** Of the credential in force; null: there is none. */
  generation: countSchema.nullable(),
  counts: agentCountsSchema,
  /** Subscriptions named in `hello.cursors` that could not be opened, and why. */
  refused: z.array(z.object({ subscription: idSchema, code: wireErrorCodeSchema, message: z.string() })),
});
export type Welcome = z.infer<typeof welcomeSchema>;

/** An execution as it stands. */
export const executionSummarySchema = z.object({
  executionId: idSchema,
  state: executionStateSchema,
  attempt: countSchema,
  acceptedAt: epochMsSchema,
  startedAt: epochMsSchema.optional(),
  labels: labelsSchema.optional(),
  /** Known from `ending` on, with the end of the logs: nothing behind it is ever delivered. */
  verdict: verdictSchema.optional(),
  end: cursorSchema.optional(),
  outcome: outcomeSchema.optional(),
});
export type ExecutionSummary = z.infer<typeof executionSummarySchema>;

/** Every execution not yet acknowledged, in pages; the last page has `more: false`. */
export const snapshotSchema = z.object({
  type: z.literal('snapshot'),
  executions: z.array(executionSummarySchema),
  more: z.boolean(),
});

export const stateSchema = z.object({
  type: z.literal('state'),
  executionId: idSchema,
  state: executionStateSchema,
  at: epochMsSchema,
  attempt: countSchema,
  verdict: verdictSchema.optional(),
  end: cursorSchema.optional(),
});

const batchFields = {
  subscription: idSchema,
  executionId: idSchema,
  attempt: z.int().min(1),
  /** Byte offsets into the log: this frame covers [start, end). */
  start: countSchema,
  end: countSchema,
};

/**
 * A batch of lines, without their line ends. With `continues` the last entry is the beginning, or a further part, of a
 * line that goes on in the next frame of this log.
 */
const linesSchema = <T extends 'output' | 'stderr'>(type: T) =>
  z
    .object({
      type: z.literal(type),
      ...batchFields,
      lines: z.array(z.string()),
      /** The offset behind each entry of `lines`. Text cannot tell it: it was redacted, and invalid bytes replaced. */
      ends: z.array(countSchema),
      continues: z.literal(true).optional(),
    })
    .refine(({ lines, ends }) => ends.length === lines.length, {
      path: ['ends'],
      message: 'must have one entry for each of lines',
    })
    .refine(({ start, end, ends }) => ends.at(-1) === end && ends.every((at, n) => at > (ends[n - 1] ?? start)), {
      path: ['ends'],
      message: 'must ascend from behind start up to end',
    });
export const outputSchema = linesSchema('output');
export const stderrSchema = linesSchema('stderr');

/** Bytes [start, end) of a log that are not delivered. */
export const gapSchema = z.object({
  type: z.literal('gap'),
  ...batchFields,
  log: logSchema,
  reason: z.enum(['line_too_long', 'removed', 'retention']),
});

/** The outcome. Needs no credit, so it can overtake output; no output reaches beyond `end`. */
export const outcomeFrameSchema = z.object({ type: z.literal('outcome'), outcome: outcomeSchema, end: cursorSchema });

/** Sent right before a close whose fault is the client's, to say what was wrong. */
export const errorFrameSchema = z.object({ type: z.literal('error'), code: z.string(), message: z.string() });

/** The one answer to a request. */
export const replySchema = z.discriminatedUnion('ok', [
  z.object({ type: z.literal('reply'), id: idSchema, ok: z.literal(true), result: z.record(z.string(), z.unknown()) }),
  z.object({
    type: z.literal('reply'),
    id: idSchema,
    ok: z.literal(false),
    error: z.object({
      code: wireErrorCodeSchema,
      message: z.string(),
      data: z.record(z.string(), z.unknown()).optional(),
    }),
  }),
]);
export type Reply = z.infer<typeof replySchema>;

/** The `result` of a good reply, by request type. */
export const RESULT_SCHEMAS = {
  /** `known`: the id was dispatched before and this is how it stands. */
  dispatch: executionSummarySchema.extend({ known: z.boolean() }),
  /** `known: false`: the cancel is remembered, a later dispatch of the id ends `cancelled`. */
  cancel: z.object({ known: z.boolean(), state: executionStateSchema.optional() }),
  subscribe: executionSummarySchema,
  unsubscribe: z.object({}),
  /** The credit the subscription has now. */
  credit: z.object({ creditBytes: countSchema }),
  ack: z.object({}),
  status: z.object({
    agentId: idSchema,
    bootId: z.string(),
    counts: agentCountsSchema,
    generation: countSchema.nullable(),
    execution: executionSummarySchema.optional(),
  }),
} as const satisfies Record<RequestType, z.ZodType>;

export type Result<T extends RequestType> = z.infer<(typeof RESULT_SCHEMAS)[T]>;

/** Every frame a sidecar can send, by type. */
export const SIDECAR_FRAME_SCHEMAS = {
  welcome: welcomeSchema,
  snapshot: snapshotSchema,
  reply: replySchema,
  state: stateSchema,
  output: outputSchema,
  stderr: stderrSchema,
  gap: gapSchema,
  outcome: outcomeFrameSchema,
  error: errorFrameSchema,
} as const;

export type SidecarFrameType = keyof typeof SIDECAR_FRAME_SCHEMAS;
export type SidecarFrame<T extends SidecarFrameType = SidecarFrameType> = {
  [K in T]: z.infer<(typeof SIDECAR_FRAME_SCHEMAS)[K]>;
}[T];
