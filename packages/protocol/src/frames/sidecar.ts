import { z } from 'zod';
import { credentialKindSchema, holdReasonSchema } from '../credential.js';
import { circuitSchema, drainSchema } from '../admission.js';
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

/** Why a run waits, and until when at most. */
export const holdSchema = z.object({
  reason: holdReasonSchema,
  /** Of the credential that was refused; null: there is none. */
  generation: countSchema.nullable(),
  message: z.string(),
  /** Epoch ms at which the run gives up. */
  until: epochMsSchema,
  /** From the provider's own reset time, where it gave one. */
  retryAt: epochMsSchema.optional(),
});
/** A run that waits for another credential. */
export type Hold = z.infer<typeof holdSchema>;

/** Whether the credential in force is good, as far as that is known. */
export const preflightSchema = z.object({
  verdict: z.enum(['good', 'refused', 'unknown']),
  reason: holdReasonSchema.optional(),
  message: z.string().optional(),
  retryAt: epochMsSchema.optional(),
  /** When the provider last said so. */
  seenAt: epochMsSchema.optional(),
});
/** Whether the credential in force is good, as far as that is known. Times are epoch ms. */
export type Preflight = z.infer<typeof preflightSchema>;

/** The machine or container an agent is on. */
export const machineSchema = z.object({
  /** Its clock, as it answered. */
  at: epochMsSchema,
  /** Under the state folder. */
  freeBytes: countSchema,
  /** With less than that nothing is admitted. */
  freeBytesMin: countSchema,
  /** Name of process 1, which has to reap what a killed tree leaves behind; null: not known. */
  init: z.string().nullable(),
});
/** The machine or container an agent is on, where it was asked about. */
export type Machine = z.infer<typeof machineSchema>;

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
  /** Whether Claude Code's requests go through the sidecar's gateway, which alone can hold them and swap credentials. */
  credentialMode: z.enum(['gateway', 'env']),
  /** Rises with each credential the agent is given; null: it has none. */
  generation: countSchema.nullable(),
  credentialId: idSchema.nullable(),
  counts: agentCountsSchema,
  /** The drain that stands; absent: there is none. */
  drain: drainSchema.optional(),
  /** The circuit breaker; absent: it is closed. */
  circuit: circuitSchema.optional(),
  /** Stores of other clients that are connected, where they differ from that of `hello`; absent: there are none. */
  otherStores: z.array(idSchema).optional(),
  /** Subscriptions named in `hello.cursors` that could not be opened, and why. */
  refused: z.array(z.object({ subscription: idSchema, code: wireErrorCodeSchema, message: z.string() })),
});
/** The first frame of a sidecar: who it is, and how it stands. */
export type Welcome = z.infer<typeof welcomeSchema>;

/** An execution as it stands. */
export const executionSummarySchema = z.object({
  executionId: idSchema,
  state: executionStateSchema,
  /** When that state began. */
  since: epochMsSchema,
  attempt: countSchema,
  acceptedAt: epochMsSchema,
  startedAt: epochMsSchema.optional(),
  labels: labelsSchema.optional(),
  /** In state `held`. */
  hold: holdSchema.optional(),
  /** Known from `ending` on, with the end of the logs: nothing behind it is ever delivered. */
  verdict: verdictSchema.optional(),
  end: cursorSchema.optional(),
  outcome: outcomeSchema.optional(),
});
/** An execution as it stands. */
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
  hold: holdSchema.optional(),
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
      lines: z.array(z.string()).min(1),
      /** The offset behind each entry of `lines`. Text cannot tell it: it was redacted, and invalid bytes replaced. */
      ends: z.array(countSchema).min(1),
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

/**
 * Requests wait because the provider refused the agent's credential. Once for each generation and reason, and again on each
 * new connection while any waits.
 */
export const credentialNeededSchema = z.object({
  type: z.literal('credential_needed'),
  at: epochMsSchema,
  /** Of the credential that was refused, for `ifGeneration`; null: there is none. */
  generation: countSchema.nullable(),
  credentialId: idSchema.nullable(),
  reason: holdReasonSchema,
  /** What the provider said. */
  message: z.string(),
  retryAt: epochMsSchema.optional(),
  /** The limit that is used up, as the provider names it, e.g. `five_hour`. */
  window: z.string().optional(),
  /** `model`: the limit is one of some models only, and the credential is good for others. */
  scope: z.enum(['credential', 'model']),
  /** The model that was asked for. */
  model: z.string().optional(),
  /** Executions that wait, at most `executionsNamedMax` of them. */
  executions: z.array(idSchema),
});

