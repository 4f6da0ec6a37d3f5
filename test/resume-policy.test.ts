import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FakeStep, refusal, startStandInApi, type Step, text } from '@outrigger/sdk/testing';
import { describe, expect, it } from 'vitest';
import { openFiles, processesIn } from './support/outside.js';
import { readOutput } from './support/output.js';
import { GOOD, resumable } from './support/resumed.js';
import { isWaiting, refused, SECOND } from './support/runs.js';

describe('a run whose credential is refused', () => {
  it('goes on in another process with the next credential, and tells of every state', async () => {
    await using it = await resumable();
    await it.dispatch('run', refused, GOOD);
    await isWaiting(it.client, 'run');
    const message = 'API Error: 401 Invalid bearer token';
    const { execution } = await it.client.request('status', { executionId: 'run' });
    expect(execution).toMatchObject({
      state: 'held',
      attempt: 1,
      hold: { reason: 'auth_invalid', generation: 1, message },
    });
    expect(processesIn(it.folder)).toEqual([]);
    await it.swap();
    expect(await it.client.outcome('run')).toMatchObject({
      status: 'succeeded',
      result: 'Done.',
      attempts: 2,
      credential: { id: SECOND.id, generation: 2 },
    });
    const states = ['starting 1', 'running 1', 'held 1', 'starting 2', 'running 2', 'ending 2'];
    expect(it.states('run')).toEqual(states);
    const needs = it.client.frames.filter(({ type }) => type === 'credential_needed');
    expect(needs).toMatchObject([{ generation: 1, reason: 'auth_invalid', message, executions: ['run'] }]);
  });

  it('is resumed as often as it may be, and then fails for what was refused last', async () => {
    await using it = await resumable();
    await it.dispatch('never', refused, GOOD, { maxResumes: 0 });
    expect(await it.client.outcome('never')).toMatchObject({ reason: 'auth_invalid', attempts: 1, heldMs: 0 });
    expect(it.client.frames.filter(({ type }) => type === 'credential_needed')).toEqual([]);

    await it.dispatch('once', refused, refused, { maxResumes: 1 });
    await isWaiting(it.client, 'once');
    await it.swap();
    const outcome = await it.client.outcome('once');
    expect(outcome).toMatchObject({ reason: 'auth_invalid', attempts: 2, credential: { generation: 2 }, survivors: 0 });
    expect(it.starts()).toBe(3);
  });

  it('is not resumed unless it asked for it, and a swap counts for what is dispatched then', async () => {
    await using api = await startStandInApi();
    await using it = await resumable({ upstream: api.url });
    await it.client.dispatch('plain', refused);
    expect(await it.client.outcome('plain')).toMatchObject({ reason: 'auth_invalid', attempts: 1 });
    expect(it.client.frames.filter(({ type }) => type === 'credential_needed')).toEqual([]);

    await it.swap({ id: 'key', kind: 'api_key', secret: 'sk-ant-api03-second' });
    await it.client.dispatch('next', [{ do: 'init' }, { do: 'request' }, { do: 'result' }]);
    const { status, credential } = await it.client.outcome('next');
    expect({ status, credential }).toEqual({ status: 'succeeded', credential: { id: 'key', generation: 2 } });
    expect(api.requests.map(({ headers }) => headers['x-api-key'])).toEqual(['sk-ant-api03-second']);
  });

  it('tells when the provider will take the credential again, where it said so', async () => {
    await using it = await resumable();
    const resetsAt = 1_900_000_000;
    const limited: FakeStep[] = [
      { do: 'init' },
      { do: 'event', event: { type: 'rate_limit_event', rate_limit_info: { status: 'rejected', resetsAt } } },
      { do: 'assistant', text: 'Session limit reached', error: 'rate_limit' },
      { do: 'result', is_error: true, api_error_status: 429 },
    ];
    await it.dispatch('run', limited, GOOD);
    const need = await it.client.waitFor('credential_needed');
    expect(need).toMatchObject({ reason: 'rate_limited', retryAt: resetsAt * 1000, generation: 1 });
    await it.swap();
    const outcome = await it.client.outcome('run');
    expect(outcome).toMatchObject({ status: 'succeeded', attempts: 2 });
    expect(outcome).not.toHaveProperty('retryAt');
  });

  it('quotes what was printed without a secret', async () => {
    const secret = 'sk-ant-oat01-to-be-hidden';
    await using it = await resumable({ credential: secret });
    const words = `Header Authorization has invalid value: ${secret}`;
    const quoting: FakeStep[] = [
      { do: 'assistant', text: words, error: 'authentication_failed' },
      { do: 'result', is_error: true, api_error_status: 401 },
    ];
    await it.dispatch('run', quoting, GOOD);
    const { message } = await it.client.waitFor('credential_needed');
    expect(message).toBe('Header Authorization has invalid value: [redacted]');
    expect(JSON.stringify(it.client.frames)).not.toContain(secret);
  });

  it('goes on with a placeholder of the kind of the next credential', async () => {
    const key = { id: 'key', kind: 'api_key', secret: 'sk-ant-api03-second' } as const;
    const respond: Step = ({ secret }) => (secret === key.secret ? text('Done.') : refusal.expired());
    await using api = await startStandInApi({ respond });
    await using it = await resumable({ mode: 'gateway', upstream: api.url });
    const steps: FakeStep[] = [{ do: 'init' }, { do: 'printEnv' }, { do: 'request' }, { do: 'result' }];
    await it.dispatch('run', steps, steps);
    await isWaiting(it.client, 'run');
    await it.swap(key);
    expect(await it.client.outcome('run')).toMatchObject({ status: 'succeeded', attempts: 2 });
    const { stdout } = await readOutput(it.client, 'run', { attempt: 2, stdout: 0, stderr: 0 });
    expect(stdout.lines.join()).toContain('"ANTHROPIC_API_KEY":"outrigger-placeholder-');
    expect(stdout.lines.join()).not.toContain('CLAUDE_CODE_OAUTH_TOKEN');
  });

  it('starts again at once with a credential that came into force meanwhile, and asks nobody (C10)', async () => {
    await using it = await resumable();
    const go = join(it.folder, 'go');
    await it.dispatch('run', [{ do: 'waitForFile', path: go }, ...refused], GOOD);
    await it.client.waitFor('state', ({ state }) => state === 'running');
    await it.swap();
    writeFileSync(go, '');
    expect(await it.client.outcome('run')).toMatchObject({ status: 'succeeded', attempts: 2 });
    expect(it.client.frames.filter(({ type }) => type === 'credential_needed')).toEqual([]);
  });

  it('is not resumed where it cannot be told whether all of it has ended', async () => {
    await using it = await resumable({ args: ['--kill-method=lineage'] });
    await it.dispatch('run', refused, GOOD);
    const outcome = await it.client.outcome('run');
    expect(outcome).toMatchObject({ status: 'failed', reason: 'auth_invalid', survivors: null, attempts: 1 });
    expect(outcome.endedAt).toBeLessThanOrEqual(outcome.closedAt);
    expect(it.starts()).toBe(1);
  });

  it('keeps its slot while it waits, and no file open', async () => {
    await using it = await resumable({ maxExecutions: 1 });
    const pid = it.sidecar.process.pid ?? 0;
    await it.client.dispatch('warm-up', GOOD);
    await it.client.outcome('warm-up');
    // The sidecar may still be asking the CLI for its version then, so there can be fewer later.
    const before = openFiles(pid);
    for (let n = 1; n <= 10; n++) {
      const id = `run-${n}`;
      await it.dispatch(id, refused, GOOD);
      await isWaiting(it.client, id);
      expect(openFiles(pid)).toBeLessThanOrEqual(before);
      expect(await it.client.refusedDispatch('other', GOOD)).toBe('at_capacity');
      await it.swap({ ...SECOND, secret: `sk-ant-oat01-${n}` });
      expect(await it.client.outcome(id)).toMatchObject({ status: 'succeeded', attempts: 2 });
    }
    expect(openFiles(pid)).toBeLessThanOrEqual(before);
  });
});
