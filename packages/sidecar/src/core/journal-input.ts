import { type Asked, type Conversation, type Message, NEW_CONVERSATION } from './conversation.js';
import { type JournalledExecution, type JournalledInput, type JournalRecord, type Reopened } from './journal-state.js';
import { type Lifecycle } from './lifecycle-state.js';

/** What a journal tells of what was said to an interactive run. */

type InputNote = Exclude<InputRecord, { is: 'message' }>;
type InputRecord = Extract<JournalRecord, { is: 'message' | 'told' | 'input_ended' }>;

export function newInput(): JournalledInput {
  return { messages: [], told: null, reopened: null, endAskedAt: null };
}

export function takeInput(input: JournalledInput, record: InputRecord): JournalledInput {
  switch (record.is) {
    case 'message': {
      const { messageId, digest, text } = record;
      const isKnown = input.messages.some((message) => message.messageId === messageId);
      return isKnown ? input : { ...input, messages: [...input.messages, { messageId, digest, text }] };
    }
    case 'told': {
      const { attempt, messageId, after } = record;
      if (!input.messages.some((message) => message.messageId === messageId)) return input;
      const before = input.told?.messageId;
      // What comes after it has answered it, so no process is told it again.
      const messages = input.messages.map((message) =>
        message.messageId === before && before !== messageId ? { ...message, text: null } : message,
      );
      return { ...input, messages, told: { attempt, messageId, after } };
    }
    case 'input_ended':
      return { ...input, endAskedAt: input.endAskedAt ?? record.at };
  }
}

/** What has ended is told nothing any more; what it was told is known by its digest. */
export function forgetTexts(input: JournalledInput): JournalledInput {
  return { ...input, messages: input.messages.map((message) => ({ ...message, text: null })) };
}

/** The fewest records that amount to the same, but for `reopened`, which is told by a suspension. */
export function recordsOfInput(id: string, { messages, told, endAskedAt }: JournalledInput): JournalRecord[] {
  return [
    ...messages.map((message) => ({ is: 'message', id, ...message }) as const),
    ...(told === null ? [] : [{ is: 'told', id, ...told } as const]),
    ...(endAskedAt === null ? [] : [{ is: 'input_ended', id, at: endAskedAt } as const]),
  ];
}

/** What another sidecar has to know of a step of a conversation before anything comes of it. */
export function notesOfInput(id: string, before: Lifecycle, after: Lifecycle): InputNote[] {
  const { conversation } = after;
  if (conversation === null) return [];
  const { asked, endAskedAt } = conversation;
  const notes: InputNote[] = [];
  const isTold = asked?.what === 'message' && asked.message !== before.conversation?.asked?.message;
  if (isTold && asked.message !== null) {
    const { messageId } = asked.message;
    notes.push({ is: 'told', id, attempt: after.attempt, messageId, after: asked.after });
  }
  if (endAskedAt !== null && before.conversation?.endAskedAt === null) {
    notes.push({ is: 'input_ended', id, at: endAskedAt });
  }
  return notes;
}

/** What the next process goes on with. */
export function reopenedOf({ conversation, result }: Lifecycle): Reopened | undefined {
  if (conversation === null) return undefined;
  const { asked } = conversation;
  return { asked: asked && { what: asked.what, messageId: asked.message?.messageId ?? null }, result };
}

/** The conversation as it has to go on; what was told last may never have been written. */
export function restoreConversation(execution: JournalledExecution): Pick<Lifecycle, 'conversation' | 'result'> {
  const { input, suspended, attempts } = execution;
  if (input === null) return { conversation: null, result: null };
  const { messages, told, reopened, endAskedAt } = input;
  const pending = messages.flatMap(({ messageId, text }) =>
    text === null || messageId === told?.messageId ? [] : [{ messageId, text }],
  );
  const fresh: Conversation = { ...NEW_CONVERSATION, pending, endAskedAt };
  const messageOf = (messageId: string): Message => {
    const text = messages.find((message) => message.messageId === messageId)?.text ?? '';
    return { messageId, text };
  };
  if (told !== null && suspended === null && told.attempt === (attempts.at(-1)?.number ?? 1)) {
    const message = messageOf(told.messageId);
    const asked: Asked = { what: 'message', message, after: told.after, hasBegun: false, isDoubtful: true };
    return { conversation: { ...fresh, asked }, result: null };
  }
  if (reopened === null) return { conversation: fresh, result: null };
  const { asked, result } = reopened;
  if (asked === null) return { conversation: { ...fresh, asked: null }, result };
  const message = asked.messageId === null ? null : messageOf(asked.messageId);
  const first: Asked = { what: asked.what, message, after: 0, hasBegun: false, isDoubtful: false };
  return { conversation: { ...fresh, asked: first }, result: null };
}
