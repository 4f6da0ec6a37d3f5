import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fakeScript, refusal } from '@outrigger/sdk/testing';
import { describe, expect, it } from 'vitest';
import { connectFleet, script } from './support/fleet.js';
import { ask, openWay, startGateway, TOKEN_B } from './support/gateway.js';
import { scrape } from './support/metrics.js';
import { RawClient } from './support/raw-client.js';
import { startRestartable } from './support/restart.js';
import { hasPrinted, temporaryFolder, until } from './support/runs.js';
import { startSidecar } from './support/sidecar.js';

const dispatch = (client: RawClient, executionId: string, request: object) =>
  client.request('dispatch', { executionId, request: request as { prompt: string } });

describe('GET /metrics', () => {
  it('is in the text format of Prometheus, with everything that can be told from the start', async () => {
    await using sidecar = await startSidecar({ maxExecutions: 7, credential: null });
    const response = await fetch(`${sidecar.url.replace('ws', 'http')}/metrics`);
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const page = await scrape(sidecar);
    for (const [name, { type, help, samples }] of page.metrics) {
      expect([name, type]).toEqual([name, expect.stringMatching(/^(counter|gauge|histogram)$/)]);
      expect(help).not.toBe('');
      if (name.startsWith('outrigger_')) expect([name, samples.length]).not.toEqual([name, 0]);
      if (type === 'counter') expect(name).toMatch(/_total$/);
      // As many series as there will ever be.
      expect(samples.length).toBeLessThan(100);
    }
    expect(page.value('outrigger_slots')).toBe(7);
    expect(page.value('outrigger_credential_generation')).toBe(0);
    expect(page.value('outrigger_ready')).toBe(0);
    expect(page.value('outrigger_journal_bytes')).toBeGreaterThan(0);
    expect(page.value('outrigger_disk_free_bytes')).toBeGreaterThan(0);
    expect(page.value('outrigger_info', { version: '0.1.0', isolation: 'none', credential_mode: 'env' })).toBe(1);
    expect(page.value('process_resident_memory_bytes')).toBeGreaterThan(0);
    expect(page.byLabel('outrigger_executions')).toEqual({});
  });

  it('is not there where it is switched off', async () => {
    await using sidecar = await startSidecar({ args: ['--metrics=off'] });
    const response = await fetch(`${sidecar.url.replace('ws', 'http')}/metrics`);
    expect(response.status).toBe(404);
    expect(await response.text()).toContain('there are /healthz, /readyz;');
  });

  it('counts executions by state as they are, and by outcome as they end, without naming one', async () => {
    const finish = join(temporaryFolder(), 'finish');
    await using sidecar = await startSidecar({ maxExecutions: 1, args: ['--agent-id=the-name-of-it'] });
    await using client = await RawClient.connect(sidecar);
    const prompt = script(...until(finish));
    await dispatch(client, 'of-the-first', { prompt, labels: { team: 'a-team' } });
    await hasPrinted(client, 'of-the-first');
    await dispatch(client, 'of-the-first', { prompt, labels: { team: 'a-team' } });
    await dispatch(client, 'of-the-second', { prompt, whenBusy: 'queue' });
    await dispatch(client, 'of-the-third', { prompt, whenBusy: 'skip' });
    await client.refused('dispatch', { executionId: 'of-the-fourth', request: { prompt } });
    await client.refused('dispatch', { executionId: 'of-the-first', request: { prompt: 'another' } });
    const busy = await scrape(sidecar);
    expect(busy.byLabel('outrigger_executions')).toEqual({ running: 1, queued: 1 });
    expect(busy.value('outrigger_connections')).toBe(1);
    expect(busy.value('outrigger_unacknowledged_outcomes')).toBe(1);

    writeFileSync(finish, '');
    await client.outcome('of-the-second');
    await client.request('ack', { executionId: 'of-the-second' });
    const idle = await scrape(sidecar);
    expect(idle.byLabel('outrigger_executions')).toEqual({});
    expect(idle.value('outrigger_unacknowledged_outcomes')).toBe(2);
    expect(idle.byLabel('outrigger_executions_ended_total')).toEqual({
      'succeeded completed': 2,
      'skipped at_capacity': 1,
    });
    expect(idle.value('outrigger_execution_duration_seconds_count', { status: 'succeeded' })).toBe(2);
    expect(idle.value('outrigger_execution_start_seconds_count')).toBe(2);
    expect(idle.value('outrigger_survivors_total')).toBe(0);
    expect(idle.byLabel('outrigger_dispatches_total')).toEqual({
      ...{ accepted: 1, known: 1, queued: 1, skipped: 1, at_capacity: 1, execution_conflict: 1 },
    });
    expect(idle.text).not.toMatch(/of-the|a-team/);
    expect(idle.text).not.toContain(sidecar.agentId);
  });

  it('counts every byte that is printed once, also over a sidecar that was killed', async () => {
    const finish = join(temporaryFolder(), 'finish');
    await using sidecar = await startRestartable();
    await using before = await RawClient.connect(sidecar);
    await dispatch(before, 'printing', { prompt: script(...until(finish)) });
    await hasPrinted(before, 'printing');
    const printed = (await scrape(sidecar)).value('outrigger_output_bytes_total', { log: 'stdout' });
    expect(printed).toBeGreaterThan(0);
    await sidecar.restart();
    await using after = await RawClient.connect(sidecar);
    writeFileSync(finish, '');
    const { end } = await after.waitFor('outcome', ({ outcome }) => outcome.executionId === 'printing');
    const page = await scrape(sidecar);
    expect(page.value('outrigger_adopted_total')).toBe(1);
    expect(page.value('outrigger_output_bytes_total', { log: 'stdout' }) + printed).toBe(end.stdout);
  });

  it('says what keeps the agent from admitting', async () => {
    await using sidecar = await startSidecar({ args: ['--breaker-failures=1'] });
    await using client = await RawClient.connect(sidecar);
    const obstacles = async () => {
      const page = await scrape(sidecar);
      return ['ready', 'circuit_open', 'draining'].map((name) => page.value(`outrigger_${name}`));
    };
    expect(await obstacles()).toEqual([1, 0, 0]);
    await dispatch(client, 'young', { prompt: fakeScript([{ do: 'exit', code: 1 }]) });
    await client.outcome('young');
    expect(await obstacles()).toEqual([0, 1, 0]);
    await client.request('drain', { deadlineMs: 60_000 });
    expect(await obstacles()).toEqual([0, 1, 1]);
  });

  it('tells of the gateway: what was asked, refused, held and for how long', async () => {
    await using gateway = await startGateway();
    const { api, sidecar, agent } = gateway;
    const way = await openWay(gateway);
    expect((await ask(way)).status).toBe(200);
    expect((await ask({ ...way, placeholder: 'of-nobody' })).status).toBe(403);
    expect((await ask(way, { path: '/v1/elsewhere' })).status).toBe(403);
    api.refuse('sk-ant-oat01-token-a', refusal.expired());
    const held = ask(way);
    await gateway.needed.waitFor();
    await expect.poll(async () => (await scrape(sidecar)).byLabel('outrigger_executions')).toEqual({ held: 1 });
    const during = await scrape(sidecar);
    expect(during.value('outrigger_held_requests')).toBe(1);
    expect(during.value('outrigger_hold_duration_seconds_count', { reason: 'auth_expired' })).toBe(0);

    await agent.swapCredential({ ...TOKEN_B, expiresAt: 2_000_000_000_000 });
    await agent.swapCredential({ ...TOKEN_B, expiresAt: 2_000_000_000_000 });
    await expect(agent.swapCredential({ ...TOKEN_B, secret: 'another' }, { ifGeneration: 1 })).rejects.toThrow();
    expect((await held).status).toBe(200);
    await way.execution.cancel();
    await way.execution.outcome;
    const page = await scrape(sidecar);
    expect(page.byLabel('outrigger_gateway_requests_total')).toEqual({ '2xx': 2 });
    expect(page.byLabel('outrigger_gateway_denied_total')).toEqual({ placeholder: 1, route: 1 });
    expect(page.byLabel('outrigger_gateway_refusals_total')).toEqual({ auth_expired: 1 });
    expect(page.value('outrigger_gateway_first_byte_seconds_count')).toBe(3);
    expect(page.value('outrigger_held_requests')).toBe(0);
    expect(page.value('outrigger_hold_duration_seconds_count', { reason: 'auth_expired' })).toBe(1);
    expect(page.byLabel('outrigger_swaps_total')).toEqual({ applied: 1, unchanged: 1, stale_generation: 1 });
    expect(page.value('outrigger_credential_generation')).toBe(2);
    expect(page.value('outrigger_credential_expiry_timestamp_seconds')).toBe(2_000_000_000);
    expect(page.byLabel('outrigger_executions_ended_total')).toEqual({ 'cancelled requested': 1 });
    expect(page.text).not.toContain('sk-ant');
  });

  it('takes a request that nobody waits for any longer for cut', async () => {
    await using gateway = await startGateway();
    await using _host = await connectFleet(gateway.sidecar);
    gateway.api.refuse('sk-ant-oat01-token-a', refusal.expired());
    const way = await openWay(gateway);
    const leaving = new AbortController();
    const gone = ask(way, { signal: leaving.signal });
    await gateway.needed.waitFor();
    expect((await scrape(gateway.sidecar)).value('outrigger_connections')).toBe(2);
    leaving.abort();
    await expect(gone).rejects.toThrow();
    const cut = async () => (await scrape(gateway.sidecar)).byLabel('outrigger_gateway_requests_total');
    await expect.poll(cut).toEqual({ cut: 1 });
    await way.execution.cancel();
  });
});
