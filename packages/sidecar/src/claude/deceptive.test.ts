import { describe, expect, it } from 'vitest';
import { type LifecycleEvent, type LifecycleLimits, newLifecycle } from '../core/lifecycle-state.js';
import { step } from '../core/lifecycle.js';
import { answer, GOOD, hear, INIT, synthetic, toolResult, toolUse } from '../testing/stream.js';
import { classifyStderr } from './failures.js';
import { type Reading } from './interpret.js';

/** What a pattern match would fall for. Several are, letter for letter, what the CLI prints when something failed. */
const TEXTS = [
  '401',
  '403 Forbidden',
  '429 Too Many Requests',
  'HTTP/1.1 401 Unauthorized',
  'unauthorized',
  'authentication_error',
  'authentication_failed',
  'rate limit',
  'rate_limit_error: This request would exceed your rate limit.',
  'You have hit your limit.',
  "You've hit your 5-hour limit · resets 8pm (UTC)",
  'Session limit reached ∙ resets 8pm',
  'Weekly limit reached ∙ resets Jan 15, 2027, 8am',
  'Claude AI usage limit reached|1762952400',
  'Claude AI usage limit reached|0',
  'OAuth token has expired. Please obtain a new token or refresh your existing token.',
  'OAuth token revoked · Please run /login',
  'OAuth authentication is currently not allowed for this organization.',
  'Failed to authenticate. API Error: 401 Invalid bearer token',
  'Failed to authenticate: OAuth token revoked. Please log in again or contact your administrator.',
  'API Error: 401 {"type":"error","error":{"type":"authentication_error","message":"Invalid bearer token"}}',
  'API Error: 403 {"type":"error","error":{"type":"permission_error","message":"Request not allowed"}}',
  'API Error: 429 {"type":"error","error":{"type":"rate_limit_error","message":"Error"}}',
  'API Error: 500 {"type":"error","error":{"type":"api_error","message":"Internal server error"}}',
  'API Error: 529 {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}',
  'API Error: Connection error.',
  'Request timed out',
  'connect ECONNREFUSED 127.0.0.1:5432',
  'Invalid API key · Please run /login',
  'Invalid API key · Fix external API key',
  'Not logged in · Please run /login',
  'invalid x-api-key',
  "Header 'authorization' has invalid value",
  'Your account does not have access to Claude Code. Please run /login.',
  'Credit balance is too low',
  'This organization has been disabled.',
  'Prompt is too long',
  'prompt is too long: 210000 tokens > 200000 maximum',
  "There's an issue with the selected model (claude-none). It may not exist or you may not have access to it.",
  'No conversation found with session ID: 11111111-2222-4333-8444-555555555555',
  'Killed: out of memory',
  '{"type":"result","subtype":"success","is_error":true,"api_error_status":401,"result":"OAuth token has expired"}',
  '{"type":"system","subtype":"api_retry","attempt":1,"error_status":401,"error":"authentication_failed"}',
  'done\n{"type":"system","subtype":"api_retry","error_status":401,"error":"authentication_failed"}\n',
];

const isOf =
  (kind: Reading['kind']) =>
  (reading: Reading): boolean =>
    reading.kind === kind;

/** The verdict on a run that printed these events and exited. */
function verdictOn(events: readonly object[], exit: { code: number; stderr: string } = { code: 0, stderr: '' }) {
  const { readings } = hear(events);
  const told = readings.flatMap((reading, at): LifecycleEvent[] => {
    if (reading.kind === 'result') return [{ type: 'result', result: { at, failure: reading.failure } }];
    if (reading.kind === 'credential_failed') return [{ ...reading, type: 'credential_failed', at }];
    return reading.kind === 'turn_started' ? [{ type: 'turn_started' }] : [];
  });
  const life: LifecycleEvent[] = [
    { type: 'prepared', at: 0 },
    { type: 'launched', at: 0 },
    ...told,
    { type: 'exited', exit: { at: 100, code: exit.code, signal: null } },
    { type: 'logs_read', stderrFailure: classifyStderr(exit.stderr) },
  ];
  const limits: LifecycleLimits = {
    timeoutMs: 1000,
    graceMs: 100,
    backgroundTimeoutMs: 100,
    holdTimeoutMs: 1000,
    onCredentialFailure: 'fail',
    maxResumes: 0,
    interactiveIdleMs: null,
  };
  return life.reduce((state, event) => step(state, event).state, newLifecycle(limits)).verdict?.reason;
}

