import {
  advanceMessage,
  advanceTurn,
  answerOf,
  type JudgedLine,
  NEW_TURN,
  NOTHING_HELD,
  type TurnRange,
} from '../core/commit.js';
import { judgeLine, NEW_JUDGE } from '../core/judge.js';
import { sdkError } from '../errors.js';
import { type GapEvent } from '../events.js';
import { closable, type OnClose } from './closable.js';
import { type Reader } from './reader.js';
import { type Source } from './source.js';

/** What counts as said. */
export interface TextOptions {
  /**
   * When a message counts as said: once its turn has ended well, or as soon as what follows shows it to be an answer.
   * @default 'turn'
   */
  commit?: 'turn' | 'message';
}

/** What the assistant said to the user, and nothing that only looks like it. */
export function readText(source: Source, { commit = 'turn' }: TextOptions): AsyncGenerator<string, void> {
  return closable((onClose) => (commit === 'turn' ? readTurns(source, onClose) : readMessages(source, onClose)));
}

async function* readMessages(source: Source, onClose: OnClose): AsyncGenerator<string, void> {
  let held = NOTHING_HELD;
  for await (const line of readLines(source, source.open({}), onClose)) {
    const step = advanceMessage(held, line);
    held = step.held;
    if (step.commit !== '') yield step.commit;
  }
}

async function* readTurns(source: Source, onClose: OnClose): AsyncGenerator<string, void> {
  let turn = NEW_TURN;
  for await (const line of readLines(source, source.open({}), onClose)) {
    const step = advanceTurn(turn, line);
    turn = step.turn;
    if (step.commit !== null) yield* readRange(source, step.commit, onClose);
  }
}

/** The answers within a turn that has ended well, read again from the log: a turn can be long, a reader's memory not. */
async function* readRange(source: Source, range: TurnRange, onClose: OnClose): AsyncGenerator<string, void> {
  let left = range.lines;
  for await (const line of readLines(source, source.open({ from: range.start }), onClose)) {
    const text = answerOf(line);
    if (text !== '') yield text;
    left -= 1;
    if (left === 0) return;
  }
}

/** Lines of stdout. @throws `output_gap` where some are not kept any more */
async function* readLines(source: Source, reader: Reader, onClose: OnClose): AsyncGenerator<JudgedLine, void> {
  const forget = onClose(() => reader.close());
  let judge = NEW_JUDGE;
  try {
    for (let item = await reader.take(); item !== null; item = reader.takeNow() ?? (await reader.take())) {
      if (item.type === 'gap') refuseLoss(source, item);
      if (item.type !== 'line' || item.log !== 'stdout') continue;
      const step = judgeLine(judge, item);
      judge = step.judge;
      yield step.judged;
    }
  } finally {
    forget();
    reader.close();
  }
}

/** A line too long to deliver is a tool's output and no answer; bytes that are gone may have held one. */
function refuseLoss(source: Source, { log, start, end, reason }: GapEvent): void {
  if (log === 'stderr' || reason === 'line_too_long') return;
  throw sdkError(
    'output_gap',
    `execution ${source.executionId}: bytes ${start} to ${end} of stdout are not kept any more`,
    {
      data: { executionId: source.executionId, start, end },
    },
  );
}
