import { expect, it } from 'vitest';
import { OUTCOME_REASONS, OUTCOME_STATUSES } from './outcome-reasons.js';

const TABLE = {
  succeeded: ['completed'],
  failed: [
    'auth_expired',
    'auth_revoked',
    'auth_invalid',
    'rate_limited',
    'billing',
    'permission_denied',
    'overloaded',
    'provider_error',
    'network',
    'model_unavailable',
    'prompt_too_long',
    'max_turns',
    'resume_not_found',
    'no_result',
    'crashed',
    'out_of_memory',
    'spawn_failed',
    'output_limit',
    'gateway_bypassed',
    'gateway_lost',
    'agent_error',
  ],
  timed_out: ['deadline', 'idle', 'queue', 'hold'],
  cancelled: ['requested', 'superseded', 'drained'],
  skipped: ['at_capacity', 'draining', 'circuit_open', 'credential_missing', 'disk_low'],
  lost: ['agent_gone', 'sidecar_restarted'],
};

it('the statuses are those of the table, each once', () => {
  expect([...OUTCOME_STATUSES].sort()).toEqual(Object.keys(TABLE).sort());
});

it.each(Object.entries(TABLE))('%s has the reasons of the table and no other', (status, reasons) => {
  const own = Object.entries(OUTCOME_REASONS).filter(([, meaning]) => meaning.status === status);
  expect(own.map(([reason]) => reason).sort()).toEqual(reasons.toSorted());
});

it('no reason is outside the table', () => {
  expect(Object.keys(OUTCOME_REASONS).sort()).toEqual(Object.values(TABLE).flat().sort());
});

it.each(Object.entries(OUTCOME_REASONS))('%s says in sentences what it means and what to do', (_reason, entry) => {
  expect(entry.meaning).toMatch(/^[A-Z`].+\.$/s);
  expect(entry.advice).toMatch(/^[A-Z`].+\.$/s);
});

it('nothing that succeeded or that somebody asked for is to be tried again', () => {
  for (const reason of ['completed', 'requested', 'superseded'] as const) {
    expect(OUTCOME_REASONS[reason].retryable).toBe(false);
  }
});
