import { type Cursor, CURSOR_START } from '@outrigger/protocol';
import { type JudgedLine } from './commit.js';
import { EMPTY_QUARANTINE, quarantine, type Quarantine } from './quarantine.js';
import { parseStreamLine } from './stream-message.js';

/** What judging the next line of stdout takes. Each attempt is a stream of its own, and so judged by itself. */
export interface Judge {
  readonly attempt: number;
  readonly errors: Quarantine;
}

export const NEW_JUDGE: Judge = { attempt: CURSOR_START.attempt, errors: EMPTY_QUARANTINE };

/** Reads the next line, and says whether it only looks like an answer. */
export function judgeLine(
  judge: Judge,
  { line, cursor }: { line: string; cursor: Cursor },
): { judge: Judge; judged: JudgedLine } {
  const { attempt } = cursor;
  const errors = attempt === judge.attempt ? judge.errors : EMPTY_QUARANTINE;
  const message = parseStreamLine(line);
  if (message === undefined) return { judge: { attempt, errors }, judged: { message, isQuarantined: false, cursor } };
  const { state, isQuarantined } = quarantine(errors, message);
  return { judge: { attempt, errors: state }, judged: { message, isQuarantined, cursor } };
}
