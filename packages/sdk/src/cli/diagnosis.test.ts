import { describe, expect, it } from 'vitest';
import { type AgentInfo, type AgentStatus } from '../agent.js';
import { diagnose } from './diagnosis.js';

const NOW = 1_700_000_000_000;
const info: AgentInfo = {
  ...{ version: 1, agentId: 'a', journalId: 'j', bootId: 'b', sidecarVersion: '0.1.0', claudeVersion: '2.1.329' },
  ...{ capabilities: [], killMethods: ['cgroup'], isolation: 'uid', limits: {}, credentialMode: 'gateway' },
};
const status: AgentStatus = {
  ...{ agentId: 'a', bootId: 'b', credentialMode: 'gateway', generation: 1, credentialId: 'team-a' },
  counts: { live: 0, queued: 0, maxExecutions: 3, unacknowledged: 0 },
  preflight: { verdict: 'good' },
  machine: { at: NOW, freeBytes: 10 ** 9, freeBytesMin: 10 ** 6, init: 'tini' },
};
const machine = (change: object) => ({
  machine: { at: NOW, freeBytes: 10 ** 9, freeBytesMin: 10 ** 6, init: 'tini', ...change },
});
const drain = {
  drainId: 'd',
  startedAt: 0,
  deadlineAt: 0,
  atDeadline: 'leave' as const,
  remaining: [],
  remainingCount: 0,
};

function examine(changedInfo: Partial<AgentInfo>, changedStatus: Partial<AgentStatus>) {
  const moments = { askedAtMs: NOW - 10, answeredAtMs: NOW + 10 };
  return diagnose({ ...info, ...changedInfo }, { ...status, ...changedStatus }, moments);
}

describe('doctor', () => {
  it('finds nothing about an agent that is as it should be', () => {
    expect(examine({}, {}).filter(({ grade, advice }) => grade !== 'ok' || advice !== undefined)).toEqual([]);
  });

  it('does not claim that an agent without a credential admits', () => {
    const found = examine({}, { generation: null, credentialId: null }).find(({ about }) => about === 'admission');
    expect(found).toMatchObject({ grade: 'ok', says: 'neither a drain nor the circuit breaker keeps runs out' });
  });

  it.each<[string, 'warning' | 'fault', Partial<AgentInfo>, Partial<AgentStatus>]>([
    ['kill', 'warning', { killMethods: ['lineage'] }, {}],
    ['kill', 'warning', { killMethods: [] }, {}],
    ['isolation', 'warning', { isolation: 'none' }, {}],
    ['versions', 'fault', { claudeVersion: null }, {}],
    ['gateway', 'warning', { credentialMode: 'env' }, {}],
    ['credential', 'fault', {}, { generation: null, credentialId: null }],
    ['credential', 'fault', {}, { preflight: { verdict: 'refused', reason: 'auth_expired' } }],
    ['credential', 'warning', {}, { preflight: { verdict: 'unknown' } }],
    ['admission', 'warning', {}, { drain: { ...drain, state: 'draining', isFinal: false } }],
    [
      'admission',
      'fault',
      {},
      { circuit: { state: 'open', openedAt: 0, retryAt: 0, openings: 1, executionId: 'e', reason: 'crashed' } },
    ],
    ['clock', 'warning', {}, machine({ at: NOW - 6000 })],
    ['clock', 'warning', {}, machine({ at: NOW + 6000 })],
    ['disk', 'fault', {}, machine({ freeBytes: 10 ** 6 - 1 })],
    ['disk', 'warning', {}, machine({ freeBytes: 2 * 10 ** 6 - 1 })],
    ['init', 'warning', {}, machine({ init: 'node' })],
    ['init', 'warning', {}, machine({ init: null })],
    ['outcomes', 'warning', {}, { counts: { live: 0, queued: 0, maxExecutions: 3, unacknowledged: 100 } }],
  ])('says of %s that there is a %s, and what to do', (about, grade, changedInfo, changedStatus) => {
    const found = examine(changedInfo, changedStatus).filter((finding) => finding.grade !== 'ok');
    expect(found).toMatchObject([{ about, grade, advice: expect.stringMatching(/\w/) as string }]);
  });
});
