import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type FakeStep, refusal, startStandInApi, type Step, text } from '@outrigger/sdk/testing';
import { describe, expect, it } from 'vitest';
import { processesIn } from './support/outside.js';
import { GOOD, resumable } from './support/resumed.js';
import { hanging, isWaiting, refused, SECOND } from './support/runs.js';

const DEAF: FakeStep[] = [{ do: 'ignoreSignals', signals: ['SIGTERM', 'SIGINT'] }];

describe('while it waits for a credential a run', () => {
  it('is cancelled at once', async () => {
    await using it = await resumable();
    await it.dispatch('run', refused, GOOD);
    await isWaiting(it.client, 'run');
    await it.client.request('cancel', { executionId: 'run' });
    expect(await it.client.outcome('run')).toMatchObject({ reason: 'requested', attempts: 1, survivors: 0 });
    await it.swap();
    await it.client.settled();
    expect(it.starts()).toBe(1);
  });

  it('reaches its deadline, which runs on', async () => {
    await using it = await resumable();
    await it.dispatch('run', refused, GOOD, { timeoutMs: 4000 });
    const { status, reason, startedAt = 0, endedAt, heldMs, attempts } = await it.client.outcome('run');
    expect({ status, reason, endedAt }).toEqual({ status: 'timed_out', reason: 'deadline', endedAt: startedAt + 4000 });
    expect({ attempts, isHeld: heldMs > 0 && heldMs < 4000 }).toEqual({ attempts: 1, isHeld: true });
  });

  it('reaches the end of its hold, and failed for what was refused', async () => {
    await using it = await resumable();
    await it.dispatch('run', refused, GOOD, { holdTimeoutMs: 300 });
    const { at } = await it.client.waitFor('state', ({ state }) => state === 'held');
    const outcome = await it.client.outcome('run');
    expect(outcome).toMatchObject({ status: 'failed', reason: 'auth_invalid', heldMs: 300, endedAt: at + 300 });
    expect(outcome.message).toBe('API Error: 401 Invalid bearer token');
  });

  it('is not idle', async () => {
    await using it = await resumable();
    await it.dispatch('run', refused, [{ do: 'init' }, ...hanging], { idleTimeoutMs: 3000, holdTimeoutMs: 5000 });
    expect(await it.client.outcome('run')).toMatchObject({ reason: 'auth_invalid', heldMs: 5000 });
  });

  it('goes on when it drains, and holds the end of the sidecar up until then (D4)', async () => {
    await using it = await resumable({ drainTimeoutMs: 60_000 });
    await it.dispatch('run', refused, GOOD);
    await isWaiting(it.client, 'run');
    it.sidecar.process.kill('SIGTERM');
    await it.sidecar.waitForLog((line) => line.msg === 'draining');
    await it.swap();
    expect(await it.client.outcome('run')).toMatchObject({ status: 'succeeded', attempts: 2 });
    await it.client.request('ack', { executionId: 'run' });
    expect(await it.sidecar.exited).toEqual({ code: 0, signal: null });
  });

  it.each([1, 2])('ends with the time the sidecar has to drain, or a second signal: %d (D4)', async (signals) => {
    await using it = await resumable({ drainTimeoutMs: signals === 1 ? 50 : 60_000 });
    await it.dispatch('run', refused, GOOD);
    await isWaiting(it.client, 'run');
    it.sidecar.process.kill('SIGTERM');
    await it.sidecar.waitForLog((line) => line.msg === 'draining');
    if (signals === 2) it.sidecar.process.kill('SIGTERM');
    expect(await it.client.outcome('run')).toMatchObject({ status: 'cancelled', reason: 'drained', attempts: 1 });
    await it.client.request('ack', { executionId: 'run' });
    expect(await it.sidecar.exited).toEqual({ code: 0, signal: null });
  });
});

describe('between two attempts a run', () => {
  const asking: FakeStep[] = [{ do: 'init' }, { do: 'request' }, { do: 'result' }];

  /** Deaf to what it is asked, so that its end takes the whole grace. */
  async function suspending(graceMs: number) {
    const respond: Step = ({ secret }) => (secret === SECOND.secret ? text('Done.') : refusal.revoked());
    const api = await startStandInApi({ respond });
    const it = await resumable({ mode: 'gateway', upstream: api.url, drainTimeoutMs: 60_000 });
    await it.dispatch('run', [...DEAF, ...asking], asking, { graceMs });
    await it.client.waitFor('state', ({ state }) => state === 'held');
    return {
      ...it,
      [Symbol.asyncDispose]: async () => {
        await it[Symbol.asyncDispose]();
        await api.close();
      },
    };
  }

  it('is cancelled while its process is being ended', async () => {
    await using it = await suspending(500);
    await it.client.request('cancel', { executionId: 'run' });
    expect(await it.client.outcome('run')).toMatchObject({ reason: 'requested', attempts: 1, survivors: 0 });
    expect(it.starts()).toBe(1);
  });

  it('starts no sooner than its process has ended, though there is a credential already (C10)', async () => {
    await using it = await suspending(3000);
    await it.swap();
    expect(processesIn(it.folder)).toHaveLength(1);
    expect(it.starts()).toBe(1);
    expect(await it.client.outcome('run')).toMatchObject({ status: 'succeeded', attempts: 2, survivors: 0 });
    expect(it.client.frames.filter(({ type }) => type === 'credential_needed')).toEqual([]);
  });

  it('has no grace any more at a second SIGTERM (D4)', async () => {
    await using it = await suspending(300_000);
    it.sidecar.process.kill('SIGTERM');
    await it.sidecar.waitForLog((line) => line.msg === 'draining');
    it.sidecar.process.kill('SIGTERM');
    expect(await it.client.outcome('run')).toMatchObject({ reason: 'drained', attempts: 1, survivors: 0 });
  });

  it('is cancelled while the next process is being started, which is none or ends as well', async () => {
    await using it = await resumable();
    await it.dispatch('run', refused, hanging);
    await isWaiting(it.client, 'run');
    // Both are dealt with before any file of the next attempt can be made.
    it.client.send({ type: 'swap_credential', id: 'swap', credential: SECOND });
    it.client.send({ type: 'cancel', id: 'cancel', executionId: 'run' });
    expect(await it.client.outcome('run')).toMatchObject({ reason: 'requested', attempts: 1, survivors: 0 });
    expect(it.states('run').slice(2, 4)).toEqual(['held 1', 'starting 2']);
    expect(it.starts()).toBe(1);
  });

  it('is cancelled when the next process is running', async () => {
    await using it = await resumable();
    await it.dispatch('run', refused, hanging);
    await isWaiting(it.client, 'run');
    await it.swap();
    await it.client.waitFor('state', ({ state, attempt }) => state === 'running' && attempt === 2);
    await it.client.request('cancel', { executionId: 'run' });
    expect(await it.client.outcome('run')).toMatchObject({ reason: 'requested', attempts: 2, survivors: 0 });
    expect(processesIn(it.folder)).toEqual([]);
  });

  it('ends where the next process cannot be started (P6)', async () => {
    await using it = await resumable();
    const cwd = join(it.folder, 'gone');
    mkdirSync(cwd);
    await it.dispatch('run', refused, GOOD, { cwd });
    await isWaiting(it.client, 'run');
    rmSync(cwd, { recursive: true });
    await it.swap();
    expect(await it.client.outcome('run')).toMatchObject({ reason: 'spawn_failed', attempts: 1, survivors: 0 });
  });
});
