import { type DispatchRequest, type FleetOptions } from '@outrigger/sdk';
import { refusal } from '@outrigger/sdk/testing';
import { describe, expect, it } from 'vitest';
import { connectFleet, script } from './support/fleet.js';
import { ask, openWay, type Way } from './support/gateway.js';
import { type SharedFleet, startSharedFleet } from './support/shared-fleet.js';
import { startSidecar } from './support/sidecar.js';

const HOUR_MS = 60 * 60 * 1000;
const token = (id: string) => ({ id, kind: 'oauth', secret: `sk-ant-oat01-${id}` }) as const;
const [A, B, C, D] = ['a', 'b', 'c', 'd'].map(token) as [Token, Token, Token, Token];
type Token = ReturnType<typeof token>;

const pool = (...credentials: Token[]): FleetOptions => ({ credentials });

/** A run on each agent that asks the provider once, and waits for the answer. */
async function askEverywhere({ hosts, home }: SharedFleet): Promise<(Way & { status: Promise<number> })[]> {
  const [host] = hosts;
  return Promise.all(
    (host?.agents ?? []).map(async (agent) => {
      const dispatch = (request: DispatchRequest) => agent.dispatch({ cwd: home, ...request });
      const way = await openWay({ dispatch });
      return { ...way, status: ask(way).then(({ status }) => status) };
    }),
  );
}

const inForce = async ({ hosts }: SharedFleet) =>
  Promise.all((hosts[0]?.agents ?? []).map(async (agent) => (await agent.status()).credentialId));
const everybodyHas = (fleet: SharedFleet, id: string) =>
  expect.poll(() => inForce(fleet)).toEqual(fleet.sidecars.map(() => id));