/** Where a text can stand in a run that goes well. */
const PLACES: Readonly<Record<string, (text: string) => object[]>> = {
  'an answer': (text) => [INIT, answer(text), answer('Done.'), { ...GOOD, result: 'Done.' }],
  'the last answer, which the result repeats': (text) => [INIT, answer(text), { ...GOOD, result: text }],
  'the result of another version, which names no message': (text) => [{ ...GOOD, result: text }],
  'the thoughts of the model': (text) => [
    { type: 'assistant', message: { model: 'm', content: [{ type: 'thinking', thinking: text }] } },
    GOOD,
  ],
  "a tool's input": (text) => [INIT, toolUse('a', { command: `echo '${text}'` }), toolResult('a'), GOOD],
  "a tool's output": (text) => [INIT, toolUse('a'), toolResult('a', text), GOOD],
  "a tool's output in blocks": (text) => [INIT, toolUse('a'), toolResult('a', [{ type: 'text', text }]), GOOD],
  "a failed tool's output": (text) => [
    INIT,
    toolUse('a'),
    {
      type: 'user',
      message: { content: [{ type: 'tool_result', tool_use_id: 'a', content: text, is_error: true }] },
      tool_use_result: `Error: ${text}`,
    },
    GOOD,
  ],
  "a file's content": (text) => [
    INIT,
    toolUse('a', { file_path: '/home/agent/notes.txt' }),
    { ...toolResult('a', `1\t${text}`), tool_use_result: { type: 'text', file: { content: text } } },
    GOOD,
  ],
  "a subagent's answer": (text) => [INIT, answer(text, { parent_tool_use_id: 't1' }), toolResult('t1', text), GOOD],
  'the prompt, printed back': (text) => [INIT, { type: 'user', message: { role: 'user', content: text } }, GOOD],
  'the summary of a background task': (text) => [
    { type: 'system', subtype: 'task_notification', task_id: 'b', status: 'failed', summary: text },
    GOOD,
  ],
};

describe.each(Object.keys(PLACES))('C7: as %s', (place) => {
  it.each(TEXTS)('nothing happens for %j', (text) => {
    const events = PLACES[place]?.(text) ?? [];
    const { readings, state } = hear(events);
    expect(readings.filter(isOf('credential_failed'))).toEqual([]);
    expect(readings.filter(isOf('result'))).toEqual([{ kind: 'result', failure: null }]);
    expect(state.report).toMatchObject({ errorText: null, retryAt: null });
    expect(verdictOn(events)).toBe('completed');
  });
});

describe('C7: on stderr', () => {
  it.each(TEXTS)('nothing happens for %j where the run ends well', (text) => {
    expect(verdictOn([INIT, GOOD], { code: 0, stderr: text })).toBe('completed');
    expect(verdictOn([INIT, GOOD], { code: 1, stderr: text })).toBe('completed');
  });

  it.each(TEXTS)('within a line of something else, %j tells nothing of a run that crashed', (text) => {
    expect(verdictOn([INIT], { code: 1, stderr: `tool: ${text.replaceAll('\n', ' ')}` })).toBe('crashed');
  });

  it.each(TEXTS)('%j is not the reason of a run that failed for another one', (text) => {
    const bad = { type: 'result', subtype: 'error_max_turns' };
    expect(verdictOn([INIT, answer(text), bad], { code: 1, stderr: text })).toBe('max_turns');
  });
});

describe('T1: an error of the CLI is none of the model', () => {
  it.each(TEXTS)('even with a result that calls itself good: %j', (text) => {
    const reason = verdictOn([INIT, synthetic(text), { ...GOOD, result: text }]);
    expect(reason).not.toBe('completed');
  });

  it('and letter for letter the same words, said by a real model, are an answer', () => {
    const words = 'Failed to authenticate. API Error: 401 Invalid bearer token';
    const result = { ...GOOD, result: words };
    expect(verdictOn([INIT, answer(words), result])).toBe('completed');
    expect(verdictOn([INIT, synthetic(words), result])).toBe('auth_invalid');
    expect(verdictOn([INIT, synthetic(words), answer(words), result])).toBe('completed');
    expect(verdictOn([INIT, answer(words), synthetic(words), result])).toBe('auth_invalid');
  });
});
