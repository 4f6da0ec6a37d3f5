import { describe, expect, it } from 'vitest';
import { EMPTY_QUARANTINE, quarantine } from './quarantine.js';
import { type StreamMessage } from './stream-message.js';

const error = (text: string): StreamMessage => ({
  type: 'assistant',
  message: { model: '<synthetic>', content: [{ type: 'text', text }] },
});
const result = (text: unknown, rest: object = {}): StreamMessage => ({
  type: 'result',
  subtype: 'success',
  is_error: false,
  result: text,
  ...rest,
});

/** What is said of each message in turn. */
function judge(...messages: StreamMessage[]): boolean[] {
  let state = EMPTY_QUARANTINE;
  return messages.map((message) => {
    const judged = quarantine(state, message);
    state = judged.state;
    return judged.isQuarantined;
  });
}

describe('the quarantine', () => {
  it('T1: takes in an error and the result that repeats it, white space around it aside', () => {
    expect(judge(error('API Error: 401'), result('API Error: 401'))).toEqual([true, true]);
    expect(judge(error(' API Error: 401\n'), result('API Error: 401'))).toEqual([true, true]);
    expect(judge(error('API Error: 401'), result('API Error: 401\n'))).toEqual([true, true]);
  });

  it('T1: takes in a result that says of itself that it is bad, whatever its text', () => {
    expect(judge(result('fine', { is_error: true }), result(undefined, { subtype: 'error_max_turns' }))).toEqual([
      true,
      true,
    ]);
  });

  it('lets a good result through, after an error that the turn got over as well', () => {
    expect(judge(result('fine'), error('API Error: 529'), result('fine'))).toEqual([false, true, false]);
  });

  it('lets a result without a text through, and after an error without a text too', () => {
    expect(judge(result(undefined), result(5), result(''))).toEqual([false, false, false]);
    expect(judge(error(''), result(undefined), error(' '), result(''))).toEqual([true, false, true, false]);
  });

  it('lets everything through that is neither', () => {
    expect(judge({ type: 'user' }, { type: 'system', result: 'x' }, {})).toEqual([false, false, false]);
    expect(judge(error('x'), { type: 'system', result: 'x' })).toEqual([true, false]);
  });

  it('remembers the latest errors, and not all there ever were', () => {
    const many = Array.from({ length: 17 }, (_value, n) => error(`error ${n}`));
    const said = judge(...many, result('error 16'), result('error 1'), result('error 0'));
    expect(said.slice(-3)).toEqual([true, true, false]);
  });
});
