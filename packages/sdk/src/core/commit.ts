import { assistantText, isOfMainConversation, type StreamMessage } from './stream-message.js';

/** A line of stdout as `text()` sees it; `message` is undefined where the line is no JSON object. */
export interface JudgedLine {
  readonly message: StreamMessage | undefined;
  readonly isQuarantined: boolean;
}

/** What a line says to the user, quarantine observed; '' if nothing. */
export function answerOf({ message, isQuarantined }: JudgedLine): string {
  if (message === undefined || isQuarantined || !isOfMainConversation(message)) return '';
  return assistantText(message);
}

/** A turn that is going on: counts, not texts, so that a long one takes no memory. */
export interface OpenTurn {
  /** Lines of stdout so far. */
  readonly lines: number;
  readonly hasAnswer: boolean;
}

export const NEW_TURN: OpenTurn = { lines: 0, hasAnswer: false };

/**
 * Takes the next line of a turn.
 *
 * @returns `commit`: the turn has ended well and its lines, as many as the number says, may be shown.
 */
export function advanceTurn(turn: OpenTurn, line: JudgedLine): { turn: OpenTurn; isOver: boolean; commit: number } {
  const lines = turn.lines + 1;
  if (line.message?.['type'] !== 'result') {
    return { turn: { lines, hasAnswer: turn.hasAnswer || answerOf(line) !== '' }, isOver: false, commit: 0 };
  }
  return { turn: NEW_TURN, isOver: true, commit: turn.hasAnswer && !line.isQuarantined ? lines : 0 };
}

/** A message that waits for the next event to show whether it was an answer. */
export interface HeldMessage {
  readonly text: string;
}

/**
 * Takes the next line where each message is shown by itself. The one before is an answer once the conversation goes on
 * or its turn ends well; it was none if what follows is an error with its very text, or a bad result.
 */
export function advanceMessage(held: HeldMessage, line: JudgedLine): { held: HeldMessage; commit: string } {
  switch (line.message?.['type']) {
    case 'result':
      return { held: { text: '' }, commit: line.isQuarantined ? '' : held.text };
    case 'assistant': {
      const isRepeated = line.isQuarantined && assistantText(line.message).trim() === held.text.trim();
      return { held: { text: answerOf(line) }, commit: isRepeated ? '' : held.text };
    }
    case 'user':
      return { held: { text: '' }, commit: held.text };
    default:
      // Retries, limits, status: they can stand between an error's text and its result.
      return { held, commit: '' };
  }
}

export const NOTHING_HELD: HeldMessage = { text: '' };
