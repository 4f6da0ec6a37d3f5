/** A line of Claude Code's stream, parsed. */
export type StreamMessage = Record<string, unknown>;

/** The JSON object of a line, or `undefined`: the CLI's own warnings and a tool's stray output are no JSON. */
export function parseStreamLine(line: string): StreamMessage | undefined {
  if (!line.trimStart().startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as StreamMessage;
  } catch {
    return undefined;
  }
}

/** Whether a message belongs to the conversation with the user, and not to one between Claude and a subagent. */
export function isOfMainConversation(message: StreamMessage): boolean {
  return message['parent_tool_use_id'] == null;
}

/** The text an assistant message says; '' where it only thinks or calls tools, or is none. */
export function assistantText(message: StreamMessage): string {
  if (message['type'] !== 'assistant') return '';
  const content = asObject(message['message'])?.['content'];
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content
    .map((block: unknown) => asObject(block))
    .map((block) => (block?.['type'] === 'text' && typeof block['text'] === 'string' ? block['text'] : ''))
    .join('');
}

/** Whether an assistant message is error text: flagged as such, or made by no model. */
export function isErrorMessage(message: StreamMessage): boolean {
  if (message['type'] !== 'assistant') return false;
  const inner = asObject(message['message']);
  return inner?.['model'] === '<synthetic>' || isFlagged(message) || isFlagged(inner);
}

function isFlagged(part: Record<string, unknown> | undefined): boolean {
  return Boolean(part?.['error']) || part?.['isApiErrorMessage'] === true || part?.['is_api_error_message'] === true;
}

/** Whether a `result` says of itself that its turn ended well. `subtype: "success"` alone means nothing. */
export function isGoodResult(message: StreamMessage): boolean {
  return message['type'] === 'result' && message['subtype'] === 'success' && !message['is_error'];
}

function asObject(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
}
