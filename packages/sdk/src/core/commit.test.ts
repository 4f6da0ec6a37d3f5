import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { advanceMessage, advanceTurn, answerOf, type JudgedLine, NEW_TURN, NOTHING_HELD } from './commit.js';
import { judgeLine, NEW_JUDGE } from './judge.js';
import { EMPTY_QUARANTINE, quarantine } from './quarantine.js';
import { isErrorMessage, type StreamMessage } from './stream-message.js';

const say = (text: string, rest: object = {}) => ({
  type: 'assistant',
  message: { model: 'claude-x', content: [{ type: 'text', text }] },
  parent_tool_use_id: null,
  ...rest,
});
const synthetic = (text: string) => ({
  type: 'assistant',
  message: { model: '<synthetic>', content: [{ type: 'text', text }] },
});
const result = (rest: object = {}) => ({ type: 'result', subtype: 'success', is_error: false, result: 'ok', ...rest });
const retry = { type: 'system', subtype: 'api_retry', error: 'authentication_failed', attempt: 1 };
const toolResult = { type: 'user', message: { content: [{ type: 'tool_result', content: '401 unauthorized' }] } };

const LINE_BYTES = 10;
const placeOf = (lines: number, attempt = 1) => ({ attempt, stdout: lines * LINE_BYTES, stderr: 0 });

/** What the attempts of an execution printed, judged as it is read. */
function judgeAll(attempts: readonly (readonly StreamMessage[])[]): JudgedLine[] {
  let judge = NEW_JUDGE;
  return attempts.flatMap((messages, index) =>
    messages.map((message, line) => {
      const step = judgeLine(judge, { line: JSON.stringify(message), cursor: placeOf(line + 1, index + 1) });
      judge = step.judge;
      return step.judged;
    }),
  );
}

/** What `text()` says of all attempts, their logs being at hand. */
function byTurn(...attempts: readonly (readonly StreamMessage[])[]): string[] {
  const lines = judgeAll(attempts);
  let turn = NEW_TURN;
  return lines.flatMap((line) => {
    const { turn: next, commit } = advanceTurn(turn, line);
    turn = next;
    if (commit === null) return [];
    const { attempt, stdout } = commit.start;
    const first = lines.findIndex(({ cursor }) => cursor.attempt === attempt && cursor.stdout > stdout);
    return lines
      .slice(first, first + commit.lines)
      .map(answerOf)
      .filter((text) => text !== '');
  });
}

function byMessage(...attempts: readonly (readonly StreamMessage[])[]): string[] {
  let held = NOTHING_HELD;
  return judgeAll(attempts)
    .map((line) => {
      const step = advanceMessage(held, line);
      held = step.held;
      return step.commit;
    })
    .filter((text) => text !== '');
}

const ERROR_TEXT = 'OAuth token has expired. Please run /login';