describe('a pool of credentials', () => {
  it('gives agents that have none one, and spreads those that share one which hits its limit over what is left (C3)', async () => {
    await using fleet = await startSharedFleet({ agents: 4, hosts: 2, host: () => pool(A) });
    await everybodyHas(fleet, 'a');
    for (const { fleet: each } of fleet.hosts) for (const other of [B, C]) await each.credentials.put(other);
    const switchedFor = (why: string) => fleet.told('credentialSwitched').filter(({ reason }) => reason === why);
    await expect.poll(() => switchedFor('credential_missing')).toHaveLength(4);
    fleet.api.refuse(A.secret, refusal.rateLimited());
    const ways = await askEverywhere(fleet);
    expect(await Promise.all(ways.map(({ status }) => status))).toEqual([200, 200, 200, 200]);
    const given = await inForce(fleet);
    expect(given.sort()).toEqual(['b', 'b', 'c', 'c']);
    await expect.poll(() => switchedFor('rate_limited')).toHaveLength(4);
    const switched = switchedFor('rate_limited');
    expect(switched.map(({ agentId }) => agentId).sort()).toEqual(['agent-0', 'agent-1', 'agent-2', 'agent-3']);
    expect(switched.map(({ from }) => from)).toEqual(['a', 'a', 'a', 'a']);
    expect(fleet.told('credentialSwitched')).toHaveLength(8);
    const listed = await fleet.hosts[0]?.fleet.credentials.list();
    expect(listed?.find(({ id }) => id === 'a')).toMatchObject({ standing: { is: 'cooling' }, agents: [] });
    expect(JSON.stringify(listed)).not.toContain('sk-ant');
    await Promise.all(ways.map(({ execution }) => execution.cancel()));
  });

  it('says once that all are exhausted, and until when, and goes on with one that is put later (C5)', async () => {
    await using fleet = await startSharedFleet({ agents: 2, hosts: 2, host: () => pool(A, B) });
    await expect.poll(async () => (await inForce(fleet)).sort()).toEqual(['a', 'b']);
    fleet.api.refuse(A.secret, refusal.rateLimited());
    fleet.api.refuse(B.secret, refusal.rateLimited());
    const ways = await askEverywhere(fleet);
    await expect.poll(() => fleet.told('credentialsExhausted')).toHaveLength(1);
    const [{ until } = { until: null }] = fleet.told('credentialsExhausted');
    expect(until).toBeGreaterThan(Date.now());
    const switches = fleet.told('credentialSwitched').length;
    // Each is asked with each credential once at most: nobody is sent to and fro.
    expect(switches).toBeLessThanOrEqual(4);
    await fleet.hosts[1]?.fleet.credentials.put(D);
    expect(await Promise.all(ways.map(({ status }) => status))).toEqual([200, 200]);
    await everybodyHas(fleet, 'd');
    expect(fleet.told('credentialsExhausted')).toHaveLength(1);
    await Promise.all(ways.map(({ execution }) => execution.cancel()));
  });

  it('renews a credential under its own name, for runs that wait for it as well', async () => {
    await using fleet = await startSharedFleet({ agents: 2, hosts: 1, host: () => pool(A) });
    await everybodyHas(fleet, 'a');
    fleet.api.refuse(A.secret, refusal.expired());
    const ways = await askEverywhere(fleet);
    await expect.poll(() => fleet.told('credentialsExhausted')).toHaveLength(1);
    await fleet.hosts[0]?.fleet.credentials.put({ ...A, secret: 'sk-ant-oat01-renewed' });
    expect(await Promise.all(ways.map(({ status }) => status))).toEqual([200, 200]);
    await Promise.all(ways.map(({ execution }) => execution.cancel()));
  });

  it('asks where credentials are kept for what it has only the name of, and again when that is refused', async () => {
    let secret = A.secret;
    const host = () => ({ credentials: [{ id: 'a' }], resolveCredential: (id: string) => ({ ...A, id, secret }) });
    await using fleet = await startSharedFleet({ agents: 1, hosts: 1, host });
    await everybodyHas(fleet, 'a');
    secret = 'sk-ant-oat01-rotated';
    fleet.api.refuse(A.secret, refusal.revoked());
    const [way] = await askEverywhere(fleet);
    expect(await way?.status).toBe(200);
    expect(fleet.told('credentialsExhausted')).toEqual([]);
    await way?.execution.cancel();
  });

  it('condemns no credential for one refusal that names no cause and does not stand', async () => {
    await using fleet = await startSharedFleet({ agents: 1, hosts: 1, host: () => pool(A, B) });
    await everybodyHas(fleet, 'a');
    fleet.api.refuse(A.secret, refusal.invalid(), { times: 1 });
    const [way] = await askEverywhere(fleet);
    expect(await way?.status).toBe(200);
    await everybodyHas(fleet, 'b');
    const listed = await fleet.hosts[0]?.fleet.credentials.list();
    expect(listed?.map(({ standing }) => standing.is)).toEqual(['healthy', 'healthy']);
    await way?.execution.cancel();
  });

  it('leaves a credential alone that a user has chosen, until it may choose again (D7)', async () => {
    await using fleet = await startSharedFleet({ agents: 2, hosts: 1, host: () => pool(A, B) });
    await expect.poll(async () => (await inForce(fleet)).sort()).toEqual(['a', 'b']);
    const [agent] = fleet.hosts[0]?.agents ?? [];
    await agent?.swapCredential(C);
    fleet.api.refuse(C.secret, refusal.rateLimited());
    const [pinned, other] = await askEverywhere(fleet);
    // One that waits holds up no other.
    expect(await other?.status).toBe(200);
    await expect.poll(() => fleet.told('credentialNeeded')).toHaveLength(1);
    expect((await agent?.status())?.credentialId).toBe('c');
    await agent?.unpinCredential();
    expect(await pinned?.status).toBe(200);
    for (const way of [pinned, other]) await way?.execution.cancel();
  });

  it('refuses to dispatch on a credential past its end, and gives the agent another one first if there is one (C12)', async () => {
    const expired = { ...A, expiresAt: Date.now() - 1000 };
    await using sidecar = await startSidecar({ mode: 'gateway', upstream: 'http://127.0.0.1:1', credential: null });
    await using host = await connectFleet(sidecar, { credentials: [expired] });
    await host.agent.swapCredential(expired);
    await host.agent.unpinCredential();
    const dispatch = () => host.agent.dispatch({ executionId: 'run', prompt: script({ do: 'hang' }) });
    await expect(dispatch()).rejects.toMatchObject({
      code: 'credential_expired',
      data: { credentialId: 'a', expiresAt: expired.expiresAt },
    });
    expect((await host.agent.status()).counts.live).toBe(0);
    await host.fleet.credentials.put(B);
    const execution = await dispatch();
    expect((await host.agent.status()).credentialId).toBe('b');
    await execution.cancel();
  });

  it('warns of the end of a credential once for each threshold, and of the nearest one alone at first (C12)', async () => {
    const expiresAt = Date.now() + 2 * HOUR_MS;
    const host = (): FleetOptions => ({
      credentials: [{ ...A, expiresAt }, B],
      warnBeforeExpiryMs: [7 * 24 * HOUR_MS, 24 * HOUR_MS, HOUR_MS],
    });
    await using fleet = await startSharedFleet({ agents: 1, hosts: 2, host });
    const warning = { credentialId: 'a', expiresAt, beforeMs: 24 * HOUR_MS };
    for (const host of fleet.hosts) {
      await host.fleet.reconcile();
      expect(host.told('credentialExpiring')).toEqual([warning]);
    }
  });

  it('of two hosts that answer the same need with different credentials one has its way (C19)', async () => {
    await using fleet = await startSharedFleet({ agents: 1, hosts: 2 });
    const agents = fleet.hosts.map(({ agents: [agent] }) => agent);
    await agents[0]?.swapCredential(A);
    const swaps = await Promise.allSettled(
      agents.map(async (agent, n) => agent?.swapCredential(n === 0 ? B : C, { ifGeneration: 1 })),
    );
    expect(swaps.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(swaps.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { code: 'stale_generation', data: { generation: 2 } },
    });
  });
});

