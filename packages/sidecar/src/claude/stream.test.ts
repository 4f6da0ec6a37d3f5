import { LIMITS } from '@outrigger/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EMPTY_REPORT } from '../core/outcome.js';
import { mayMatter, type Reading, readLine, truncateUtf8 } from './stream.js';

const GOOD = { type: 'result', subtype: 'success', is_error: false, result: 'done' };

const read = (event: object) => readLine(JSON.stringify(event));

function readResult(event: object): Extract<Reading, { kind: 'result' }> {
  const reading = read(event);
  if (reading.kind !== 'result') throw new Error(`read as ${reading.kind}`);
  return reading;
}

describe('a line of the stream', () => {
  it('that says how the session began names session and model', () => {
    expect(read({ type: 'system', subtype: 'init', session_id: 's', model: 'm', tools: [] })).toEqual({
      kind: 'init',
      report: { sessionId: 's', model: 'm' },
    });
    expect(read({ type: 'system', subtype: 'init' })).toEqual({
      kind: 'init',
      report: { sessionId: null, model: null },
    });
  });

  it('that is a good result says everything about the run', () => {
    const event = {
      ...GOOD,
      session_id: 's',
      num_turns: 3,
      total_cost_usd: 32,
      usage: { input_tokens: 1, output_tokens: 2, cache_creation_input_tokens: 3, cache_read_input_tokens: 4 },
    };
    expect(read(event)).toEqual({
      kind: 'result',
      failure: null,
      report: {
        ...EMPTY_REPORT,
        resultText: 'done',
        sessionId: 's',
        turns: 3,
        costUsd: 32,
        usage: { inputTokens: 1, outputTokens: 2, cacheCreationInputTokens: 3, cacheReadInputTokens: 4 },
      },
    });
  });

  it('leaves out what is not known of the usage', () => {
    const usage = {
      input_tokens: 1,
      output_tokens: 2,
      cache_creation_input_tokens: null,
      cache_read_input_tokens: null,
    };
    expect(readResult({ ...GOOD, usage }).report.usage).toStrictEqual({ inputTokens: 1, outputTokens: 2 });
    const { input_tokens, output_tokens } = usage;
    expect(readResult({ ...GOOD, usage: { input_tokens, output_tokens } }).report.usage).toStrictEqual({
      inputTokens: 1,
      outputTokens: 2,
    });
  });

  it('that is a good result says what it says, and no more', () => {
    expect(read({ type: 'result', subtype: 'success' })).toEqual({
      kind: 'result',
      failure: null,
      report: EMPTY_REPORT,
    });
  });

  it.each([
    ['a result that says success but is an error', { ...GOOD, is_error: true }, 'agent_error'],
    ['an error in the middle', { ...GOOD, subtype: 'error_during_execution' }, 'agent_error'],
    ['too many turns', { ...GOOD, subtype: 'error_max_turns' }, 'max_turns'],
    ['a result that does not say what it is', { type: 'result' }, 'agent_error'],
    ['a result whose flag is no flag', { ...GOOD, is_error: 'maybe' }, 'agent_error'],
  ])('that is %s is a failure', (_what, event, failure) => {
    expect(readResult(event).failure).toBe(failure);
  });

  it('that is a failure says what went wrong, at no great length', () => {
    const errorText = (event: object) => readResult(event).report.errorText;
    expect(errorText({ ...GOOD, is_error: true, errors: ['x'] })).toBe('done');
    expect(errorText({ type: 'result', errors: ['a', 5, 'b'] })).toBe('a; b');
    expect(errorText({ type: 'result', subtype: 'error_max_turns', errors: [] })).toBe(
      'Claude Code ended with error_max_turns.',
    );
    expect(errorText({ type: 'result' })).toBe('Claude Code ended with an error.');
    expect(errorText({ ...GOOD, is_error: true, result: 'x'.repeat(9000) })).toHaveLength(2000);
    expect(errorText(GOOD)).toBeNull();
  });

  it.each([
    ['session_id', 5],
    ['num_turns', -1],
    ['num_turns', 1.5],
    ['total_cost_usd', null],
    ['total_cost_usd', '32'],
    ['model', {}],
    ['errors', 'x'],
    ['usage', { input_tokens: 'many' }],
    ['usage', null],
    ['is_error', null],
  ])('loses no result for a field of another version (%s: %j)', (name, value) => {
    expect(read({ ...GOOD, [name]: value })).toEqual(read(GOOD));
  });

  it('loses no result whose text is none', () => {
    expect(readResult({ ...GOOD, result: { a: 1 } })).toMatchObject({ failure: null, report: { resultText: null } });
  });

  it.each([
    '',
    'null',
    '"result"',
    '["result"]',
    '{"type":"result"',
    'some text with "result" and "init" in it',
    '{"type":5,"subtype":"init"}',
    '{"type":"assistant","message":{"content":"{\\"type\\":\\"result\\"}"}}',
    '{"type":"user","subtype":"init"}',
    '{"type":"system","subtype":"status","of":"result"}',
    '{"type":"assistant","subtype":"success","result":"done","of":"result"}',
  ])('C7: that is no such event means nothing (%s)', (line) => {
    expect(readLine(line)).toEqual({ kind: 'nothing' });
  });

  it('O11: is never too strange to be read', () => {
    const strange = fc.oneof(
      fc.string({ unit: 'binary' }).map((text) => `"result"${text}`),
      fc.json().map((json) => `{"type":"result","x":${json}}`),
      fc
        .dictionary(fc.constantFrom(...Object.keys(GOOD), 'usage', 'errors'), fc.jsonValue())
        .map((fields) => JSON.stringify({ ...fields, type: 'result' })),
    );
    fc.assert(
      fc.property(strange, (line) => {
        expect(['nothing', 'result']).toContain(readLine(line).kind);
      }),
    );
  });

  it('that matters is never passed over for how its bytes look', () => {
    for (const event of [GOOD, { type: 'system', subtype: 'init' }]) {
      for (const indent of [0, 2]) expect(mayMatter(Buffer.from(JSON.stringify(event, null, indent)))).toBe(true);
    }
    expect(mayMatter(Buffer.from('{"type":"assistant"}\n{"type":"user"}\n'))).toBe(false);
  });
});

describe('a long result', () => {
  it('is cut at the limit and says so', () => {
    const long = readResult({ ...GOOD, result: 'é'.repeat(LIMITS.resultBytesMax) }).report;
    expect(long.isResultTruncated).toBe(true);
    expect(Buffer.byteLength(long.resultText ?? '')).toBe(LIMITS.resultBytesMax);
    const longest = readResult({ ...GOOD, result: 'x'.repeat(LIMITS.resultBytesMax) }).report;
    expect(longest.isResultTruncated).toBe(false);
  });

  it('is cut as late as it can be, never within a character', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'é', '€', '\u{1f600}'), maxLength: 20 });
    fc.assert(
      fc.property(text, fc.nat({ max: 60 }), (whole, bytesMax) => {
        const cut = truncateUtf8(whole, bytesMax);
        const next = String.fromCodePoint(whole.codePointAt(cut.text.length) ?? 0);
        expect(whole.startsWith(cut.text)).toBe(true);
        expect(Buffer.byteLength(cut.text)).toBeLessThanOrEqual(bytesMax);
        expect(cut.isTruncated).toBe(cut.text !== whole);
        if (cut.isTruncated) expect(Buffer.byteLength(cut.text + next)).toBeGreaterThan(bytesMax);
      }),
    );
  });
});
