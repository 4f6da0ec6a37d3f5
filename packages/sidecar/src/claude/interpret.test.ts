import { LIMITS } from '@outrigger/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EMPTY_REPORT } from '../core/outcome.js';
import { answer, GOOD, hear, INIT, synthetic, toolResult, toolUse } from '../testing/stream.js';
import { interpretLine, linesThatMayMatter, NEW_STREAM, type Reading, truncateUtf8 } from './interpret.js';

const report = (...events: (object | string)[]) => hear(events).state.report;
const ANSWERED: Reading = { kind: 'answered' };
const failure = (...events: object[]) => {
  const last = hear(events).readings.at(-1);
  return last?.kind === 'result' ? last.failure : last?.kind;
};

describe('a run', () => {
  it('begins a turn with its first event, which names session and model', () => {
    const { state, readings } = hear([{ ...INIT, tools: [] }]);
    expect(readings).toEqual([{ kind: 'turn_started' }]);
    expect(state.report).toEqual({ ...EMPTY_REPORT, sessionId: 's', model: 'claude-sonnet-5-5' });
    expect(report({ type: 'system', subtype: 'init' })).toEqual(EMPTY_REPORT);
  });

  it('begins a turn with an answer, too, but not with that of a subagent', () => {
    expect(hear([answer('a')]).readings).toEqual([ANSWERED, { kind: 'turn_started' }]);
    expect(hear([answer('a', { parent_tool_use_id: null })]).readings).toEqual([ANSWERED, { kind: 'turn_started' }]);
    expect(hear([answer('a', { parent_tool_use_id: 't1' })]).readings).toEqual([ANSWERED]);
    expect(hear([synthetic('a')]).readings).toEqual([]);
  });

  it('says once that a model has answered it, be it in a subagent', () => {
    const answeredIn = (...events: object[]) => hear(events).readings.filter(({ kind }) => kind === 'answered').length;
    const subagent = { parent_tool_use_id: 't1' };
    expect(answeredIn(INIT, synthetic('a'), GOOD)).toBe(0);
    expect(answeredIn(synthetic('a'), answer('b'), answer('c'), INIT, toolUse('d'))).toBe(1);
    expect(answeredIn(answer('a', subagent), answer('b', subagent), answer('c'))).toBe(1);
  });

  it('says everything about itself with a good result', () => {
    const event = {
      ...GOOD,
      session_id: 's',
      num_turns: 3,
      total_cost_usd: 32,
      usage: { input_tokens: 1, output_tokens: 2, cache_creation_input_tokens: 3, cache_read_input_tokens: 4 },
    };
    expect(hear([event])).toMatchObject({
      readings: [{ kind: 'result', failure: null }],
      state: {
        report: {
          ...EMPTY_REPORT,
          resultText: 'done',
          sessionId: 's',
          turns: 3,
          costUsd: 32,
          usage: { inputTokens: 1, outputTokens: 2, cacheCreationInputTokens: 3, cacheReadInputTokens: 4 },
        },
      },
    });
  });

  it('leaves out what is not known of the usage', () => {
    const counts = { input_tokens: 1, output_tokens: 2 };
    const none = { cache_creation_input_tokens: null, cache_read_input_tokens: null };
    for (const usage of [counts, { ...counts, ...none }]) {
      expect(report({ ...GOOD, usage }).usage).toStrictEqual({ inputTokens: 1, outputTokens: 2 });
    }
  });

  it('is still known by what earlier events said, where a later one does not', () => {
    const told = report(INIT, { ...GOOD, num_turns: 3, total_cost_usd: 32 }, INIT, { ...GOOD, result: 'more' });
    expect(told).toEqual({
      ...EMPTY_REPORT,
      sessionId: 's',
      model: 'claude-sonnet-5-5',
      turns: 3,
      costUsd: 32,
      resultText: 'more',
    });
  });

  it('O13: has the text and the failure of its last result', () => {
    const bad = { ...GOOD, is_error: true, result: 'it broke' };
    expect(report(bad, GOOD)).toMatchObject({ resultText: 'done', errorText: null });
    expect(report(GOOD, bad)).toMatchObject({ resultText: 'it broke', errorText: 'it broke' });
    expect(report(GOOD, { type: 'result', subtype: 'success' }).resultText).toBeNull();
  });
});

