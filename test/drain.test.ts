import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Drain } from '@outrigger/protocol';
import { type FakeStep } from '@outrigger/sdk/testing';
import { describe, expect, it } from 'vitest';
import { connectFleet, script } from './support/fleet.js';
import { RawClient } from './support/raw-client.js';
import { hanging, hasPrinted, isRunning, temporaryFolder, until } from './support/runs.js';
import { startSidecar, type TestSidecar } from './support/sidecar.js';
import { TcpProxy } from './support/tcp-proxy.js';

/** What `GET /readyz` says. */
async function readiness({ url }: TestSidecar) {
  const response = await fetch(`${url.replace('ws', 'http')}/readyz`);
  return { status: response.status, ...((await response.json()) as object) };
}

const inState = (client: RawClient, state: Drain['state']) =>
  client.waitFor('drain_progress', (progress) => progress.state === state);

/** The replacement of a container, without its image: another process on the same port, and a new state folder. */
async function replace(old: TestSidecar): Promise<TestSidecar> {
  await old.stop();
  return startSidecar({ args: [`--listen=${new URL(old.url).host}`] });
}

describe('a container that is replaced', () => {
  it('while a run goes on waits for it, and the run succeeds (D3)', async () => {
    const finish = join(temporaryFolder(), 'finish');
    await using sidecar = await startSidecar();
    await using host = await connectFleet(sidecar);
    const { agent, fleet } = host;
    const events: string[] = [];
    fleet.on('drainProgress', ({ state, remaining }) => events.push(`${state} ${remaining.join()}`));
    const execution = await agent.dispatch({ executionId: 'long', prompt: script(...until(finish)) });
    const before = await agent.status();

    const replaced = agent.whileDrained({ deadlineMs: 60_000 }, async (drain) => {
      events.push('replacing');
      expect(drain).toEqual({ drained: true, remaining: [] });
      return replace(sidecar);
    });
    await expect.poll(() => events).toEqual(['draining long']);
    await expect(agent.dispatch({ prompt: 'x' })).rejects.toMatchObject({ code: 'draining' });
    expect((await agent.status()).drain).toMatchObject({ state: 'draining', remaining: ['long'] });
    writeFileSync(finish, '');
    expect(await execution.outcome).toMatchObject({ status: 'succeeded' });

    await using _successor = await replaced;
    // The old sidecar stops with a drain of its own, which is final.
    expect(events.slice(0, 3)).toEqual(['draining long', 'drained ', 'replacing']);
    const after = await agent.status();
    expect(after.bootId).not.toBe(before.bootId);
    expect(after.drain).toBeUndefined();
    const next = await agent.dispatch({ prompt: script({ do: 'result' }) });
    expect(await next.outcome).toMatchObject({ status: 'succeeded' });
  });

  it('is not replaced after a failed drain, unless that was asked for, and admits again (D3, I10)', async () => {
    await using sidecar = await startSidecar();
    await using host = await connectFleet(sidecar);
    const { agent } = host;
    const execution = await agent.dispatch({ executionId: 'long', prompt: script(...hanging) });
    let calls = 0;
    const failed = agent.whileDrained({ deadlineMs: 50 }, () => (calls += 1));
    await expect(failed).rejects.toMatchObject({
      code: 'drain_failed',
      data: { remaining: ['long'], cause: 'deadline' },
    });
    expect(calls).toBe(0);
    expect(await agent.status()).toMatchObject({ counts: { live: 1 } });
    expect((await agent.status()).drain).toBeUndefined();
    await execution.cancel();
    await execution.outcome;

    const { bootId } = await agent.status();
    await agent.dispatch({ executionId: 'other', prompt: script(...hanging) });
    const forced = agent.whileDrained({ deadlineMs: 50, evenIfNotDrained: true }, (drain) => {
      expect(drain).toEqual({ drained: false, remaining: ['other'], cause: 'deadline' });
      return replace(sidecar);
    });
    await using successor = await forced;
    expect((await agent.status()).bootId).not.toBe(bootId);
    expect(successor.url).toBe(sidecar.url);
  });

  it('admits again when its replacement fails before anything was replaced (D3)', async () => {
    await using sidecar = await startSidecar();
    await using host = await connectFleet(sidecar);
    const { agent } = host;
    const failed = agent.whileDrained({ deadlineMs: 60_000 }, () => Promise.reject(new Error('no such image')));
    await expect(failed).rejects.toThrow('no such image');
    const execution = await agent.dispatch({ prompt: script({ do: 'result' }) });
    expect(await execution.outcome).toMatchObject({ status: 'succeeded' });
  });

  it('leaves a drain of somebody else alone when its replacement fails (D3)', async () => {
    await using sidecar = await startSidecar();
    await using host = await connectFleet(sidecar);
    const { agent } = host;
    expect(await agent.drain({ deadlineMs: 60_000 })).toEqual({ drained: true, remaining: [] });
    await expect(agent.whileDrained({ deadlineMs: 1 }, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect((await agent.status()).drain).toMatchObject({ state: 'drained' });
    expect(await agent.resumeAdmission()).toBe(true);
    expect(await agent.resumeAdmission()).toBe(false);
  });

  it('is told of as such when no new sidecar answers in time, and stays drained (D3)', async () => {
    await using sidecar = await startSidecar();
    await using host = await connectFleet(sidecar);
    const { agent } = host;
    const late = agent.whileDrained({ deadlineMs: 60_000, replacedWithinMs: 50 }, () => undefined);
    await expect(late).rejects.toMatchObject({ code: 'not_replaced' });
    expect((await agent.status()).drain).toMatchObject({ state: 'drained' });
  });
});

describe('agent.drain', () => {
  it('is answered although the connection was lost when it was over (D4)', async () => {
    const finish = join(temporaryFolder(), 'finish');
    await using sidecar = await startSidecar();
    await using proxy = await TcpProxy.to(sidecar.url);
    await using host = await connectFleet(sidecar, { url: proxy.url });
    await using witness = await RawClient.connect(sidecar);
    const execution = await host.agent.dispatch({ prompt: script(...until(finish)) });
    const drained = host.agent.drain({ deadlineMs: 60_000 });
    await inState(witness, 'draining');
    // Replies come in order, so the drain has its own by now, and is not asked for again.
    await host.agent.status();
    proxy.refuse(true);
    proxy.cut();
    writeFileSync(finish, '');
    await inState(witness, 'drained');
    proxy.refuse(false);
    expect(await drained).toEqual({ drained: true, remaining: [] });
    expect(await execution.outcome).toMatchObject({ status: 'succeeded' });
  });

  it('says what remains, and why: the deadline, another host, another sidecar (D4)', async () => {
    await using sidecar = await startSidecar();
    await using host = await connectFleet(sidecar);
    await using other = await connectFleet(sidecar);
    await host.agent.dispatch({ executionId: 'long', prompt: script(...hanging) });
    const remaining = ['long'];
    expect(await host.agent.drain({ deadlineMs: 30 })).toEqual({ drained: false, remaining, cause: 'deadline' });
    const waiting = host.agent.drain({ deadlineMs: 60_000 });
    await expect.poll(async () => (await other.agent.status()).drain?.state).toBe('draining');
    expect(await other.agent.resumeAdmission()).toBe(true);
    expect(await waiting).toEqual({ drained: false, remaining, cause: 'resumed' });
    const expired = host.agent.drain({ deadlineMs: 60_000, ttlMs: 30 });
    expect(await expired).toEqual({ drained: false, remaining, cause: 'expired' });

    const restarted = host.agent.drain({ deadlineMs: 60_000 });
    await expect.poll(async () => (await other.agent.status()).drain?.state).toBe('draining');
    sidecar.process.kill('SIGKILL');
    await sidecar.exited;
    const { host: address } = new URL(sidecar.url);
    await using _next = await startSidecar({ stateDir: sidecar.stateDir, args: [`--listen=${address}`] });
    expect(await restarted).toEqual({ drained: false, remaining, cause: 'restarted' });
  });

  it('ends its wait, not the drain, with its signal, and with the connection (D4)', async () => {
    await using sidecar = await startSidecar();
    await using host = await connectFleet(sidecar);
    await host.agent.dispatch({ prompt: script(...hanging) });
    const stop = new AbortController();
    const aborted = host.agent.drain({ deadlineMs: 60_000, signal: stop.signal });
    await expect.poll(async () => (await host.agent.status()).drain?.state).toBe('draining');
    stop.abort(new Error('enough'));
    await expect(aborted).rejects.toThrow('enough');
    await expect(host.agent.drain({ deadlineMs: 1, signal: stop.signal })).rejects.toThrow('enough');
    expect((await host.agent.status()).drain?.state).toBe('draining');
    const closed = expect(host.agent.drain({ deadlineMs: 60_000 })).rejects.toMatchObject({ code: 'agent_closed' });
    await host.agent.status();
    await host.agent.close();
    await closed;
  });
});

describe('a drain', () => {
  it('starts nothing new, ends what is queued, and leaves what runs alone at its deadline (D4, I10)', async () => {
    const finish = join(temporaryFolder(), 'finish');
    await using sidecar = await startSidecar({ maxExecutions: 1 });
    await using client = await RawClient.connect(sidecar);
    expect(await readiness(sidecar)).toEqual({ status: 200, ready: true });
    await client.dispatch('live', until(finish));
    await client.dispatch('queued', 'x', { whenBusy: 'queue' });
    const drain = await client.request('drain', { deadlineMs: 100 });
    expect(drain).toMatchObject({ state: 'draining', atDeadline: 'leave', joined: false, remaining: ['live'] });
    expect(drain.deadlineAt - drain.startedAt).toBe(100);
    expect(await client.outcome('queued')).toMatchObject({ status: 'skipped', reason: 'draining', attempts: 0 });
    for (const whenBusy of ['refuse', 'queue'] as const)
      expect(await client.refusedDispatch('late', 'x', { whenBusy })).toBe('draining');
    await client.dispatch('recorded', 'x', { whenBusy: 'skip' });
    expect(await client.outcome('recorded')).toMatchObject({ reason: 'draining' });
    expect(await readiness(sidecar)).toEqual({ status: 503, ready: false, problem: 'draining' });

    expect(await inState(client, 'failed')).toMatchObject({ drainId: drain.drainId, remaining: ['live'] });
    expect(await client.refusedDispatch('later', 'x')).toBe('draining');
    const credential = { id: 'other', kind: 'oauth', secret: 'another-secret' };
    expect(await client.request('swap_credential', { credential })).toMatchObject({ changed: true });

    // What stands is told on every connection.
    await using second = await RawClient.connect(sidecar);
    expect((await second.waitFor('welcome')).drain).toMatchObject({ drainId: drain.drainId, state: 'failed' });
    expect((await second.request('status')).drain).toMatchObject({ state: 'failed', remainingCount: 1 });
    expect(second.frames.filter((frame) => frame.type === 'drain_progress')).toEqual([]);

    writeFileSync(finish, '');
    expect(await client.outcome('live')).toMatchObject({ status: 'succeeded' });
    await inState(second, 'drained');
    expect(await client.request('resume_admission')).toEqual({ resumed: true });
    expect(await inState(second, 'ended')).toMatchObject({ cause: 'resumed' });
    expect(await readiness(sidecar)).toEqual({ status: 200, ready: true });
    await client.dispatch('next', [{ do: 'result' }]);
    expect(await client.outcome('next')).toMatchObject({ status: 'succeeded' });
    const states = second.frames.flatMap((frame) => (frame.type === 'drain_progress' ? [frame.state] : []));
    expect(states).toEqual(['drained', 'ended']);
  });

  it('cancels what runs at its deadline where that was asked for, and not before (D4, I10)', async () => {
    await using sidecar = await startSidecar();
    await using client = await RawClient.connect(sidecar);
    await client.dispatch('long', hanging);
    await isRunning(client, 'long');
    const { deadlineAt } = await client.request('drain', { deadlineMs: 150, atDeadline: 'cancel' });
    const outcome = await client.outcome('long');
    expect(outcome).toMatchObject({ status: 'cancelled', reason: 'drained' });
    // Both are whole milliseconds of the same clock, rounded by themselves.
    expect(outcome.endedAt).toBeGreaterThanOrEqual(deadlineAt - 2);
    await inState(client, 'drained');
    const states = client.frames.flatMap((frame) => (frame.type === 'drain_progress' ? [frame.state] : []));
    expect(states).toEqual(['draining', 'cancelling', 'drained']);
  });

  it('that is asked for twice is one, the earlier and the stricter of both (D4)', async () => {
    await using sidecar = await startSidecar();
    await using one = await RawClient.connect(sidecar);
    await using other = await RawClient.connect(sidecar);
    await one.dispatch('long', hanging);
    await isRunning(one, 'long');
    const first = await one.request('drain', { deadlineMs: 60_000, atDeadline: 'cancel' });
    const second = await other.request('drain', { deadlineMs: 100, atDeadline: 'leave' });
    expect(second).toMatchObject({ drainId: first.drainId, joined: true, atDeadline: 'cancel' });
    expect(second.deadlineAt).toBeLessThan(first.deadlineAt);
    expect(await one.outcome('long')).toMatchObject({ reason: 'drained' });
    expect(await inState(other, 'drained')).toMatchObject({ drainId: first.drainId });
  });

  it('of an idle agent is over at once, and ends by itself when nobody renews it', async () => {
    await using sidecar = await startSidecar();
    await using client = await RawClient.connect(sidecar);
    expect(await client.request('drain', { deadlineMs: 0, ttlMs: 30 })).toMatchObject({ state: 'drained' });
    expect(await inState(client, 'ended')).toMatchObject({ cause: 'expired' });
    await client.dispatch('next', [{ do: 'result' }]);
    expect(await client.outcome('next')).toMatchObject({ status: 'succeeded' });
  });

  it('by SIGTERM is final and cancels at its deadline; another SIGTERM ends everything at once (D4)', async () => {
    await using sidecar = await startSidecar({ drainTimeoutMs: 3_600_000 });
    await using client = await RawClient.connect(sidecar);
    const stubborn: FakeStep[] = [{ do: 'ignoreSignals', signals: ['SIGTERM'] }, ...hanging];
    await client.dispatch('long', stubborn, { graceMs: 300_000 });
    await hasPrinted(client, 'long');
    await client.request('drain', { deadlineMs: 86_400_000, atDeadline: 'leave', ttlMs: 3_600_000 });
    sidecar.process.kill('SIGTERM');
    const final = await client.waitFor('drain_progress', (progress) => progress.isFinal);
    expect(final).toMatchObject({ state: 'draining', atDeadline: 'cancel', remaining: ['long'] });
    expect(final.deadlineAt - final.startedAt).toBeLessThan(86_400_000);
    expect((await client.refused('resume_admission')).code).toBe('draining');
    expect(await client.refusedDispatch('late', 'x')).toBe('draining');
    expect(await readiness(sidecar)).toMatchObject({ status: 503, problem: 'draining' });
    sidecar.process.kill('SIGTERM');
    expect(await client.outcome('long')).toMatchObject({ status: 'cancelled', reason: 'drained' });
    await client.request('ack', { executionId: 'long' });
    expect(await sidecar.exited).toEqual({ code: 0, signal: null });
  });
});
