import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { advanceMessage, advanceTurn, answerOf, type JudgedLine, NEW_TURN, NOTHING_HELD } from './commit.js';
import { EMPTY_QUARANTINE, quarantine } from './quarantine.js';
import { isErrorMessage, parseStreamLine, type StreamMessage } from './stream-message.js';

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
  it('is a message only if it is a JSON object', () => {
    expect(parseStreamLine('{"type":"system"}')).toEqual({ type: 'system' });
    for (const line of ['', 'Warning: no stdin', '[1]', '"x"', '{"type":', 'null', '5']) {
      expect(parseStreamLine(line)).toBeUndefined();
    }
  });

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
