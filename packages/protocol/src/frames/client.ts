import { z } from 'zod';
import { credentialSchema } from '../credential.js';
import { LIMITS } from '../limits.js';
import { countSchema, cursorSchema, idSchema } from '../values.js';
import { atDeadlineSchema } from '../admission.js';
import { dispatchRequestSchema } from './dispatch.js';
import { messageTextSchema } from './message.js';

/**
 * What a client sends. Objects are strict: a field the sidecar does not know is an error, never ignored, because a
 * caller that believes it set a limit must learn that it did not.
 */

const subscriptionFields = {
  /** Chosen by the client, unique among the live ones of its connection. */
  subscription: idSchema,
  executionId: idSchema,
  from: cursorSchema.strict(),
  /** Log bytes the sidecar may send before it needs a `credit`. */
  creditBytes: countSchema,
};

export const helloSchema = z.strictObject({
  type: z.literal('hello'),
  versions: z.array(z.int().min(1)).min(1).max(32),
  client: z.strictObject({ name: z.string().min(1).max(200), version: z.string().max(100).optional() }),
  storeId: idSchema.optional(),
  /** Subscriptions to open at once, so that a reconnect costs one round trip. */
  cursors: z.array(z.strictObject(subscriptionFields)).max(LIMITS.subscriptionsPerConnectionMax).optional(),
});
export type Hello = z.infer<typeof helloSchema>;

const request = <T extends string, F extends z.ZodRawShape>(type: T, fields: F) =>
  z.strictObject({ type: z.literal(type), id: idSchema, ...fields });

export const dispatchSchema = request('dispatch', { executionId: idSchema, request: dispatchRequestSchema });
export const cancelSchema = request('cancel', { executionId: idSchema });
export const sendMessageSchema = request('send_message', {
  executionId: idSchema,
  /** Chosen by the client: a message that is sent again under it is the same one. */
  messageId: idSchema,
  text: messageTextSchema,
});
export const endInputSchema = request('end_input', { executionId: idSchema });
export const subscribeSchema = request('subscribe', subscriptionFields);
export const unsubscribeSchema = request('unsubscribe', { subscription: idSchema });
export const creditSchema = request('credit', { subscription: idSchema, bytes: z.int().min(1) });
export const ackSchema = request('ack', { executionId: idSchema });
export const statusSchema = request('status', {
  executionId: idSchema.optional(),
  /** Asks whether the credential in force is good. */
  preflight: z.boolean().optional(),
  /** How old an answer of the provider may be that the preflight goes by. */
  preflightMaxAgeMs: z.int().min(0).max(LIMITS.preflightMaxAgeMs).optional(),
  /** Asks about the machine the agent is on. */
  machine: z.boolean().optional(),
});
export const swapCredentialSchema = request('swap_credential', {
  credential: credentialSchema,
  /** Applies only while this generation is in force; null: only while there is no credential. */
  ifGeneration: countSchema.nullable().optional(),
  /** Of the lease that the host acts under; absent: it acts for a user. */
  fence: countSchema.optional(),
});

export const drainRequestSchema = request('drain', {
  /** How long what runs may go on. */
  deadlineMs: z.int().min(0).max(LIMITS.drainMaxMs),
  atDeadline: atDeadlineSchema.optional(),
  /** The drain ends by itself after this time, unless it is asked for again. */
  ttlMs: z.int().min(1).max(LIMITS.drainMaxMs).optional(),
});
export const resumeAdmissionSchema = request('resume_admission', {});

/** Every request, by type. Each is answered by exactly one `reply`. */
export const REQUEST_SCHEMAS = {
  dispatch: dispatchSchema,
  cancel: cancelSchema,
  send_message: sendMessageSchema,
  end_input: endInputSchema,
  subscribe: subscribeSchema,
  unsubscribe: unsubscribeSchema,
  credit: creditSchema,
  ack: ackSchema,
  status: statusSchema,
  swap_credential: swapCredentialSchema,
  drain: drainRequestSchema,
  resume_admission: resumeAdmissionSchema,
} as const;

export type RequestType = keyof typeof REQUEST_SCHEMAS;
export type Request<T extends RequestType = RequestType> = { [K in T]: z.infer<(typeof REQUEST_SCHEMAS)[K]> }[T];
export type ClientFrame = Hello | Request;

/** Every frame a client can send, by type. */
export const CLIENT_FRAME_SCHEMAS = { hello: helloSchema, ...REQUEST_SCHEMAS } as const;
