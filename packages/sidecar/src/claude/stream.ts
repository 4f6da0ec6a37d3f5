import { LIMITS, type Outcome, type ReasonOf } from '@outrigger/protocol';
import { z } from 'zod';
import { EMPTY_REPORT, type RunReport } from '../core/outcome.js';

/** A field that is left out when it is not what it should be, so that it costs the run no result. */
const lenient = <T extends z.ZodType>(schema: T) => schema.optional().catch(undefined);

/** The fields of Claude Code's stream that matter. All optional: versions differ, and other fields come and go. */
const eventSchema = z.object({
  type: z.string(),
  subtype: lenient(z.string()),
  session_id: lenient(z.string()),
  model: lenient(z.string()),
  /** Anything but a plain no is an error. */
  is_error: z.boolean().nullish().catch(true),
  result: lenient(z.string()),
  errors: lenient(z.array(z.unknown())),
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
});

type StreamEvent = z.infer<typeof eventSchema>;

/** What a line of the stream means for the supervisor. */
export type Reading =
  | { kind: 'nothing' }
  | { kind: 'init'; report: Pick<RunReport, 'sessionId' | 'model'> }
  | { kind: 'result'; failure: ReasonOf<'failed'> | null; report: Omit<RunReport, 'model'> };

const NOTHING: Reading = { kind: 'nothing' };

/** Lines without any of these cannot matter, and most of a stream has none; parsing them all would cost for nothing. */
const MARKS = ['"result"', '"init"'] as const;

/** Whether a stretch of the stream can hold a line that means something; told without making it into text. */
export function mayMatter(bytes: Buffer): boolean {
  return MARKS.some((mark) => bytes.includes(mark));
}

/** Reads one line of stdout. A line that is not an event of the stream means nothing. */
export function readLine(line: string): Reading {
  if (!MARKS.some((mark) => line.includes(mark))) return NOTHING;
  const event = parseEvent(line);
  if (event === null) return NOTHING;
  if (event.type === 'system' && event.subtype === 'init') {
    return { kind: 'init', report: { sessionId: event.session_id ?? null, model: event.model ?? null } };
  }
  return event.type === 'result' ? readResult(event) : NOTHING;
}

function parseEvent(line: string): StreamEvent | null {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return null;
  }
  const parsed = eventSchema.safeParse(value);
  return parsed.success ? parsed.data : null;
}

/** `subtype: "success"` alone means nothing: a refused credential ends with it as well. */
function readResult(event: StreamEvent): Reading {
  const isGood = event.subtype === 'success' && event.is_error !== true;
  const text = truncateUtf8(event.result ?? '', LIMITS.resultBytesMax);
  return {
    kind: 'result',
    failure: isGood ? null : failureOf(event),
    report: {
      ...EMPTY_REPORT,
      resultText: event.result === undefined ? null : text.text,
      isResultTruncated: text.isTruncated,
      errorText: isGood ? null : errorText(event),
      sessionId: event.session_id ?? null,
      turns: event.num_turns ?? null,
      costUsd: event.total_cost_usd ?? null,
      usage: event.usage === undefined ? null : toUsage(event.usage),
    },
  };
}

function failureOf(event: StreamEvent): ReasonOf<'failed'> {
  return event.subtype === 'error_max_turns' ? 'max_turns' : 'agent_error';
}

const ERROR_TEXT_CHARS_MAX = 2000;

function errorText(event: StreamEvent): string {
  const errors = (event.errors ?? []).filter((error) => typeof error === 'string');
  const text =
    event.result ?? (errors.length > 0 ? errors.join('; ') : `Claude Code ended with ${event.subtype ?? 'an error'}.`);
  return text.slice(0, ERROR_TEXT_CHARS_MAX);
}

function toUsage(usage: NonNullable<StreamEvent['usage']>): NonNullable<Outcome['usage']> {
  return {
    inputTokens: usage.input_tokens,
    outputTokens: usage.output_tokens,
    ...(usage.cache_creation_input_tokens == null
      ? {}
      : { cacheCreationInputTokens: usage.cache_creation_input_tokens }),
    ...(usage.cache_read_input_tokens == null ? {} : { cacheReadInputTokens: usage.cache_read_input_tokens }),
  };
}

/** Cuts a text to at most `bytesMax` bytes of UTF-8, never within a character. */
export function truncateUtf8(text: string, bytesMax: number): { text: string; isTruncated: boolean } {
  const bytes = Buffer.from(text);
  if (bytes.length <= bytesMax) return { text, isTruncated: false };
  let end = bytesMax;
  while (end > 0 && ((bytes[end] ?? 0) & 0b1100_0000) === 0b1000_0000) end--;
  return { text: bytes.toString('utf8', 0, end), isTruncated: true };
}
