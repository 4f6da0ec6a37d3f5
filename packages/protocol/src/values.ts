import { z } from 'zod';
import { LIMITS } from './limits.js';

/** Names an execution, an agent, a subscription or a request. */
export const idSchema = z
  .string()
  .max(LIMITS.idCharsMax)
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'letters, digits, ".", "_" and "-", starting with a letter or digit');

/** A count of bytes, milliseconds or things. */
export const countSchema = z.int().min(0);

/** Milliseconds since the epoch. */
export const epochMsSchema = z.number().min(0);

/**
 * Where a reader is in an execution's output: byte offsets into the raw logs of one attempt, before redaction.
 * `{ attempt: 1, stdout: 0, stderr: 0 }` is the beginning.
 */
export const cursorSchema = z.object({ attempt: z.int().min(1), stdout: countSchema, stderr: countSchema });
/** Where a reader is in an execution's output: byte offsets into the raw logs of one attempt, before redaction. */
export type Cursor = z.infer<typeof cursorSchema>;

/** The beginning of an execution's output. */
export const CURSOR_START: Readonly<Cursor> = Object.freeze({ attempt: 1, stdout: 0, stderr: 0 });

/** The two logs of an execution. */
export const logSchema = z.enum(['stdout', 'stderr']);
/** One of the two logs of an execution. */
export type Log = z.infer<typeof logSchema>;

/**
 * Where an execution is in its life.
 *
 * ```
 *   queued ──► starting ──► running ──► ending ──► ended
 *      │          │           ▲ ▼         ▲          ▲
 *      │          └───────►  held ────────┘          │
 *      └──────────┴──────────────────────────────────┘
 * ```
 *
 * `held`: the provider refuses the credential and the run waits for another one; nothing of it is lost.
 * `ending`: the verdict is known and the tree is being killed. `ended`: the outcome is out and the slot is free.
 */
export const executionStateSchema = z.enum(['queued', 'starting', 'running', 'held', 'ending', 'ended']);
/** Where an execution is in its life. */
export type ExecutionState = z.infer<typeof executionStateSchema>;
