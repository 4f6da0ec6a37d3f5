/** One block of a message, cut into the pieces in which it is streamed. */
export type Block =
  | { readonly type: 'text'; readonly pieces: readonly string[] }
  | { readonly type: 'tool_use'; readonly name: string; readonly pieces: readonly string[] };

/** How a stream that does not end well ends, and after how many content deltas. */
export interface BadEnding {
  /**
   * `cut`: the connection is reset. `silence`: nothing more is sent, the connection stays open. `error`: the provider's
   * own `event: error`, then a proper end.
   */
  readonly how: 'cut' | 'silence' | 'error';
  readonly afterChunks: number;
}

/** A good answer: status 200 and a message. Plain data; change a copy with `{ ...answer, … }`. */
export interface MessageAnswer {
  readonly type: 'message';
  readonly content: readonly Block[];
  readonly stopReason: 'end_turn' | 'tool_use' | 'max_tokens';
  /** @default the model that was asked for */
  readonly model?: string;
  /** Response headers on top of the usual ones; see {@link rateLimitHeaders}. */
  readonly headers: Readonly<Record<string, string>>;
  /** Wait before the status line. @default 0 */
  readonly firstByteDelayMs: number;
  /** Wait before each content delta. @default 0 */
  readonly chunkDelayMs: number;
  readonly badEnding?: BadEnding;
}

/** An error answer in the provider's shape; built by {@link refusal}. Plain data. */
export interface Refusal {
  readonly type: 'refusal';
  readonly status: number;
  readonly errorType: string;
  readonly message: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** What the stand-in does with one request. `hang` never sends a byte, `reset` resets the connection. */
export type Answer = MessageAnswer | Refusal | { readonly type: 'hang' } | { readonly type: 'reset' };

/** What can be changed about a good answer. */
export interface MessageOptions {
  /** Into how many deltas the text (or a tool's input) is cut. At most one per character. @default 1 */
  chunks?: number;
  /** Wait before each delta: a slow stream. @default 0 */
  chunkDelayMs?: number;
  /** Wait before the first byte. @default 0 */
  firstByteDelayMs?: number;
  /** @default the model that was asked for */
  model?: string;
  /** Extra response headers, such as {@link rateLimitHeaders}. */
  headers?: Record<string, string>;
}

/**
 * A turn that says something and ends.
 * @example text('Done.', { chunks: 10, chunkDelayMs: 200 })
 */
export function text(words: string, options: MessageOptions = {}): MessageAnswer {
  return message([{ type: 'text', pieces: split(words, options.chunks ?? 1) }], 'end_turn', options);
}

/**
 * A turn that calls a tool. The real CLI runs it if it is allowed to (`--allowedTools Bash`).
 * @example toolUse('Bash', { command: 'ls' }, { text: 'Let me look.' })
 */
export function toolUse(name: string, input: object, options: MessageOptions & { text?: string } = {}): MessageAnswer {
  const chunks = options.chunks ?? 1;
  const call: Block = { type: 'tool_use', name, pieces: split(JSON.stringify(input), chunks) };
  const content: Block[] = options.text === undefined ? [call] : [{ type: 'text', pieces: [options.text] }, call];
  return message(content, 'tool_use', options);
}

/** Never answers: not a byte, until the client gives up. */
export function hang(): Answer {
  return { type: 'hang' };
}

/** Resets the connection without a byte. */
export function reset(): Answer {
  return { type: 'reset' };
}

/** Starts to answer, then resets the connection after `afterChunks` content deltas (0: right after the start). */
export function cut(afterChunks: number, answer: MessageAnswer = longText()): MessageAnswer {
  return { ...answer, badEnding: { how: 'cut', afterChunks } };
}

/** Starts to answer, then falls silent for ever after `afterChunks` content deltas, with the connection open. */
export function silent(afterChunks: number, answer: MessageAnswer = longText()): MessageAnswer {
  return { ...answer, badEnding: { how: 'silence', afterChunks } };
}

/** Starts to answer, then sends `event: error` with `overloaded_error` in the stream, as the provider does under load. */
export function errorInStream(afterChunks: number, answer: MessageAnswer = longText()): MessageAnswer {
  return { ...answer, badEnding: { how: 'error', afterChunks } };
}

function message(
  content: readonly Block[],
  stopReason: MessageAnswer['stopReason'],
  options: MessageOptions,
): MessageAnswer {
  return {
    type: 'message',
    content,
    stopReason,
    headers: { ...options.headers },
    firstByteDelayMs: options.firstByteDelayMs ?? 0,
    chunkDelayMs: options.chunkDelayMs ?? 0,
    ...(options.model === undefined ? {} : { model: options.model }),
  };
}

function longText(): MessageAnswer {
  return text('This is an answer of several words that never gets to its end.', { chunks: 12 });
}

// By code points, so that no delta ends in half a surrogate pair.
function split(words: string, chunks: number): string[] {
  const points = Array.from(words);
  const size = Math.max(1, Math.ceil(points.length / Math.max(1, chunks)));
  const pieces: string[] = [];
  for (let at = 0; at < points.length; at += size) pieces.push(points.slice(at, at + size).join(''));
  return pieces;
}
