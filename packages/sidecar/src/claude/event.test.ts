import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { blocksOf, isFlagged, parseEvent, type StreamEvent, textOf } from './event.js';

const FIELDS = {
  subtype: 'success',
  session_id: 's',
  model: 'm',
  parent_tool_use_id: 't',
  task_id: 'b',
  is_backgrounded: true,
  tasks: [{ task_id: 'b' }],
  is_error: false,
  error: 'server_error',
  error_status: 500,
  is_api_error_message: true,
  isApiErrorMessage: true,
  api_error_status: 500,
  api_error_type: 'api_error',
  api_error: 'connection_failed',
  terminal_reason: 'completed',
  result: 'done',
  errors: ['x'],
  num_turns: 3,
  total_cost_usd: 32,
  usage: { input_tokens: 1, output_tokens: 2, cache_creation_input_tokens: 3, cache_read_input_tokens: 4 },
  rate_limit_info: { status: 'rejected', resetsAt: 1_800_000_000 },
};

const parse = (event: object) => parseEvent(JSON.stringify(event));
const assistant = (content: unknown, more: object = {}) =>
  parse({ type: 'assistant', message: { model: 'm', content }, ...more }) as StreamEvent;

describe('an event', () => {
  it('keeps every field that is what it should be, and no other', () => {
    expect(parse({ type: 'result', ...FIELDS, more: 1 })).toStrictEqual({ type: 'result', ...FIELDS });
  });

  it.each(Object.keys(FIELDS).flatMap((name) => [{ a: { b: 1 } }, [[]], 1.5].map((odd) => ({ name, odd }))))(
    'is not lost for $name being $odd',
    ({ name, odd }) => {
      const { [name]: read, ...rest } = { ...parse({ type: 'result', ...FIELDS, [name]: odd }) } as Record<
        string,
        unknown
      >;
      const { [name]: _left, ...expected } = { type: 'result', ...FIELDS } as Record<string, unknown>;
      expect(rest).toStrictEqual(expected);
      const isKept = name === 'total_cost_usd' ? odd === 1.5 : name === 'errors' && Array.isArray(odd);
      // Anything but a plain no is an error.
      expect(read).toStrictEqual(name === 'is_error' ? true : isKept ? odd : undefined);
    },
  );

  it.each(['session_id', 'model'] as const)('has a name of at most 256 characters as %s', (name) => {
    const longest = 'x'.repeat(256);
    expect(parse({ type: 'result', [name]: longest })?.[name]).toBe(longest);
    expect(parse({ type: 'result', [name]: `${longest}x`, result: 'done' })).toEqual({
      type: 'result',
      result: 'done',
    });
  });

  it('is looked at for its first 1000 blocks', () => {
    const blocks = Array.from({ length: 1001 }, (_, n) => ({ type: 'tool_use', id: `t${n}` }));
    expect(blocksOf(assistant(blocks))).toEqual(blocks.slice(0, 1000));
    expect(textOf(assistant([...blocks.slice(0, 1000), { type: 'text', text: 'x' }]))).toBe('');
    expect(textOf(assistant([...blocks.slice(0, 999), { type: 'text', text: 'x' }]))).toBe('x');
  });

  it('is an error unless it says that it is none', () => {
    const isError = (value: unknown) => parse({ type: 'result', is_error: value })?.is_error;
    expect([true, 'no', 0, {}].map(isError)).toEqual([true, true, true, true]);
    expect([false, null, undefined].map(isError)).toEqual([false, null, undefined]);
  });

  it.each([
    ['num_turns', -1],
    ['usage', { input_tokens: -1, output_tokens: 1 }],
    ['usage', { input_tokens: 1 }],
    ['total_cost_usd', '32'],
  ])('leaves out what cannot be (%s: %j)', (name, value) => {
    expect(parse({ type: 'result', [name]: value })).toEqual({ type: 'result' });
  });

  it.each([-1, 8_640_000_000_001, '1800000000'])('leaves out a moment that is none (%j)', (resetsAt) => {
    const info = parse({ type: 'x', rate_limit_info: { status: 'rejected', resetsAt } })?.rate_limit_info;
    expect(info).toStrictEqual({ status: 'rejected', resetsAt: undefined });
  });

  it.each([
    '',
    ' ',
    'null',
    '"result"',
    '["result"]',
    '5',
    '{}',
    '{"type":5}',
    '{"type":"result"',
    'text {"type":"x"}',
  ])('is not what another line is (%s)', (line) => {
    expect(parseEvent(line)).toBeNull();
  });

  it('is never read from anything but an object with a type, and reading never throws', () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), (line) => {
        expect(() => parseEvent(line)).not.toThrow();
      }),
    );
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...Object.keys(FIELDS)), fc.jsonValue()), (fields) => {
        expect(parse({ ...fields, type: 'result' })?.type).toBe('result');
      }),
    );
  });
});

describe('the content of a message', () => {
  it('is its blocks, without those of another kind or shape', () => {
    const blocks = [
      { type: 'text', text: 'a' },
      { type: 'tool_use', id: 't1' },
      { type: 'tool_result', tool_use_id: 't1' },
    ];
    const odd = [
      null,
      5,
      'text',
      { type: 'text' },
      { type: 'text', text: 5 },
      { type: 'tool_use' },
      { type: 'thinking' },
    ];
    expect(blocksOf(assistant([...blocks, ...odd]))).toEqual(blocks);
  });

  it.each(['a string', null, 5, {}, undefined])('is nothing where it is no list (%j)', (content) => {
    expect(blocksOf(assistant(content))).toEqual([]);
  });

  it('is nothing where there is no message', () => {
    expect(blocksOf({ type: 'assistant' })).toEqual([]);
    expect(blocksOf(parse({ type: 'assistant', message: 'x' }) as StreamEvent)).toEqual([]);
  });

  it('has the text of all its texts', () => {
    const texts = [
      { type: 'text', text: 'a' },
      { type: 'tool_use', id: 't' },
      { type: 'text', text: 'b' },
    ];
    expect(textOf(assistant(texts))).toBe('ab');
    expect(textOf(assistant([]))).toBe('');
  });
});

describe('T1: a message is flagged as an error', () => {
  it.each<[string, object]>([
    ['by the name of the failure', { error: 'authentication_failed' }],
    ['by a mark', { is_api_error_message: true }],
    ['by the mark of other versions', { isApiErrorMessage: true }],
    ['by being made by no model', { message: { model: '<synthetic>', content: [] } }],
  ])('%s', (_by, more) => {
    expect(isFlagged(assistant([], more))).toBe(true);
  });

  it.each<[string, object]>([
    ['a model', {}],
    ['a model and not marked', { error: null, is_api_error_message: false, isApiErrorMessage: false }],
    ['a model that is not named', { message: { content: [] } }],
  ])('unless it is by %s', (_by, more) => {
    expect(isFlagged(assistant([], more))).toBe(false);
  });
});
