import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LIMITS } from '../limits.js';
import { outcomeSchema } from '../outcome.js';
import { CLIENT_FRAMES, SIDECAR_FRAMES } from './arbitrary-frames.js';
import { CLIENT_FRAME_SCHEMAS, REQUEST_SCHEMAS } from './client.js';
import { dispatchRequestSchema } from './dispatch.js';
import { RESULT_SCHEMAS, SIDECAR_FRAME_SCHEMAS, type SidecarFrameType } from './sidecar.js';

const CURSOR = { attempt: 1, stdout: 0, stderr: 0 };

/** The value with a further field in the object at `path`. */
function withField(value: object, path: string[]): object {
  const copy = structuredClone(value) as Record<string, unknown>;
  const inner = path.reduce<Record<string, unknown>>((at, key) => at[key] as Record<string, unknown>, copy);
  inner['unheardOf'] = 1;
  return copy;
}

describe('requests are strict', () => {
  it.each(Object.entries(CLIENT_FRAMES))('%s with a field nobody knows is an error', (type, frames) => {
    const schema = CLIENT_FRAME_SCHEMAS[type as keyof typeof CLIENT_FRAME_SCHEMAS];
    fc.assert(
      fc.property(frames, (frame) => {
        expect(schema.safeParse(frame).success).toBe(true);
        expect(schema.safeParse(withField(frame, [])).error?.issues).toMatchObject([{ code: 'unrecognized_keys' }]);
      }),
      { numRuns: 20 },
    );
  });

  const subscribe = {
    type: 'subscribe',
    id: 'r1',
    subscription: 's1',
    executionId: 'e1',
    from: CURSOR,
    creditBytes: 1,
  };
  const { type: _type, id: _id, ...cursor } = subscribe;
  const hello = { type: 'hello', versions: [1], client: { name: 'x' }, cursors: [cursor] };
  const dispatch = { type: 'dispatch', id: 'r1', executionId: 'e1', request: { prompt: 'x' } };

  it.each<[keyof typeof CLIENT_FRAME_SCHEMAS, object, string[]]>([
    ['subscribe', subscribe, ['from']],
    ['hello', hello, ['client']],
    ['hello', hello, ['cursors', '0']],
    ['hello', hello, ['cursors', '0', 'from']],
    ['dispatch', dispatch, ['request']],
  ])('%s is so within its objects too', (type, frame, path) => {
    expect(CLIENT_FRAME_SCHEMAS[type].safeParse(frame).success).toBe(true);
    expect(CLIENT_FRAME_SCHEMAS[type].safeParse(withField(frame, path)).success).toBe(false);
  });

  it('every request but hello has an id and a result', () => {
    expect(Object.keys(CLIENT_FRAME_SCHEMAS)).toEqual(['hello', ...Object.keys(REQUEST_SCHEMAS)]);
    expect(Object.keys(RESULT_SCHEMAS)).toEqual(Object.keys(REQUEST_SCHEMAS));
    for (const schema of Object.values(REQUEST_SCHEMAS)) expect(schema.shape).toHaveProperty('id');
  });
});

describe('notices are open', () => {
  it.each(Object.entries(SIDECAR_FRAMES))('%s of a newer sidecar loses only the field nobody knows', (type, frames) => {
    const schema = SIDECAR_FRAME_SCHEMAS[type as SidecarFrameType];
    fc.assert(
      fc.property(frames, (frame) => {
        expect(schema.parse(withField(frame, []))).toEqual(frame);
      }),
      { numRuns: 20 },
    );
  });
});

