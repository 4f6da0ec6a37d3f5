import { z } from 'zod';

/** Blocks of one message that are looked at; looking at millions would keep everybody waiting. */
const BLOCKS_MAX = 1000;
/** A longer name of a session or model is none, and would make an outcome too large to send. */
const NAME_CHARS_MAX = 256;

/** A field that is left out when it is not what it should be, so that it costs the run nothing. */
const lenient = <T extends z.ZodType>(schema: T) => schema.optional().catch(undefined);

/** The last moment a `Date` can hold. */
const EPOCH_SECONDS_MAX = 8_640_000_000_000;

/** The fields of Claude Code's stream that matter. All optional: versions differ, and other fields come and go. */
const eventSchema = z.object({
  type: z.string(),
  subtype: lenient(z.string()),
  session_id: lenient(z.string().max(NAME_CHARS_MAX)),
  model: lenient(z.string().max(NAME_CHARS_MAX)),
  parent_tool_use_id: lenient(z.string().nullable()),
  message: lenient(z.object({ model: lenient(z.string()), content: z.unknown() })),
  task_id: lenient(z.string()),
  is_backgrounded: lenient(z.boolean()),
  tasks: lenient(z.array(z.object({ task_id: z.string() }))),
  /** Anything but a plain no is an error. */
  is_error: z.boolean().nullish().catch(true),
  error: lenient(z.string()),
  error_status: lenient(z.int()),
  is_api_error_message: lenient(z.boolean()),
  isApiErrorMessage: lenient(z.boolean()),
  api_error_status: lenient(z.int()),
  api_error_type: lenient(z.string()),
  api_error: lenient(z.string()),
  terminal_reason: lenient(z.string()),
  result: lenient(z.string()),
  errors: lenient(z.array(z.unknown())),
  /** What has begun the turn of a result, where no user's message has. */
  origin: lenient(z.object({ kind: z.string() })),
  num_turns: lenient(z.int().min(0)),
  total_cost_usd: lenient(z.number()),
  usage: lenient(
    z.object({
      input_tokens: z.int().min(0),
      output_tokens: z.int().min(0),
      cache_creation_input_tokens: z.int().min(0).nullish(),
      cache_read_input_tokens: z.int().min(0).nullish(),
    }),
  ),
  rate_limit_info: lenient(
    z.object({ status: z.string(), resetsAt: lenient(z.number().min(0).max(EPOCH_SECONDS_MAX)) }),
  ),
});

export type StreamEvent = z.infer<typeof eventSchema>;

const blockSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('tool_use'), id: z.string() }),
  z.object({ type: z.literal('tool_result'), tool_use_id: z.string() }),
  z.object({ type: z.literal('text'), text: z.string() }),
]);

/** A part of a message's content. Others than these do not matter here. */
export type Block = z.infer<typeof blockSchema>;

/** The event on a line of the stream; null for a line that is none. */
export function parseEvent(line: string): StreamEvent | null {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return null;
  }
  const parsed = eventSchema.safeParse(value);
  return parsed.success ? parsed.data : null;
}

export function blocksOf(event: StreamEvent): Block[] {
  const content = event.message?.content;
  if (!Array.isArray(content)) return [];
  return content.slice(0, BLOCKS_MAX).flatMap((block) => blockSchema.safeParse(block).data ?? []);
}

export function textOf(event: StreamEvent): string {
  return blocksOf(event)
    .flatMap((block) => (block.type === 'text' ? [block.text] : []))
    .join('');
}

/** Whether a message is the text of an error, printed as if it were an answer: flagged as one, or made by no model. */
export function isFlagged(event: StreamEvent): boolean {
  return (
    event.error !== undefined ||
    event.is_api_error_message === true ||
    event.isApiErrorMessage === true ||
    event.message?.model === '<synthetic>'
  );
}
