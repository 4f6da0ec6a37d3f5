import { type IncomingHttpHeaders } from 'node:http';

/**
 * What a request is for. `main`: a turn of a run. `side`: a helper call of the CLI to a small model (quota probe, titles, file
 * names in a command's output). `other`: a path the provider does not have.
 */
export type RequestKind = 'main' | 'side' | 'count_tokens' | 'models' | 'probe' | 'other';

/** A request the stand-in received, and how it ended. The fields of the second half are filled in as things happen. */
export interface ApiRequest {
  /** 0 for the first request since the start. */
  readonly index: number;
  /** When its head had arrived. Epoch milliseconds. */
  readonly at: number;
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** The parsed JSON body; undefined when there was none. */
  readonly body: unknown;
  readonly bodyBytes: number;
  /** The bearer token or API key; undefined when there was none. */
  readonly secret: string | undefined;
  readonly kind: RequestKind;
  /** The CLI's session, from the header (newer versions) or the body's metadata. */
  readonly sessionId: string | undefined;
  readonly model: string | undefined;
  readonly isStream: boolean;
  /** How many turns of the assistant the conversation already has. */
  readonly turn: number;
  /** What the user typed last: not a tool's result, not a reminder by the CLI. Empty when there is none. */
  readonly prompt: string;

  /** The status that was sent; null until then, and for ever where nothing was. */
  status: number | null;
  /** When the status line was sent. Epoch milliseconds. */
  firstByteAt: number | null;
  /** When it was over, however it ended. Epoch milliseconds. */
  endedAt: number | null;
  /** `answered` in full, `aborted` by the client, `broken` off by the stand-in (reset, cut, close). */
  ended: 'answered' | 'aborted' | 'broken' | null;
}

/** What was received, before it is understood. */
export interface RawRequest {
  readonly index: number;
  readonly at: number;
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: unknown;
  readonly bodyBytes: number;
}

interface MessagesBody {
  readonly model?: unknown;
  readonly stream?: unknown;
  readonly max_tokens?: unknown;
  readonly tools?: unknown;
  readonly metadata?: { readonly user_id?: unknown } | null;
  readonly messages?: unknown;
}

interface Message {
  readonly role?: unknown;
  readonly content?: unknown;
}

/** Reads out of a raw request what scripts and assertions ask for. */
export function describe(raw: RawRequest): ApiRequest {
  const body: MessagesBody = typeof raw.body === 'object' && raw.body !== null ? raw.body : {};
  const messages = Array.isArray(body.messages) ? (body.messages as (Message | null)[]) : [];
  return {
    ...raw,
    secret: secretOf(raw.headers),
    kind: kindOf(raw, body),
    sessionId: sessionOf(raw.headers, body),
    model: typeof body.model === 'string' ? body.model : undefined,
    isStream: body.stream === true,
    turn: messages.filter((message) => message?.role === 'assistant').length,
    prompt: promptOf(messages),
    status: null,
    firstByteAt: null,
    endedAt: null,
    ended: null,
  };
}

function secretOf(headers: IncomingHttpHeaders): string | undefined {
  const bearer = /^Bearer (.*)$/i.exec(headers.authorization ?? '')?.[1];
  const key = headers['x-api-key'];
  return bearer ?? (typeof key === 'string' ? key : undefined);
}

function kindOf({ method, path }: RawRequest, body: MessagesBody): RequestKind {
  const route = `${method} ${path.split('?', 1)[0] ?? ''}`;
  if (route === 'HEAD /') return 'probe';
  if (route === 'POST /v1/messages/count_tokens') return 'count_tokens';
  if (/^GET \/v1\/models(\/|$)/.test(route)) return 'models';
  if (route !== 'POST /v1/messages') return 'other';
  // Every version sends its tools with a turn and none with a helper call, which goes to a small model.
  const hasTools = Array.isArray(body.tools) && body.tools.length > 0;
  const isSmall = body.max_tokens === 1 || (typeof body.model === 'string' && body.model.includes('haiku'));
  return !hasTools && isSmall ? 'side' : 'main';
}

// 2.1.329 has a header and JSON in `user_id`; 1.0.128 ends `user_id` with `_session_<uuid>`.
function sessionOf(headers: IncomingHttpHeaders, body: MessagesBody): string | undefined {
  const header = headers['x-claude-code-session-id'];
  if (typeof header === 'string') return header;
  const userId = body.metadata?.user_id;
  if (typeof userId !== 'string') return undefined;
  return /(?:_session_|"session_id":")([0-9a-f-]{36})/.exec(userId)?.[1];
}

function promptOf(messages: readonly (Message | null)[]): string {
  for (const message of [...messages].reverse()) {
    if (message?.role !== 'user') continue;
    if (typeof message.content === 'string') return message.content.trim();
    const blocks = Array.isArray(message.content)
      ? (message.content as ({ type?: string; text?: string } | null)[])
      : [];
    if (blocks.some((block) => block?.type === 'tool_result')) continue;
    const typed = blocks
      .map((block) => block?.text)
      .filter((words) => words?.startsWith('<system-reminder>') === false);
    const last = typed.at(-1);
    if (last !== undefined) return last.trim();
  }
  return '';
}
