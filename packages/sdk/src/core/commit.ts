import { type Cursor, CURSOR_START } from '@outrigger/protocol';
import { assistantText, isOfMainConversation, type StreamMessage } from './stream-message.js';

/** A line of stdout as `text()` sees it; `message` is undefined where the line is no JSON object. */
export interface JudgedLine {
  readonly message: StreamMessage | undefined;
  readonly isQuarantined: boolean;
  /** The place behind it. */
  readonly cursor: Cursor;
}

/** What a line says to the user, quarantine observed; '' if nothing. */
export function answerOf({ message, isQuarantined }: JudgedLine): string {
  if (message === undefined || isQuarantined || !isOfMainConversation(message)) return '';
  return assistantText(message);
}

/** Lines that belong together, to be read from `start`. Counts, not texts, so that a long turn takes no memory. */
export interface TurnRange {
  readonly start: Cursor;
  /** Lines of stdout so far. */
  readonly lines: number;
}

/** A turn that is going on. */
export interface OpenTurn extends TurnRange {
  readonly hasAnswer: boolean;
}

export const NEW_TURN: OpenTurn = turnFrom(CURSOR_START);

/**
 * Takes the next line of a turn. A turn that an attempt did not end is cut: with the next attempt a new one begins.
 *
 * @returns `commit`: the turn that has ended well with this line and may be shown.
 */
export function advanceTurn(open: OpenTurn, line: JudgedLine): { turn: OpenTurn; commit: TurnRange | null } {
  const { attempt } = line.cursor;
  const { start, lines, hasAnswer } =
    attempt === open.start.attempt ? open : turnFrom({ attempt, stdout: 0, stderr: 0 });
  if (line.message?.['type'] !== 'result') {
    return { turn: { start, lines: lines + 1, hasAnswer: hasAnswer || answerOf(line) !== '' }, commit: null };
  }
  const isGood = hasAnswer && !line.isQuarantined;
  return { turn: turnFrom(line.cursor), commit: isGood ? { start, lines: lines + 1 } : null };
}

function turnFrom(start: Cursor): OpenTurn {
  return { start, lines: 0, hasAnswer: false };
}

/** A message that waits for the next event of its attempt to show whether it was an answer. */
export interface HeldMessage {
  readonly attempt: number;
  readonly text: string;
}

export const NOTHING_HELD: HeldMessage = { attempt: CURSOR_START.attempt, text: '' };

/**
 * Takes the next line where each message is shown by itself. The one before is an answer once the conversation goes on
 * or its turn ends well; it was none if what follows is an error with its very text, or a bad result, and none that
 * counts if its attempt ends with it.
 */
export function advanceMessage(before: HeldMessage, line: JudgedLine): { held: HeldMessage; commit: string } {
  const { attempt } = line.cursor;
  const nothing = { attempt, text: '' };
  const held = attempt === before.attempt ? before : nothing;
  switch (line.message?.['type']) {
    case 'result':
      return { held: nothing, commit: line.isQuarantined ? '' : held.text };
    case 'assistant': {
      const isRepeated = line.isQuarantined && assistantText(line.message).trim() === held.text.trim();
      return { held: { attempt, text: answerOf(line) }, commit: isRepeated ? '' : held.text };
    }
    case 'user':
      return { held: nothing, commit: held.text };
    default:
      // Retries, limits, status: they can stand between an error's text and its result.
      return { held, commit: '' };
  }
}
