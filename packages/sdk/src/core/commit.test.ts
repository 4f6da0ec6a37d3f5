import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { advanceMessage, advanceTurn, answerOf, type JudgedLine, NEW_TURN, NOTHING_HELD } from './commit.js';
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

function judgeAll(messages: StreamMessage[]): JudgedLine[] {
  let state = EMPTY_QUARANTINE;
  return messages.map((message) => {
    const judged = quarantine(state, message);
    state = judged.state;
    return { message, isQuarantined: judged.isQuarantined };
  });
}

/** What `text()` says of a whole stream, the log being at hand. */
function byTurn(messages: StreamMessage[]): string[] {
  const lines = judgeAll(messages);
  let turn = NEW_TURN;
  return lines.flatMap((line, index) => {
    const step = advanceTurn(turn, line);
    turn = step.turn;
    return lines
      .slice(index + 1 - step.commit, index + 1)
      .map(answerOf)
      .filter((text) => text !== '');
  });
}

function byMessage(messages: StreamMessage[]): string[] {
  let held = NOTHING_HELD;
  return judgeAll(messages)
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
    const step = advanceMessage({ text: 'held' }, { message: toolResult, isQuarantined: false });
    expect(step).toEqual({ held: { text: '' }, commit: 'held' });
    expect(advanceMessage({ text: 'held' }, { message: retry, isQuarantined: false })).toEqual({
      held: { text: 'held' },
      commit: '',
    });
    expect(advanceMessage({ text: 'held' }, { message: undefined, isQuarantined: false })).toEqual({
      held: { text: 'held' },
      commit: '',
    });
    expect(advanceMessage({ text: 'held' }, { message: result(), isQuarantined: false })).toEqual({
      held: { text: '' },
      commit: 'held',
    });
  });

  it('counts the lines of a turn, those that are no message too, and commits none of a turn without an answer', () => {
    const noise = { message: undefined, isQuarantined: false };
    const first = advanceTurn(NEW_TURN, noise);
    expect(first).toEqual({ turn: { lines: 1, hasAnswer: false }, isOver: false, commit: 0 });
    const end = { message: result(), isQuarantined: false };
    expect(advanceTurn(first.turn, end)).toEqual({ turn: NEW_TURN, isOver: true, commit: 0 });
    const answered = advanceTurn(first.turn, { message: say('hi'), isQuarantined: false });
    expect(answered.turn).toEqual({ lines: 2, hasAnswer: true });
    expect(advanceTurn(answered.turn, noise).turn).toEqual({ lines: 3, hasAnswer: true });
    expect(advanceTurn(answered.turn, end)).toEqual({ turn: NEW_TURN, isOver: true, commit: 3 });
    expect(NEW_TURN).toEqual({ lines: 0, hasAnswer: false });
    expect(answerOf(noise)).toBe('');
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

  it('T1: holds no text of an error message or of a bad turn, whatever the order of events', () => {
    const event = fc.oneof(
      fc.nat(3).map((n) => say(`answer ${n}`)),
      fc.nat(3).map((n) => synthetic(`error ${n}`)),
      fc.nat(3).map((n) => say(`error ${n}`, { error: 'server_error' })),
      fc.nat(3).map((n) => say(`sub ${n}`, { parent_tool_use_id: 't' })),
      fc.constantFrom<StreamMessage>(retry, toolResult, result(), result({ is_error: true }), { type: 'system' }),
      fc.nat(3).map((n) => result({ result: `error ${n}` })),
    );
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
});

describe('a line of the stream', () => {
  it('is never thrown over, whatever JSON it holds', () => {
    fc.assert(
      fc.property(fc.object(), (message) => {
        quarantine(EMPTY_QUARANTINE, message);
        isErrorMessage({ ...message, type: 'assistant' });
        answerOf({ message: { ...message, type: 'assistant' }, isQuarantined: false });
      }),
    );
  });
});
