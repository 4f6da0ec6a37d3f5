import { type ExecutionSummary } from '@outrigger/protocol';
import picocolors from 'picocolors';
import { describe, expect, it } from 'vitest';
import { type AgentInfo, type AgentStatus } from '../agent.js';
import { type Frame, layOutFrame } from './top-frame.js';

const NOW = 1_700_000_000_000;
const info = { agentId: 'a', sidecarVersion: '0.1.0', claudeVersion: '2.1.329', isolation: 'uid' } as AgentInfo;
const status: AgentStatus = {
  ...{ agentId: 'a', bootId: 'b', credentialMode: 'gateway', generation: 1, credentialId: 'team-a' },
  counts: { live: 3, queued: 1, maxExecutions: 4, unacknowledged: 4 },
};
const execution = (executionId: string, state: ExecutionSummary['state']): ExecutionSummary => ({
  ...{ executionId, state, since: NOW - 5000, attempt: 1, acceptedAt: NOW - 60_000 },
});

function show(frame: Partial<Frame>, rows = 24): string[] {
  const colors = picocolors.createColors(false);
  return layOutFrame({ at: NOW, agents: [], unreached: [], ...frame }, { columns: 80, rows, colors });
}

describe('what top shows', () => {
  const executions = [
    execution('waits', 'queued'),
    execution('ends', 'ending'),
    execution('runs', 'running'),
    execution('is-held', 'held'),
    execution('has-ended', 'ended'),
  ];
  const agents = [{ info, status, executions }];
  const namesIn = (lines: string[]) => lines.map((line) => line.split(' ')[0]);

  it('has what is held first and what waits last, so that it is there where rows are few', () => {
    expect(namesIn(show({ agents })).slice(-5)).toEqual(['EXECUTION', 'is-held', 'ends', 'runs', 'waits']);
    expect(show({ agents }, 9).slice(-2)).toEqual([expect.stringMatching(/^is-held /), 'and 3 more lines']);
  });

  it('calls no agent ready that holds runs, and says how much longer they wait', () => {
    const hold = { reason: 'auth_expired', generation: 1, message: 'no', until: NOW + 240_000 } as const;
    const lines = show({ agents: [{ info, status, executions: [{ ...execution('is-held', 'held'), hold }] }] });
    expect(lines[0]).toContain('1 held');
    expect(lines[3]).toMatch(/^a +3\/4 +held 1 +team-a@1 /);
    expect(lines.slice(5)).toEqual([
      'EXECUTION  STATE              LEFT  AGE  AGENT  ATTEMPT  LABELS',
      'is-held    held auth_expired  4m    1m   a      1',
    ]);
  });

  it('calls a drain failed, not the agent, whose deadline has passed', () => {
    const drain: AgentStatus['drain'] = {
      ...{ drainId: 'd', startedAt: 0, deadlineAt: 1, isFinal: false, remaining: [], remainingCount: 1 },
      ...{ state: 'failed', atDeadline: 'leave' },
    };
    const lines = show({ agents: [{ info, status: { ...status, drain }, executions: [] }] });
    expect(lines[3]).toMatch(/^a +3\/4 +drain failed /);
  });

  it('says who does not answer', () => {
    const silent = [{ info, status: null, executions: [] }];
    expect(show({ agents: silent, unreached: ['ws://x'] })).toEqual(
      expect.arrayContaining(['a does not answer', 'ws://x does not answer']),
    );
  });
});