describe('a dispatch', () => {
  const parse = (fields: object) => dispatchRequestSchema.safeParse({ prompt: 'x', ...fields });

  it('needs a prompt and nothing else', () => {
    expect(parse({}).success).toBe(true);
    expect(parse({ prompt: '' }).success).toBe(false);
    expect(dispatchRequestSchema.safeParse({}).success).toBe(false);
  });

  it.each<[string, object]>([
    ['a NUL in an argument', { args: ['a\u0000b'] }],
    ['a NUL in a variable', { env: { A: '\u0000' } }],
    ['an empty argument', { args: [''] }],
    ['a relative working directory', { cwd: 'src' }],
    ['a name no variable can have', { env: { '1A': 'x' } }],
    ['a name that holds a value as well', { env: { 'A=B': 'x' } }],
    ['a mode and more', { permissionMode: 'plan --x' }],
    ['a label with a space', { labels: { 'a b': 'x' } }],
    ['no time at all', { timeoutMs: 0 }],
    ['half a millisecond', { graceMs: 0.5 }],
    ['more than a day', { timeoutMs: 86_400_001 }],
    ['a session that is no UUID', { sessionId: 'mine' }],
    ['a mode with a dash', { permissionMode: '--x' }],
    ['no turns', { maxTurns: 0 }],
    ['an unknown way to be busy', { whenBusy: 'wait' }],
    ['too many arguments', { args: Array<string>(LIMITS.listEntriesMax + 1).fill('x') }],
    ['too many labels', { labels: numbered(LIMITS.listEntriesMax + 1) }],
    ['too many variables', { env: numbered(LIMITS.listEntriesMax + 1) }],
  ])('is refused with %s', (_what, fields) => {
    expect(parse(fields).success).toBe(false);
  });

  it.each<[string, object]>([
    ['arguments', { args: Array<string>(LIMITS.listEntriesMax).fill('x') }],
    ['labels', { labels: numbered(LIMITS.listEntriesMax) }],
    ['variables', { env: numbered(LIMITS.listEntriesMax) }],
  ])('can have as many %s as the limit', (_what, fields) => {
    expect(parse(fields).success).toBe(true);
  });

  it('has prompts of the length of a message where it is interactive', () => {
    const longest = 'x'.repeat(LIMITS.messageBytesMax - 2);
    const growing = '\u0001'.repeat(LIMITS.messageBytesMax / 6 + 1);
    expect(parse({ prompt: longest, resumePrompt: longest, interactive: true }).success).toBe(true);
    for (const prompt of [`${longest}x`, `${longest.slice(1)}ä`, growing]) {
      expect(parse({ prompt }).success).toBe(true);
      expect(parse({ prompt, interactive: true }).error?.issues).toMatchObject([{ path: ['prompt'] }]);
      expect(parse({ resumePrompt: prompt, interactive: true }).error?.issues).toMatchObject([
        { path: ['resumePrompt'] },
      ]);
    }
  });

  it('either names its session or resumes one', () => {
    const uuid = '6f2b8c1e-9d0a-4b8e-8f63-0d6a5f1c2e3b';
    expect(parse({ sessionId: uuid }).success).toBe(true);
    expect(parse({ resume: uuid }).success).toBe(true);
    expect(parse({ sessionId: uuid, resume: uuid }).error?.issues).toMatchObject([{ path: ['resume'] }]);
  });
});

describe('a batch of lines', () => {
  const batch = {
    subscription: 's1',
    executionId: 'e1',
    attempt: 1,
    start: 5,
    end: 9,
    lines: ['a', 'b'],
    ends: [7, 9],
  };
  const isFrame = (type: 'output' | 'stderr', fields: object) =>
    SIDECAR_FRAME_SCHEMAS[type].safeParse({ type, ...batch, ...fields }).success;

  it.each(['output', 'stderr'] as const)('of %s has an end for each line, in order, up to its own', (type) => {
    expect(isFrame(type, {})).toBe(true);
    expect(isFrame(type, { ends: [6, 9] })).toBe(true);
    expect(isFrame(type, { continues: true })).toBe(true);
    for (const ends of [undefined, [], [9], [7, 8, 9], [7, 8], [5, 9], [9, 9], [10, 9]]) {
      expect(isFrame(type, { ends })).toBe(false);
    }
    expect(isFrame(type, { lines: [], ends: [] })).toBe(false);
  });
});

function numbered(length: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length }, (_, i) => [`A${i}`, 'x']));
}

it.each(['a', 'A9._-', 'x'.repeat(128)])('%s can be an id', (executionId) => {
  expect(REQUEST_SCHEMAS.ack.safeParse({ type: 'ack', id: 'r1', executionId }).success).toBe(true);
});

it.each(['', '.a', '-a', '_a', 'a b', 'a/b', 'ä', 'a\n', 'x'.repeat(129)])('%j cannot be an id', (executionId) => {
  expect(REQUEST_SCHEMAS.ack.safeParse({ type: 'ack', id: 'r1', executionId }).success).toBe(false);
});

it('an outcome whose reason belongs to another status is none', () => {
  const outcome = {
    executionId: 'e1',
    status: 'failed',
    reason: 'crashed',
    message: 'm',
    retryable: true,
    exit: { code: 1, signal: null },
    survivors: 0,
    attempts: 1,
    acceptedAt: 1,
    endedAt: 2,
    closedAt: 3,
    heldMs: 0,
  };
  expect(outcomeSchema.safeParse(outcome).success).toBe(true);
  expect(outcomeSchema.safeParse({ ...outcome, status: 'succeeded' }).error?.issues).toMatchObject([
    { path: ['reason'] },
  ]);
});
