import { z } from 'zod';
import { credentialFailurePolicySchema } from '../credential.js';
import { type DurationLimit, DURATIONS, LIMITS } from '../limits.js';
import { fitsMessage, TOO_LONG } from './message.js';

/*
 * What a refinement checks and JSON Schema can say is said again in `meta`, from which the published schema has it.
 */

/** Text that becomes an argument of a process: no NUL, which ends an argument. */
const argumentSchema = z.string().regex(/^[^\0]*$/, 'must not contain a NUL character');

const nameSchema = argumentSchema.min(1).max(256);
const listSchema = z.array(argumentSchema.min(1)).max(LIMITS.listEntriesMax);
const durationSchema = (limit: DurationLimit) => z.int().min(1).max(limit.maxMs);

/** An object with names of the caller's choice. Zod leaves a name `__proto__` out in silence, so it is refused before. */
const named = <Value extends z.ZodType>(name: z.ZodString, value: Value) =>
  z
    .unknown()
    .superRefine((object, context) => {
      if (typeof object !== 'object' || object === null || !Object.hasOwn(object, '__proto__')) return;
      context.addIssue({ code: 'custom', path: ['__proto__'], message: 'is not allowed as a name' });
    })
    .pipe(z.record(name, value));

/** A label: `name: value`, for placement and for people. */
export const labelsSchema = named(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$/), z.string().max(256))
  .refine((labels) => Object.keys(labels).length <= LIMITS.listEntriesMax, 'too many labels')
  .meta({ maxProperties: LIMITS.listEntriesMax });

const environmentSchema = named(
  z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,255}$/, 'not a name for an environment variable'),
  argumentSchema,
)
  .refine((env) => Object.keys(env).length <= LIMITS.listEntriesMax, 'too many variables')
  .meta({ maxProperties: LIMITS.listEntriesMax });

/** What to run. Every field but `prompt` has a default. Durations in milliseconds. */
export const dispatchRequestSchema = z
  .strictObject({
    prompt: z.string().min(1),
    /** Absolute; default: the sidecar's own working directory. */
    cwd: argumentSchema.startsWith('/', 'must be an absolute path').optional(),
    model: nameSchema.optional(),
    maxTurns: z.int().min(1).max(10_000).optional(),
    appendSystemPrompt: argumentSchema.min(1).optional(),
    /** Name of the new session; default: a fresh one. */
    sessionId: z.uuid().optional(),
    /** The session to continue. */
    resume: z.uuid().optional(),
    allowedTools: listSchema.optional(),
    disallowedTools: listSchema.optional(),
    permissionMode: z
      .string()
      .regex(/^[A-Za-z]{1,64}$/)
      .optional(),
    /** Claude Code settings, merged under what the sidecar pins. */
    settings: named(z.string(), z.unknown()).optional(),
    /** Further CLI flags as they are; those the sidecar owns are refused. */
    args: listSchema.optional(),
    /** Added to the allow-listed environment; credential variables are refused. */
    env: environmentSchema.optional(),
    labels: labelsSchema.optional(),
    /** From the first process's start. @default 1 h */
    timeoutMs: durationSchema(DURATIONS.timeoutMs).optional(),
    /** Between asking a process to end and killing it, and after a final result. @default 5 s */
    graceMs: durationSchema(DURATIONS.graceMs).optional(),
    /** Without a sign of life: output, or a tool that runs. @default 10 min */
    idleTimeoutMs: durationSchema(DURATIONS.idleTimeoutMs).optional(),
    /** How long a running tool counts as a sign of life. @default 30 min */
    toolStallMs: durationSchema(DURATIONS.toolStallMs).optional(),
    /** How long a result waits for background tasks to end. @default 10 min */
    backgroundTimeoutMs: durationSchema(DURATIONS.backgroundTimeoutMs).optional(),
    /** From acceptance until a slot is free, with `whenBusy: 'queue'`. @default 10 min */
    queueTimeoutMs: durationSchema(DURATIONS.queueTimeoutMs).optional(),
    /** In all, over every time the run waits for a credential. @default 15 min */
    holdTimeoutMs: durationSchema(DURATIONS.holdTimeoutMs).optional(),
    /**
     * When the provider refuses the credential. `hold`: the request waits for another one, and the turn goes on as if
     * nothing had happened (needs the gateway). `resume`: the process is ended, and another one goes on with the session
     * once there is a credential. `fail`: the run ends at once. @default 'hold', without a gateway 'fail'
     */
    onCredentialFailure: credentialFailurePolicySchema.optional(),
    /** What a resumed process is told. @default a request to go on with what it was doing */
    resumePrompt: z.string().min(1).optional(),
    /** How often a run may be resumed. @default 3 */
    maxResumes: z.int().min(0).max(LIMITS.resumesMax).optional(),
    /** Refuses the dispatch when the agent's credential is known to be refused. Asks the provider if need be. */
    preflight: z.boolean().optional(),
    /**
     * The run takes further messages, each a turn of its own, until it is told that nothing more is to come. Its prompts are as
     * short as a message has to be. @default false
     */
    interactive: z.boolean().optional(),
    /** How long an interactive run waits after a result for another message before it has succeeded. @default 10 min */
    interactiveIdleMs: durationSchema(DURATIONS.interactiveIdleMs).optional(),
    /** @default 1 GiB */
    maxOutputBytes: z.int().min(1).optional(),
    /** When every slot is in use: answer an error, wait for one, or record a `skipped` outcome. @default 'refuse' */
    whenBusy: z.enum(['refuse', 'queue', 'skip']).optional(),
  })
  .refine((request) => request.sessionId === undefined || request.resume === undefined, {
    path: ['resume'],
    message: 'cannot be combined with sessionId',
  })
  .superRefine(({ interactive, prompt, resumePrompt = '' }, context) => {
    if (interactive !== true) return;
    for (const [name, text] of Object.entries({ prompt, resumePrompt })) {
      if (!fitsMessage(text))
        context.addIssue({ code: 'custom', path: [name], message: `of an interactive run ${TOO_LONG}` });
    }
  })
  .meta({ not: { required: ['sessionId', 'resume'] } });
/** What to run. Every field but `prompt` has a default. Durations in milliseconds. */
export type DispatchRequest = z.infer<typeof dispatchRequestSchema>;
