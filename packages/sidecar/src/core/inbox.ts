import { LIMITS, type WireErrorCode } from '@outrigger/protocol';

/** What was said to an execution so far. */
export interface Inbox {
  /** The digest of every message by its id; null: the execution is not interactive. */
  readonly messages: ReadonlyMap<string, string> | null;
  /** Whether it can still be told anything. */
  readonly canHear: boolean;
  /** What it has not been told yet. */
  readonly pendingCount: number;
  readonly pendingBytes: number;
}

export type MessageVerdict =
  | { readonly verdict: 'new' | 'known' }
  | { readonly verdict: 'refuse'; readonly code: WireErrorCode; readonly limit?: keyof typeof LIMITS };

/** What becomes of a message. One that is known is, whatever has become of the execution since. */
export function judgeMessage(
  inbox: Inbox,
  { messageId, digest, bytes }: { readonly messageId: string; readonly digest: string; readonly bytes: number },
): MessageVerdict {
  const { messages, canHear, pendingCount, pendingBytes } = inbox;
  if (messages === null) return { verdict: 'refuse', code: 'not_interactive' };
  const known = messages.get(messageId);
  if (known === digest) return { verdict: 'known' };
  if (known !== undefined) return { verdict: 'refuse', code: 'message_conflict' };
  if (!canHear) return { verdict: 'refuse', code: 'input_ended' };
  if (messages.size >= LIMITS.messagesMax) return full('messagesMax');
  if (pendingCount >= LIMITS.messagesPendingMax) return full('messagesPendingMax');
  return pendingBytes + bytes > LIMITS.messagesPendingBytesMax ? full('messagesPendingBytesMax') : { verdict: 'new' };
}

function full(limit: keyof typeof LIMITS): MessageVerdict {
  return { verdict: 'refuse', code: 'limit_exceeded', limit };
}
