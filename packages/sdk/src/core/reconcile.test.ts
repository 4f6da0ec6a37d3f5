import { describe, expect, it } from 'vitest';
import { type AgentAnswer, type AgentView, type OpenExecution, reconcile } from './reconcile.js';

const LIMITS = { lostAfterMs: 1000, settledAfterMs: 100 };
const NOW = 10_000;

const open = (executionId: string, rest: Partial<OpenExecution> = {}): OpenExecution => ({
  executionId,
  createdAt: 1,
  journalId: 'j1',
  ...rest,
});
const reached = (
  listed: string[],
  { answers = {}, limits = [] }: { answers?: Record<string, AgentAnswer>; limits?: string[] } = {},
): AgentView => ({
  isReached: true,
  journalId: 'j1',
  listed: new Set(listed),
  answers: new Map(Object.entries(answers)),
  limits,
});
const away = (unseenForMs: number): AgentView => ({ isReached: false, unseenForMs });

describe('reconcile', () => {
  it('has nothing to do where both know the same', () => {
    expect(reconcile([open('a'), open('b')], reached(['a', 'b']), NOW, LIMITS)).toEqual([]);
    expect(reconcile([], reached([]), NOW, LIMITS)).toEqual([]);
  });

  it('adopts what an agent runs and nobody has written down (R9)', () => {
    expect(reconcile([open('a')], reached(['a', 'b']), NOW, LIMITS)).toEqual([{ do: 'adopt', executionId: 'b' }]);
  });

  it('asks for what is not listed, and leaves alone what the agent knows', () => {
    expect(reconcile([open('a')], reached([]), NOW, LIMITS)).toEqual([{ do: 'ask', executionId: 'a' }]);
    expect(reconcile([open('a')], reached([], { answers: { a: 'known' } }), NOW, LIMITS)).toEqual([]);
  });

  it('takes for lost what an agent with another journal does not know (R3)', () => {
    const execution = open('a', { journalId: 'j0', createdAt: NOW });
    expect(reconcile([execution], reached([], { answers: { a: 'unknown' } }), NOW, LIMITS)).toEqual([
      { do: 'lose', execution, reason: 'sidecar_restarted' },
    ]);
  });

  it.each([
    ['the journal is the same', open('a')],
    ['nobody knows which journal it was', open('a', { journalId: undefined })],
  ])(
    'never takes for lost what the agent does not know where %s, and forgets it once no dispatch can be on its way',
    (_, execution) => {
      const view = reached([], { answers: { a: 'unknown' } });
      expect(reconcile([execution], view, execution.createdAt + 99, LIMITS)).toEqual([]);
      expect(reconcile([execution], view, execution.createdAt + 100, LIMITS)).toEqual([{ do: 'forget', execution }]);
    },
  );

  it('takes nothing for lost before nobody has seen the agent for long enough (R7)', () => {
    const [a, b] = [open('a'), open('b', { journalId: 'j0' })];
    expect(reconcile([a, b], away(999), NOW, LIMITS)).toEqual([]);
    expect(reconcile([a, b], away(1000), NOW, LIMITS)).toEqual([
      { do: 'lose', execution: a, reason: 'agent_gone' },
      { do: 'lose', execution: b, reason: 'agent_gone' },
    ]);
  });

  it.each([
    ['is away', away(0)],
    ['is away for long', away(5000)],
    ['is there', reached([])],
    ['is there and runs it', reached(['a'])],
  ])('tells what was presumed lost and not told, whether its agent %s', (_, view) => {
    expect(reconcile([open('a', { isPresumedLost: true })], view, NOW, LIMITS)).toEqual([
      { do: 'tell', executionId: 'a' },
    ]);
  });

  it('moves what runs to the limits of the credential that is in force now', () => {
    const view = reached(['a', 'b', 'c'], { limits: ['fleet', 'credential.b'] });
    const records = [
      open('a', { limits: ['fleet', 'credential.a'] }),
      open('b', { limits: ['credential.b', 'fleet'] }),
      open('c', { limits: undefined }),
    ];
    expect(reconcile(records, view, NOW, LIMITS)).toEqual([{ do: 'relimit', executionId: 'a' }]);
    expect(reconcile([open('b', { limits: ['fleet'] })], reached(['b'], { limits: [] }), NOW, LIMITS)).toEqual([
      { do: 'relimit', executionId: 'b' },
    ]);
  });
});