describe('committed text', () => {
  it.each([
    ['made by no model', synthetic(ERROR_TEXT)],
    ['with an error field', say(ERROR_TEXT, { error: 'authentication_failed' })],
    ['flagged as an API error', say(ERROR_TEXT, { isApiErrorMessage: true })],
    ['flagged so in another spelling', say(ERROR_TEXT, { is_api_error_message: true })],
    ['not flagged at all', say(ERROR_TEXT)],
  ])('T1: never holds error text, %s, that stands long before its error result', (_, error) => {
    const failed = result({ is_error: true, api_error_status: 401, result: ERROR_TEXT });
    expect(byTurn([error, retry, failed])).toEqual([]);
    expect(byMessage([error, retry, failed])).toEqual([]);
  });

  it('T1: never holds it when the result calls itself a success', () => {
    expect(byTurn([synthetic(ERROR_TEXT), result({ result: ERROR_TEXT })])).toEqual([]);
    expect(byMessage([synthetic(ERROR_TEXT), result({ result: ERROR_TEXT })])).toEqual([]);
  });

  it('holds the answers of a good turn, in order, and keeps a flagged one out of it', () => {
    const messages = [say('one'), toolResult, synthetic('API Error, retrying'), say('two'), result({ result: 'two' })];
    expect(byTurn(messages)).toEqual(['one', 'two']);
    expect(byMessage(messages)).toEqual(['one', 'two']);
  });

  it('T1: tells an answer from error text that is flagged only when it is repeated, white space aside', () => {
    const repeated = synthetic(` ${ERROR_TEXT}\n`);
    expect(byMessage([say(`${ERROR_TEXT}\n`), repeated, result()])).toEqual([]);
    expect(byMessage([say('an answer'), repeated, result()])).toEqual(['an answer']);
    expect(byMessage([say('twice'), say('twice'), result()])).toEqual(['twice', 'twice']);
  });

  it('shows an answer by itself as soon as the conversation goes on, and once', () => {
    const held = { attempt: 1, text: 'held' };
    const step = (message: StreamMessage | undefined) =>
      advanceMessage(held, { message, isQuarantined: false, cursor: placeOf(9) });
    const shown = { held: NOTHING_HELD, commit: 'held' };
    expect(step(toolResult)).toEqual(shown);
    expect(step(result())).toEqual(shown);
    expect(step(retry)).toEqual({ held, commit: '' });
    expect(step(undefined)).toEqual({ held, commit: '' });
  });

  it('counts the lines of a turn, those that are no message too, and commits none of a turn without an answer', () => {
    const line = (place: number, message?: StreamMessage) => ({
      message,
      isQuarantined: false,
      cursor: placeOf(place),
    });
    const first = advanceTurn(NEW_TURN, line(1));
    expect(first).toEqual({ turn: { start: placeOf(0), lines: 1, hasAnswer: false }, commit: null });
    const next = { start: placeOf(2), lines: 0, hasAnswer: false };
    expect(advanceTurn(first.turn, line(2, result()))).toEqual({ turn: next, commit: null });
    const answered = advanceTurn(first.turn, line(2, say('hi')));
    expect(answered.turn).toEqual({ start: placeOf(0), lines: 2, hasAnswer: true });
    expect(advanceTurn(answered.turn, line(3)).turn).toEqual({ start: placeOf(0), lines: 3, hasAnswer: true });
    expect(advanceTurn(answered.turn, line(3, result()))).toEqual({
      turn: { ...next, start: placeOf(3) },
      commit: { start: placeOf(0), lines: 3 },
    });
    expect(NEW_TURN).toEqual({ start: placeOf(0), lines: 0, hasAnswer: false });
    expect(answerOf(line(1))).toBe('');
  });

  it('commits nothing of what the end of an attempt cuts, and begins anew with the next', () => {
    const cut = [say('cut')];
    expect(byTurn(cut, [toolResult, result()])).toEqual([]);
    expect(byMessage(cut, [toolResult, result()])).toEqual([]);
    expect(byTurn([say('a'), result(), say('cut')], [], [say('b'), toolResult, result()])).toEqual(['a', 'b']);
    expect(byMessage([say('a'), result(), say('cut')], [], [say('b'), toolResult, result()])).toEqual(['a', 'b']);
  });

  it('T1: does not hold the errors of one attempt against the next', () => {
    const answer = [say(ERROR_TEXT), result({ result: ERROR_TEXT })];
    expect(byTurn([synthetic(ERROR_TEXT)], answer)).toEqual([ERROR_TEXT]);
    expect(byTurn([synthetic(ERROR_TEXT), ...answer])).toEqual([]);
  });

  it('leaves out what subagents say', () => {
    const messages = [say('sub', { parent_tool_use_id: 'tool-1' }), say('main'), result({ result: 'main' })];
    expect(byTurn(messages)).toEqual(['main']);
    expect(byMessage(messages)).toEqual(['main']);
  });

  it('commits nothing of a turn that was cut, and each good turn by itself', () => {
    expect(byTurn([say('a'), result(), say('b'), result({ subtype: 'error_max_turns' }), say('c'), result()])).toEqual([
      'a',
      'c',
    ]);
    expect(byTurn([say('a'), say('b')])).toEqual([]);
    expect(byMessage([say('a'), say('b')])).toEqual(['a']);
  });

  it('takes tool output that talks of errors for what it is', () => {
    expect(byTurn([toolResult, say('fixed the 401'), result({ result: 'fixed the 401' })])).toEqual(['fixed the 401']);
  });

  it('C7: is not misled by an answer that says "rate limit"', () => {
    expect(quarantine(EMPTY_QUARANTINE, say('429 rate limit')).isQuarantined).toBe(false);
  });

  const event = fc.oneof(
    fc.nat(3).map((n) => say(`answer ${n}`)),
    fc.nat(3).map((n) => synthetic(`error ${n}`)),
    fc.nat(3).map((n) => say(`error ${n}`, { error: 'server_error' })),
    fc.nat(3).map((n) => say(`sub ${n}`, { parent_tool_use_id: 't' })),
    fc.constantFrom<StreamMessage>(retry, toolResult, result(), result({ is_error: true }), { type: 'system' }),
    fc.nat(3).map((n) => result({ result: `error ${n}` })),
  );

  it('T1: holds no text of an error message or of a bad turn, whatever the order of events', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), (messages) => {
        const byTurns = byTurn(messages);
        const byMessages = byMessage(messages);
        expect([...byTurns, ...byMessages].every((text) => text.startsWith('answer'))).toBe(true);
        // What a turn commits, the eager way has committed as well, and in the same order.
        let at = 0;
        for (const text of byMessages) if (text === byTurns[at]) at += 1;
        expect(at).toBe(byTurns.length);
      }),
      { numRuns: 500 },
    );
  });

  it('T1: is that of each attempt by itself, one after the other', () => {
    fc.assert(
      fc.property(fc.array(fc.array(event, { maxLength: 12 }), { maxLength: 4 }), (attempts) => {
        expect(byTurn(...attempts)).toEqual(attempts.flatMap((messages) => byTurn(messages)));
        expect(byMessage(...attempts)).toEqual(attempts.flatMap((messages) => byMessage(messages)));
      }),
      { numRuns: 500 },
    );
  });
});

describe('a line of the stream', () => {
  it('is never thrown over, whatever JSON it holds', () => {
    fc.assert(
      fc.property(fc.object(), (message) => {
        quarantine(EMPTY_QUARANTINE, message);
        isErrorMessage({ ...message, type: 'assistant' });
        answerOf({ message: { ...message, type: 'assistant' }, isQuarantined: false, cursor: placeOf(1) });
      }),
    );
  });
});