describe('limits', () => {
  it('of the fleet and of a credential count over every host, and are free again with each outcome', async () => {
    const host = (): FleetOptions => ({ credentials: [{ ...A, maxExecutions: 2 }], limits: { maxExecutions: 3 } });
    await using fleet = await startSharedFleet({ agents: 2, hosts: 2, host, sidecar: { maxExecutions: 9 } });
    await everybodyHas(fleet, 'a');
    const all = fleet.hosts.flatMap(({ agents }) => agents);
    const dispatches = await Promise.allSettled(
      all.map((agent, n) => agent.dispatch({ executionId: `run-${n}`, prompt: script({ do: 'hang' }) })),
    );
    const taken = dispatches.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    expect(taken).toHaveLength(2);
    const refused = dispatches.filter(({ status }) => status === 'rejected');
    expect(refused).toMatchObject(refused.map(() => ({ reason: { code: 'limit_reached' } })));
    await expect(all[0]?.dispatch({ prompt: script({ do: 'hang' }) })).rejects.toMatchObject({
      code: 'limit_reached',
      data: { limit: 'credential.a', max: 2 },
    });
    await taken[0]?.cancel();
    await taken[0]?.outcome;
    const again = () => all[0]?.dispatch({ executionId: 'again', prompt: script({ do: 'hang' }) });
    await expect
      .poll(() =>
        again()?.then(
          (execution) => execution.id,
          () => null,
        ),
      )
      .toBe('again');
    await fleet.hosts[0]?.fleet.credentials.put(B);
    for (const agent of fleet.hosts[0]?.agents ?? []) await agent.swapCredential(B);
    // What runs counts for the credential it uses now, so that of the old one is free.
    await fleet.hosts[0]?.fleet.reconcile();
    const more = await Promise.allSettled(
      [1, 2].map(async (n) => all[0]?.dispatch({ executionId: `more-${n}`, prompt: script({ do: 'hang' }) })),
    );
    expect(more.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(more.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { data: { limit: 'fleet' } } });
  });
});