describe('a result', () => {
  it('is good when it says no more than that', () => {
    expect(hear([{ type: 'result', subtype: 'success' }])).toMatchObject({
      readings: [{ kind: 'result', failure: null }],
      state: { report: EMPTY_REPORT },
    });
  });

  it.each([
    ['one that says success but is an error', { ...GOOD, is_error: true }, 'agent_error'],
    ['an error in the middle', { ...GOOD, subtype: 'error_during_execution' }, 'agent_error'],
    ['too many turns', { ...GOOD, subtype: 'error_max_turns' }, 'max_turns'],
    ['one that does not say what it is', { type: 'result' }, 'agent_error'],
    ['one whose flag is no flag', { ...GOOD, is_error: 'maybe' }, 'agent_error'],
  ])('is a failure when it is %s', (_what, event, reason) => {
    expect(failure(event)).toBe(reason);
  });

  it('that is a failure says what went wrong, at no great length', () => {
    const errorText = (event: object) => report(event).errorText;
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
    ['api_error_status', null],
    ['error', { type: 'x' }],
  ])('is not lost for a field of another version (%s: %j)', (name, value) => {
    expect(hear([{ ...GOOD, [name]: value }])).toEqual(hear([GOOD]));
  });

  it('is not lost when its text is none', () => {
    expect(hear([{ ...GOOD, result: { a: 1 } }])).toMatchObject({
      readings: [{ failure: null }],
      state: { report: { resultText: null } },
    });
  });

  it('O11: is cut where it is too long, and says so', () => {
    const long = report({ ...GOOD, result: 'é'.repeat(LIMITS.resultBytesMax) });
    expect(long.isResultTruncated).toBe(true);
    expect(Buffer.byteLength(long.resultText ?? '')).toBe(LIMITS.resultBytesMax);
    expect(report({ ...GOOD, result: 'x'.repeat(LIMITS.resultBytesMax) }).isResultTruncated).toBe(false);
  });
});

describe('T1: a message that is marked as an error', () => {
  it('makes the result that repeats it a bad one, whatever that says of itself', () => {
    expect(failure(synthetic('Prompt is too long'), { ...GOOD, result: 'Prompt is too long' })).toBe('prompt_too_long');
    expect(failure(synthetic('something'), { ...GOOD, result: 'something' })).toBe('agent_error');
    expect(failure(answer('x', { error: 'rate_limit' }), { ...GOOD, result: 'x' })).toBe('rate_limited');
  });

  it('says nothing of a result that does not repeat it', () => {
    expect(failure(synthetic('something'), GOOD)).toBeNull();
    expect(failure(synthetic('something'), { type: 'result', subtype: 'success' })).toBeNull();
  });

  it('tells what failed where a bad result does not', () => {
    const bad = { ...GOOD, is_error: true, result: 'Something.' };
    expect(failure(answer('Something.', { error: 'billing_error' }), bad)).toBe('billing');
    expect(failure(answer('Something.', { error: 'billing_error' }), { ...bad, error: 'model_not_found' })).toBe(
      'model_unavailable',
    );
  });

  it('is forgotten with the next answer, and with the next turn', () => {
    const flagged = answer('it', { error: 'authentication_failed' });
    const bad = { type: 'result', subtype: 'error_during_execution' };
    expect(failure(flagged, bad)).toBe('auth_invalid');
    expect(failure(flagged, answer('it'), { ...GOOD, result: 'it' })).toBeNull();
    expect(failure(flagged, answer('it'), bad)).toBe('agent_error');
    expect(failure(flagged, INIT, bad)).toBe('agent_error');
    expect(failure(flagged, INIT, { ...GOOD, result: 'it' })).toBeNull();
  });

  it('is none of the run when it is of a subagent, whose answers do not make up for one of the run either', () => {
    const inSubagent = { parent_tool_use_id: 't1' };
    const bad = { type: 'result', subtype: 'error_during_execution' };
    expect(failure(synthetic('it', inSubagent), { ...GOOD, result: 'it' })).toBeNull();
    expect(failure(answer('it', { ...inSubagent, error: 'authentication_failed' }), bad)).toBe('agent_error');
    expect(failure(synthetic('it'), answer('more', inSubagent), { ...GOOD, result: 'it' })).toBe('agent_error');
  });
});