/** Another credential is in force. */
export const credentialChangedSchema = z.object({
  type: z.literal('credential_changed'),
  at: epochMsSchema,
  generation: countSchema,
  credentialId: idSchema,
  kind: credentialKindSchema,
});

const rateLimitStatusSchema = z.string();

/** How much of the credential's limits is used, whenever the provider says something new about it. */
export const rateLimitSchema = z.object({
  type: z.literal('rate_limit'),
  at: epochMsSchema,
  generation: countSchema,
  credentialId: idSchema,
  /** `allowed`, `allowed_warning`, `rejected`, or what the provider may yet say. */
  status: rateLimitStatusSchema,
  /** The window that decides, as the provider names it, e.g. `five_hour`. */
  window: z.string().optional(),
  /** When that window begins anew. */
  resetsAt: epochMsSchema.optional(),
  isOverageInUse: z.boolean().optional(),
  /** Each window by the provider's name for it, e.g. `5h`, with the fraction used. */
  windows: z.record(
    z.string(),
    z.object({
      status: rateLimitStatusSchema.optional(),
      utilization: z.number().min(0).optional(),
      resetsAt: epochMsSchema.optional(),
    }),
  ),
});

/** How a drain goes on: when it begins, with each execution that ends, at its deadline and at its end. */
export const drainProgressSchema = drainSchema.extend({ type: z.literal('drain_progress'), at: epochMsSchema });

/** Executions have died young too often. Once for each opening, however many dispatches are refused. */
export const circuitOpenedSchema = circuitSchema.omit({ state: true }).extend({ type: z.literal('circuit_opened') });

/** An execution has succeeded since: the circuit is closed. */
export const circuitClosedSchema = z.object({
  type: z.literal('circuit_closed'),
  at: epochMsSchema,
  /** Of the opening that is over. */
  openedAt: epochMsSchema,
  /** The execution that succeeded. */
  executionId: idSchema,
});

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
/** The one answer to a request. */
export type Reply = z.infer<typeof replySchema>;

/** The `result` of a good reply, by request type. */
export const RESULT_SCHEMAS = {
  /** `known`: the id was dispatched before and this is how it stands. */
  dispatch: executionSummarySchema.extend({ known: z.boolean() }),
  /** `known: false`: the cancel is remembered, a later dispatch of the id ends `cancelled`. */
  cancel: z.object({ known: z.boolean(), state: executionStateSchema.optional() }),
  /** `known`: it was sent before, with the same text. */
  send_message: z.object({ known: z.boolean(), state: executionStateSchema }),
  end_input: z.object({ state: executionStateSchema }),
  subscribe: executionSummarySchema,
  unsubscribe: z.object({}),
  /** The credit the subscription has now. */
  credit: z.object({ creditBytes: countSchema }),
  ack: z.object({}),
  status: z.object({
    agentId: idSchema,
    bootId: z.string(),
    counts: agentCountsSchema,
    drain: drainSchema.optional(),
    circuit: circuitSchema.optional(),
    credentialMode: z.enum(['gateway', 'env']),
    generation: countSchema.nullable(),
    credentialId: idSchema.nullable(),
    preflight: preflightSchema.optional(),
    machine: machineSchema.optional(),
    execution: executionSummarySchema.optional(),
  }),
  /** `generation`: the one in force now. `changed`: whether the credential is another one than before. */
  swap_credential: z.object({ generation: countSchema, changed: z.boolean() }),
  /** `joined`: a drain stood already, and the two are one now. */
  drain: drainSchema.extend({ joined: z.boolean() }),
  /** `resumed`: a drain stood. */
  resume_admission: z.object({ resumed: z.boolean() }),
} as const satisfies Record<RequestType, z.ZodType>;

/** What a request is answered with when it succeeds. */
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
  credential_needed: credentialNeededSchema,
  credential_changed: credentialChangedSchema,
  rate_limit: rateLimitSchema,
  drain_progress: drainProgressSchema,
  circuit_opened: circuitOpenedSchema,
  circuit_closed: circuitClosedSchema,
  error: errorFrameSchema,
} as const;

/** The name of a frame that a sidecar sends. */
export type SidecarFrameType = keyof typeof SIDECAR_FRAME_SCHEMAS;
/** A frame of a sidecar by its name; without one, any. */
export type SidecarFrame<T extends SidecarFrameType = SidecarFrameType> = {
  [K in T]: z.infer<(typeof SIDECAR_FRAME_SCHEMAS)[K]>;
}[T];
