import { print } from './output.js';
import { assistantEvent, resultEvent, type Session } from './events.js';
import { type RequestStep } from './steps.js';

interface Reply {
  readonly content?: readonly { readonly type: string; readonly text?: string }[];
  readonly error?: { readonly type: string; readonly message: string };
}

/** Asks the API once, and prints what came of it. Returns false when it was refused. */
export async function request(session: Session, step: RequestStep): Promise<boolean> {
  const { ANTHROPIC_BASE_URL: base, ANTHROPIC_API_KEY: key } = process.env;
  const token = process.env['ANTHROPIC_AUTH_TOKEN'] ?? process.env['CLAUDE_CODE_OAUTH_TOKEN'] ?? '';
  const response = await fetch(`${base ?? 'https://api.anthropic.com'}/v1/messages?beta=true`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-claude-code-session-id': session.id,
      'anthropic-version': '2023-06-01',
      ...(key === undefined
        ? { authorization: `Bearer ${token}`, 'anthropic-beta': 'oauth-2025-04-20' }
        : { 'x-api-key': key }),
    },
    body: JSON.stringify({
      model: step.model ?? session.model,
      max_tokens: 1024,
      messages: [{ role: 'user', content: step.prompt ?? 'Hello' }],
    }),
  });
  const reply = (await response.json()) as Reply;
  if (response.ok) {
    session.lastText = reply.content?.map((block) => block.text ?? '').join('') ?? '';
    print(assistantEvent(session, { do: 'assistant', text: session.lastText }));
    return true;
  }
  printRefusal(session, response.status, reply.error?.message ?? 'unknown');
  return false;
}

// What the real CLI prints once it has given up: the same text twice, and a result that calls itself a success.
function printRefusal(session: Session, status: number, message: string): void {
  session.lastText = `API Error: ${status} ${message}`;
  session.hasFailed = true;
  const error = status === 401 || status === 403 ? 'authentication_failed' : status === 429 ? 'rate_limit' : 'unknown';
  print(assistantEvent(session, { do: 'assistant', text: session.lastText, error }));
  print(resultEvent(session, { do: 'result', is_error: true, api_error_status: status }));
}