describe('C7: what a model said', () => {
  const SAID = 'OAuth token has expired';
  const bad = { ...GOOD, is_error: true, result: SAID };

  it('is no evidence when a bad result repeats it', () => {
    expect(failure(answer(SAID), bad)).toBe('agent_error');
    expect(failure(answer(`  ${SAID}\n`), toolUse('t1'), toolResult('t1'), bad)).toBe('agent_error');
    expect(failure(answer(SAID), { ...bad, api_error_status: 429 })).toBe('rate_limited');
    expect(failure(answer(`${SAID}${'x'.repeat(5000)}`), { ...bad, result: `${SAID}${'x'.repeat(5000)}` })).toBe(
      'agent_error',
    );
  });

  it('is evidence where the CLI itself says it', () => {
    expect(failure(bad)).toBe('auth_expired');
    expect(failure(answer('Well.'), bad)).toBe('auth_expired');
    expect(failure(answer(SAID), synthetic(SAID), bad)).toBe('auth_expired');
    expect(failure(answer(SAID), INIT, bad)).toBe('auth_expired');
    expect(failure(answer(SAID, { parent_tool_use_id: 't1' }), bad)).toBe('auth_expired');
  });
});

describe('tools', () => {
  const tools = (open: number): Reading => ({ kind: 'tools', open });

  it('are open from their use to their result', () => {
    const { readings } = hear([toolUse('a'), toolUse('b'), toolResult('b'), toolResult('a')]);
    expect(readings.filter(({ kind }) => kind === 'tools')).toEqual([tools(1), tools(2), tools(1), tools(0)]);
  });

  it('can be several in one message', () => {
    const content = ['a', 'b'].map((id) => ({ type: 'tool_use', id }));
    expect(hear([{ type: 'assistant', message: { content } }]).readings.slice(1)).toEqual([
      { kind: 'turn_started' },
      tools(2),
    ]);
  });

  it('of a subagent count as well', () => {
    expect(hear([{ ...toolUse('a'), parent_tool_use_id: 't1' }]).readings).toEqual([ANSWERED, tools(1)]);
  });

  it('are no longer open after a result, and nothing is said where none were', () => {
    expect(hear([toolUse('a'), GOOD]).readings.slice(-2)).toEqual([tools(0), { kind: 'result', failure: null }]);
    expect(hear([toolUse('a'), GOOD, toolUse('b')]).readings.at(-1)).toEqual(tools(1));
    expect(hear([GOOD]).readings).toEqual([{ kind: 'result', failure: null }]);
  });

  it('are not opened or closed by what names none', () => {
    expect(hear([toolResult('a')]).readings).toEqual([]);
    expect(hear([{ type: 'user', message: { content: 'toolUse' } }]).readings).toEqual([]);
    expect(hear([answer('tool_use')]).readings).toEqual([ANSWERED, { kind: 'turn_started' }]);
  });
});

