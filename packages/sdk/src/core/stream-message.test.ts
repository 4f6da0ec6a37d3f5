import { describe, expect, it } from 'vitest';
import {
  assistantText,
  isErrorMessage,
  isGoodResult,
  isOfMainConversation,
  parseStreamLine,
  type StreamMessage,
} from './stream-message.js';

const assistant = (content: unknown, rest: object = {}): StreamMessage => ({
  type: 'assistant',
  message: { model: 'claude-x', content },
  ...rest,
});

describe('a line', () => {
  it('is a message if it is a JSON object, white space around it aside', () => {
    expect(parseStreamLine('{"type":"system"}')).toEqual({ type: 'system' });
    expect(parseStreamLine(' \t{"type":"system"} \r')).toEqual({ type: 'system' });
  });

  it('is none otherwise, and nothing throws', () => {
    for (const line of ['', 'Warning: no stdin', '[{}]', '"{}"', '{"type":', '{} {}', 'null', '5']) {
      expect(parseStreamLine(line)).toBeUndefined();
    }
  });
});

describe('the text of a message', () => {
  it('is that of its text blocks, joined', () => {
    const blocks = [
      { type: 'text', text: 'one ' },
      { type: 'thinking', text: 'hm' },
      { type: 'text', text: 'two' },
    ];
    expect(assistantText(assistant(blocks))).toBe('one two');
    expect(assistantText(assistant('as a string'))).toBe('as a string');
  });

  it.each<[string, unknown]>([
    ['no content', undefined],
    ['content of another kind', { type: 'text', text: 'x' }],
    ['no blocks', []],
    ['blocks that are none', [null, 'x', 5, undefined]],
    ['blocks without a text', [{ type: 'text' }, { type: 'text', text: 5 }, { text: 'x' }]],
    ['the use of a tool alone', [{ type: 'tool_use', name: 'Bash', input: { text: 'x' } }]],
  ])('is none with %s', (_what, content) => {
    expect(assistantText(assistant(content))).toBe('');
  });

  it('is none where the assistant does not speak', () => {
    expect(assistantText({ ...assistant('hi'), type: 'user' })).toBe('');
    for (const message of [null, undefined, 'x', 5]) expect(assistantText({ type: 'assistant', message })).toBe('');
  });
});

describe('an error message', () => {
  it.each<[string, StreamMessage]>([
    ['by no model', { type: 'assistant', message: { model: '<synthetic>' } }],
    ['with an error', assistant('x', { error: 'server_error' })],
    ['with an error within', { type: 'assistant', message: { error: { type: 'overloaded' } } }],
    ['with a flag', assistant('x', { isApiErrorMessage: true })],
    ['with a flag of another spelling', assistant('x', { is_api_error_message: true })],
    ['with a flag within', { type: 'assistant', message: { isApiErrorMessage: true } }],
  ])('is one %s', (_what, message) => {
    expect(isErrorMessage(message)).toBe(true);
    expect(isErrorMessage({ ...message, type: 'user' })).toBe(false);
  });

  it.each<[string, StreamMessage]>([
    ['by a model', assistant('x')],
    [
      'with flags that are down',
      assistant('x', { isApiErrorMessage: false, is_api_error_message: false, error: null }),
    ],
    ['without a message', { type: 'assistant' }],
    ['with a message that is null', { type: 'assistant', message: null }],
  ])('is none %s', (_what, message) => {
    expect(isErrorMessage(message)).toBe(false);
  });
});

it('a result is good if all it says of itself is good', () => {
  const good = { type: 'result', subtype: 'success', is_error: false };
  expect(isGoodResult(good)).toBe(true);
  expect(isGoodResult({ type: 'result', subtype: 'success' })).toBe(true);
  expect(isGoodResult({ ...good, is_error: true })).toBe(false);
  expect(isGoodResult({ ...good, subtype: 'error_during_execution' })).toBe(false);
  expect(isGoodResult({ ...good, type: 'system' })).toBe(false);
});

it('a message is of the main conversation if no tool is its parent', () => {
  expect(isOfMainConversation({})).toBe(true);
  expect(isOfMainConversation({ parent_tool_use_id: null })).toBe(true);
  expect(isOfMainConversation({ parent_tool_use_id: 't1' })).toBe(false);
});
