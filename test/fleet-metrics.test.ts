import { createFleet, memoryStore } from '@outrigger/sdk';
import { fleetMetrics } from '@outrigger/sdk/metrics';
import { refusal } from '@outrigger/sdk/testing';
import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { script } from './support/fleet.js';
import { ask, openWay, startGateway, TOKEN_B } from './support/gateway.js';
import { Scrape } from './support/metrics.js';
import { hanging } from './support/runs.js';
import { startSidecar } from './support/sidecar.js';

const PREFIX = 'outrigger_fleet';

describe('the metrics of a fleet', () => {
  it('tell of agents, executions, dispatches and outcomes, naming none', async () => {
    await using sidecar = await startSidecar({ maxExecutions: 1, args: ['--agent-id=the-name-of-it'] });
    const registry = new Registry();
    let failures = 0;
    await using fleet = createFleet({
      onOutcome: () => {
        if (failures++ === 0) throw new Error('not now');
      },
    });
    fleetMetrics(fleet, { registry });
    const read = async () => new Scrape(await registry.metrics());
    expect((await read()).byLabel(`${PREFIX}_agents`)).toEqual({});
    const agent = await fleet.connect(sidecar);
    const running = await agent.dispatch({ executionId: 'of-the-first', prompt: script(...hanging) });
    await agent.dispatch({ executionId: 'of-the-first', prompt: script(...hanging) });
    await expect(agent.dispatch({ prompt: 'x' })).rejects.toMatchObject({ code: 'at_capacity' });
    await expect.poll(async () => (await read()).byLabel(`${PREFIX}_executions`)).toEqual({ running: 1 });
    const busy = await read();
    expect(busy.byLabel(`${PREFIX}_agents`)).toEqual({ reached: 1 });
    expect(busy.value(`${PREFIX}_slots`)).toBe(1);
    expect(busy.byLabel(`${PREFIX}_dispatches_total`)).toEqual({ accepted: 1, known: 1, at_capacity: 1 });
    expect(busy.value(`${PREFIX}_dispatch_seconds_count`)).toBe(3);
    expect(busy.value(`${PREFIX}_reconciles_total`, { result: 'done' })).toBeGreaterThan(0);

    await running.cancel();
    await running.outcome;
    const outcomes = async () => (await read()).byLabel(`${PREFIX}_outcomes_total`);
    await expect.poll(outcomes).toEqual({ 'cancelled requested': 1 });
    const idle = await read();
    expect(idle.byLabel(`${PREFIX}_executions`)).toEqual({});
    expect(idle.value(`${PREFIX}_dispatch_to_outcome_seconds_count`, { status: 'cancelled' })).toBe(1);
    expect(idle.value(`${PREFIX}_outcome_handler_failures_total`)).toBe(1);
    expect(idle.text).not.toMatch(/of-the-first|the-name-of-it/);

    await sidecar.stop();
    await expect.poll(async () => (await read()).byLabel(`${PREFIX}_agents`)).toEqual({ unreachable: 1 });
    expect((await read()).value(`${PREFIX}_agent_outages_total`)).toBe(1);
  });

  it('tell of the pool of credentials', async () => {
    await using gateway = await startGateway();
    const registry = new Registry();
    await using fleet = createFleet({ credentials: [{ id: 'spare', kind: 'oauth', secret: TOKEN_B.secret }] });
    fleetMetrics(fleet, { registry });
    const read = async () => new Scrape(await registry.metrics());
    const agent = await fleet.connect(gateway.sidecar);
    const way = await openWay({ dispatch: (request) => agent.dispatch({ cwd: gateway.home, ...request }) });
    gateway.api.refuse('sk-ant-oat01-token-a', refusal.expired());
    expect((await ask(way)).status).toBe(200);
    gateway.api.refuse(TOKEN_B.secret, refusal.rateLimited());
    const waiting = ask(way).catch(() => undefined);
    const exhausted = async () => (await read()).value(`${PREFIX}_credentials_exhausted_total`);
    await expect.poll(exhausted).toBe(1);
    const page = await read();
    expect(page.byLabel(`${PREFIX}_credential_switches_total`)).toEqual({ auth_expired: 1 });
    expect(page.byLabel(`${PREFIX}_credentials_needed_total`)).toMatchObject({ auth_expired: 1, rate_limited: 1 });
    expect(page.byLabel(`${PREFIX}_credentials`)).toEqual({ cooling: 1 });
    expect(page.text).not.toMatch(/spare|sk-ant/);
    await way.execution.cancel();
    await waiting;
  });

  it('tell of a store that fails, and of what reconciling did', async () => {
    await using sidecar = await startSidecar();
    const registry = new Registry();
    const store = memoryStore();
    let isAway = false;
    const failing = new Proxy(store, {
      get: (target, name: keyof typeof store) =>
        isAway && name === 'openExecutions'
          ? () => Promise.reject(new Error('away'))
          : (target[name] as () => void).bind(target),
    });
    await using other = createFleet();
    const runner = await other.connect(sidecar);
    await runner.dispatch({ prompt: script(...hanging) });
    await using fleet = createFleet({ store: failing });
    const metrics = fleetMetrics(fleet, { registry });
    await fleet.connect(sidecar);
    const read = async () => new Scrape(await registry.metrics());
    const actions = async () => (await read()).byLabel(`${PREFIX}_reconcile_actions_total`);
    await expect.poll(actions).toEqual({ adopted: 1 });
    isAway = true;
    await fleet.reconcile();
    const page = await read();
    expect(page.byLabel(`${PREFIX}_store_errors_total`)).toEqual({ openExecutions: 1 });
    expect(page.byLabel(`${PREFIX}_reconciles_total`)).toMatchObject({ failed: 1 });
    expect(page.value(`${PREFIX}_split_stores_total`)).toBe(1);
    metrics.close();
    expect(await registry.metrics()).toBe('\n');
    expect(fleet.eventNames()).toEqual([]);
  });
});
