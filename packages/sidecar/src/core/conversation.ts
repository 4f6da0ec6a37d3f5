import { isCurable } from './curable.js';
import { type Lifecycle, type Result, type SessionUse } from './lifecycle-state.js';

/**
 * What is said to an interactive run, and what it has answered.
 *
 * A process is told one thing at a time: the next message only when the last one has its result. So each message is a turn of
 * its own, whichever version of the CLI runs, where messages that come while a turn goes on can be made one by it; and its
 * stdin is empty whenever something is written there, so that a line is written whole or not at all.
 */
export interface Conversation {
  /** Accepted and not told yet, in order. */
  readonly pending: readonly Message[];
  /** What the process was told last and has not answered, or is told first when it is started; null: nothing. */
  readonly asked: Asked | null;
  /** How many results the latest attempt has printed. */
  readonly results: number;
  /** When somebody said that nothing more is to come; null: nobody has. */
  readonly endAskedAt: number | null;
}

/** Something that somebody says to a run. */
export interface Message {
  readonly messageId: string;
  readonly text: string;
}

export interface Asked {
  readonly what: 'prompt' | 'resume_prompt' | 'message';
  /** The message whose turn it is; null: that of the prompt. */
  readonly message: Message | null;
  /** How many results the attempt had printed before: none of those is the answer. */
  readonly after: number;
  /** A turn has begun since. */
  readonly hasBegun: boolean;
  /** Another sidecar was about to write it, and nobody knows whether it has. */
  readonly isDoubtful: boolean;
}

const PROMPT: Asked = { what: 'prompt', message: null, after: 0, hasBegun: false, isDoubtful: false };

export const NEW_CONVERSATION: Conversation = { pending: [], asked: PROMPT, results: 0, endAskedAt: null };

/** Why a process cannot go on after such a result, be it alive. */
export function endsProcess({ failure }: Result): boolean {
  return failure !== null && (failure === 'resume_not_found' || isCurable(failure));
}

/** With a turn that was begun. What was told before the last result has had its turn. */
export function onTurnStarted(conversation: Conversation): Conversation {
  const { asked, results } = conversation;
  if (asked === null || asked.hasBegun || results < asked.after) return conversation;
  return { ...conversation, asked: { ...asked, hasBegun: true, isDoubtful: false } };
}

/** With one more result. @param isOwnTurn It is that of a turn which nobody has asked for. */
export function onResult(conversation: Conversation, result: Result, isOwnTurn: boolean): Conversation {
  const { asked, results } = conversation;
  const isAnswer = asked !== null && results >= asked.after && !isOwnTurn && !endsProcess(result);
  return { ...conversation, asked: isAnswer ? null : asked, results: results + 1 };
}

/** The conversation as another process goes on with it: a turn that was cut goes on, one that had not begun is begun. */
export function reopen(conversation: Conversation, session: SessionUse): Conversation {
  const { asked } = conversation;
  if (session === 'start') return { ...conversation, asked: PROMPT, results: 0 };
  if (asked === null) return { ...conversation, results: 0 };
  const isUnheard = asked.what === 'message' && !asked.hasBegun;
  const what = isUnheard ? 'message' : 'resume_prompt';
  return { ...conversation, asked: { ...PROMPT, what, message: asked.message }, results: 0 };
}

/** Whether more was said than the prompt, so that a session without it would be another conversation. */
export function isBeyondPrompt({ asked }: Conversation): boolean {
  return asked === null || asked.message !== null;
}

/** The process with what it is told next, if it is to be told anything now. */
export function tellNext(state: Lifecycle): { state: Lifecycle; message: Message } | null {
  const { conversation, phase, isTurnOpen } = state;
  if (conversation === null || phase !== 'running' || isTurnOpen || conversation.asked !== null) return null;
  const [message, ...pending] = conversation.pending;
  if (message === undefined) return null;
  const asked: Asked = { what: 'message', message, after: conversation.results, hasBegun: false, isDoubtful: false };
  return { state: { ...state, conversation: { ...conversation, asked, pending } }, message };
}

/** What has to be told again: another sidecar was to write it, and no turn has begun since in all that was printed. */
export function tellAgain(state: Lifecycle): { state: Lifecycle; message: Message } | null {
  const { conversation, phase } = state;
  const asked = conversation?.asked ?? null;
  if (conversation === null || phase !== 'running' || asked?.isDoubtful !== true || asked.message === null) return null;
  return {
    state: { ...state, conversation: { ...conversation, asked: { ...asked, isDoubtful: false } } },
    message: asked.message,
  };
}

/** Whether it is for somebody else to say something: the run does nothing, and is not idle. */
export function isWaitingForMessage({ conversation, phase, isTurnOpen }: Lifecycle): boolean {
  if (conversation === null || phase !== 'running' || isTurnOpen) return false;
  return conversation.asked === null && conversation.pending.length === 0;
}