describe('O13: background tasks', () => {
  const started = (id: unknown, more: object = {}) => ({
    type: 'system',
    subtype: 'task_started',
    task_id: id,
    ...more,
  });
  const ended = (id: unknown, status = 'completed') => ({
    type: 'system',
    subtype: 'task_notification',
    task_id: id,
    status,
  });
  const changed = (...ids: unknown[]) => ({
    type: 'system',
    subtype: 'background_tasks_changed',
    tasks: ids.map((task_id) => ({ task_id })),
  });
  const open = (...events: object[]) =>
    hear(events).readings.map((reading) => (reading.kind === 'tasks' ? reading.open : reading));

  it('are open from their start to the notice of their end, however they end', () => {
    expect(open(started('a'), started('b'), ended('a'), ended('b', 'stopped'))).toEqual([1, 2, 1, 0]);
  });

  it('stay open over a result', () => {
    expect(open(started('a'), GOOD, ended('a')).at(-1)).toBe(0);
  });

  it('are those of the list where there is one', () => {
    expect(open(changed('a'), started('a'), changed('a', 'b'), ended('b'), changed())).toEqual([1, 1, 2, 1, 0]);
    expect(open(started('a'), { type: 'system', subtype: 'background_tasks_changed', tasks: 'none' })).toEqual([1]);
  });

  it('are not what runs in the foreground', () => {
    expect(open(started('a', { is_backgrounded: false }), ended('a'))).toEqual([]);
    expect(open(started('a', { is_backgrounded: true }))).toEqual([1]);
  });

  it('are not opened or closed by what names none', () => {
    expect(open(started(undefined), started(5), ended('a'), ended(undefined))).toEqual([]);
  });

  it('O11: are counted up to a bound, however many a run starts', () => {
    const many = Array.from({ length: 1500 }, (_, i) => `t${i}`);
    expect(hear(many.map((id) => started(id))).state.openTasks.size).toBe(1000);
    expect(hear([changed(...many)]).state.openTasks.size).toBe(1000);
    expect(hear(many.map((id) => toolUse(id))).state.openTools.size).toBe(1000);
  });

  it('begin a turn by their end, whose result is told from the answer to a message', () => {
    const readings = (origin: unknown) => hear([{ ...GOOD, origin }]).readings;
    const own = { kind: 'result', failure: null, isOwnTurn: true };
    expect(readings({ kind: 'task-notification', runId: 'r' })).toEqual([own]);
    for (const origin of [undefined, null, 'task-notification', { kind: 'human' }, {}]) {
      expect(readings(origin)).toEqual([{ kind: 'result', failure: null }]);
    }
  });
});

describe('a notice that the CLI tries again', () => {
  const retry = (error_status: number | null, error: string) => ({
    type: 'system',
    subtype: 'api_retry',
    attempt: 1,
    error_status,
    error,
  });
  const credentialFailed = (reason: string) => ({ kind: 'credential_failed', reason });

  it.each([
    [401, 'authentication_failed', 'auth_invalid'],
    [401, 'unknown', 'auth_invalid'],
    [403, 'authentication_failed', 'auth_revoked'],
  ])('after %i %s says that the credential was refused', (status, error, reason) => {
    expect(hear([INIT, retry(status, error)]).readings.at(-1)).toEqual(credentialFailed(reason));
  });

  it('C1: says that it has expired, where it was good enough for an answer before', () => {
    expect(hear([answer('a'), retry(401, 'authentication_failed')]).readings.at(-1)).toEqual(
      credentialFailed('auth_expired'),
    );
    expect(hear([answer('a', { parent_tool_use_id: 't' }), retry(401, 'x')]).readings.at(-1)).toEqual(
      credentialFailed('auth_expired'),
    );
    expect(hear([answer('a'), retry(403, 'authentication_failed')]).readings.at(-1)).toEqual(
      credentialFailed('auth_revoked'),
    );
    expect(hear([synthetic('a'), retry(401, 'x')]).readings.at(-1)).toEqual(credentialFailed('auth_invalid'));
  });

  it.each([
    [429, 'rate_limit'],
    [500, 'server_error'],
    [529, 'overloaded'],
    [403, 'unknown'],
    [null, 'unknown'],
    [null, 'server_error'],
  ])('after %s %s means nothing, since a later try can go well', (status, error) => {
    expect(hear([retry(status, error)])).toEqual({ state: NEW_STREAM, readings: [] });
  });

  it('says so in words, which a good result takes back', () => {
    const words = 'The provider refused the credential (401). It is wrong, or has expired.';
    expect(report(retry(401, 'authentication_failed')).errorText).toBe(words);
    expect(report(retry(null, 'authentication_failed')).errorText).toBe(
      'The provider refused the credential (authentication_failed). It is wrong, or has expired.',
    );
    expect(report(retry(401, 'authentication_failed'), GOOD).errorText).toBeNull();
  });
});

describe('when to try again', () => {
  const limit = (info: unknown) => ({ type: 'rate_limit_event', rate_limit_info: info });
  const rejected = limit({ status: 'rejected', resetsAt: 1_800_000_000 });
  const limited = { ...GOOD, is_error: true, api_error_status: 429, result: 'limited' };

  it('is what the notice of the limit said, in milliseconds', () => {
    expect(hear([rejected]).readings).toEqual([]);
    expect(report(rejected, limited).retryAt).toBe(1_800_000_000_000);
    const later = limit({ status: 'rejected', resetsAt: 1_800_000_100 });
    expect(report(rejected, later, limited).retryAt).toBe(1_800_000_100_000);
  });

  it('is what older versions append to the text', () => {
    const old = { ...GOOD, is_error: true, result: 'Claude AI usage limit reached|1762952400' };
    expect(report(old).retryAt).toBe(1_762_952_400_000);
    expect(report(rejected, old).retryAt).toBe(1_800_000_000_000);
    expect(report({ ...old, result: 'Claude AI usage limit reached|0' }).retryAt).toBeNull();
  });

  it.each([
    [{ status: 'allowed', resetsAt: 1_800_000_000 }],
    [{ status: 'rejected' }],
    [{ status: 'rejected', resetsAt: 'soon' }],
    [{ resetsAt: 1_800_000_000 }],
    [null],
  ])('is not known from %j', (info) => {
    expect(report(limit(info), limited).retryAt).toBeNull();
  });

  it('is nothing to say where no limit failed the run', () => {
    expect(report(rejected, GOOD).retryAt).toBeNull();
    expect(report(rejected, { ...GOOD, is_error: true, result: 'x' }).retryAt).toBeNull();
    expect(report(rejected, limited, GOOD).retryAt).toBeNull();
  });
});

describe('a line', () => {
  it.each([
    '',
    'null',
    '"result"',
    '["result"]',
    '{"type":"result"',
    'some text with "result" and "init" in it',
    '{"type":5,"subtype":"init"}',
    '{"type":"user","subtype":"init"}',
    '{"type":"system","subtype":"status","of":"result"}',
    '{"type":"system"}',
    '{"type":"stream_event","subtype":"success","result":"done"}',
    '{"type":"control_request"}',
  ])('C7: that is no event that matters means nothing (%s)', (line) => {
    expect(interpretLine(NEW_STREAM, line)).toEqual({ state: NEW_STREAM, readings: [] });
  });

  it('C7: holding a result inside something else is none', () => {
    const result = JSON.stringify({ ...GOOD, is_error: true });
    for (const event of [answer(result), toolUse('a', { result }), toolResult('a', result)]) {
      expect(hear([event]).readings.map(({ kind }) => kind)).not.toContain('result');
    }
  });

  it('O11: is never too strange to be read, whatever came before', () => {
    const type = fc.constantFrom('assistant', 'user', 'system', 'result', 'rate_limit_event', 'stream_event');
    const subtype = fc.constantFrom('init', 'api_retry', 'task_started', 'task_notification', 'success', 'error');
    const names = [
      'message',
      'result',
      'errors',
      'usage',
      'error',
      'error_status',
      'task_id',
      'tasks',
      'rate_limit_info',
    ];
    const event = fc
      .tuple(type, subtype, fc.dictionary(fc.constantFrom(...names), fc.jsonValue()))
      .map(([of, sub, fields]) => JSON.stringify({ ...fields, type: of, subtype: sub }));
    const strange = fc.oneof(
      event,
      fc.json(),
      fc.string({ unit: 'binary' }).map((text) => `"result"${text}`),
    );
    fc.assert(
      fc.property(fc.array(strange, { maxLength: 8 }), (lines) => {
        const { readings } = hear(lines);
        const results = lines.filter((line) => isResult(line)).length;
        expect(readings.filter(({ kind }) => kind === 'result')).toHaveLength(results);
      }),
      { numRuns: 300 },
    );
  });

  it('that matters is never passed over for how its bytes look', () => {
    const limit = { type: 'rate_limit_event', rate_limit_info: {} };
    for (const event of [GOOD, INIT, answer('a'), toolUse('a'), toolResult('a'), limit]) {
      const line = JSON.stringify(event);
      // With a space behind each colon and comma.
      const spacedLine = JSON.stringify(event, null, 1).replaceAll(/\n */g, ' ');
      expect(linesThatMayMatter(Buffer.from(`{}\n${line}\n${spacedLine}\n`))).toEqual([line, spacedLine]);
    }
    expect(linesThatMayMatter(Buffer.from('{"type":"stream_event"}\n{"type":"control_request"}\n'))).toEqual([]);
  });
});

function isResult(line: string): boolean {
  try {
    return (JSON.parse(line) as { type?: unknown } | null)?.type === 'result';
  } catch {
    return false;
  }
}

it('a long text is cut as late as it can be, never within a character', () => {
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
