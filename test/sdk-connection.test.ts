import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createFleet, memoryStore } from '@outrigger/sdk';
import { describe, expect, it } from 'vitest';
import { collect, connectFleet, nextEvent, script, signal } from './support/fleet.js';
import { temporaryFolder } from './support/runs.js';
import { startSidecar } from './support/sidecar.js';
import { TcpProxy } from './support/tcp-proxy.js';

describe('connecting', () => {
  it('is refused with a wrong token, a wrong agent, an insecure URL, and when nobody is there, each typed', async () => {
    await using sidecar = await startSidecar();
    await using fleet = createFleet({ connectTimeoutMs: 5000 });
    const { url, token } = sidecar;
    await expect(fleet.connect({ url, token: 'a-wrong-token' })).rejects.toMatchObject({ code: 'unauthorized' });
    await expect(fleet.connect({ url, token: '' })).rejects.toMatchObject({ code: 'unauthorized' });
    await expect(fleet.connect({ url: 'ws://example.com', token })).rejects.toMatchObject({ code: 'insecure_url' });
    await expect(fleet.connect({ url: 'ws://127.0.0.1:1', token })).rejects.toMatchObject({
      code: 'agent_unreachable',
    });
    await fleet.connect({ url, token: () => Promise.resolve(token) });
    await expect(fleet.connect({ url, token })).rejects.toMatchObject({ code: 'already_connected' });
  });

  it('is encrypted with a certificate the caller trusts, and refused with any other', async () => {
    // Made for tests, good for 127.0.0.1 and nothing else, until 2126.
    const fixture = (name: string) => fileURLToPath(new URL(`fixtures/tls/${name}`, import.meta.url));
    const [key, cert] = [fixture('key.pem'), fixture('cert.pem')];
    await using sidecar = await startSidecar({ args: [`--tls-cert=${cert}`, `--tls-key=${key}`] });
    const { url, token } = sidecar;
    expect(url).toMatch(/^wss:/);
    await using fleet = createFleet();
    await expect(fleet.connect({ url, token })).rejects.toMatchObject({ code: 'agent_unreachable' });
    const agent = await fleet.connect({ url, token, ca: readFileSync(cert) });
    const execution = await agent.dispatch({ prompt: script({ do: 'assistant', text: 'hi' }, { do: 'result' }) });
    expect(await collect(execution.text())).toEqual(['hi']);
  });

  it('to the wrong agent takes in nothing (R18)', async () => {
    await using sidecar = await startSidecar();
    await using first = await connectFleet(sidecar, { onOutcome: () => Promise.reject(new Error('not now')) });
    const failed = nextEvent(first.fleet, 'outcomeHandlerFailed');
    await first.agent.dispatch({ prompt: script({ do: 'result' }) });
    await failed;

    const outcomes: unknown[] = [];
    await using fleet = createFleet({ onOutcome: (outcome) => void outcomes.push(outcome) });
    const attempt = fleet.connect({ id: 'another-agent', url: sidecar.url, token: sidecar.token });
    await expect(attempt).rejects.toMatchObject({ code: 'agent_mismatch', data: { actual: first.agent.id } });
    expect((await first.agent.status()).counts.unacknowledged).toBe(1);
    expect(outcomes).toEqual([]);
  });
});

describe('a connection that breaks', () => {
  it('20 times during a run of 200 lines costs no line and doubles none (T4)', async () => {
    await using sidecar = await startSidecar();
    let state = 7;
    // A greeting and some lines each; what a cut leaves of a frame is read again.
    const randomBudget = () => 3000 + ((state = (state * 1_103_515_245 + 12_345) % 2 ** 31) % 2000);
    await using proxy = await TcpProxy.to(sidecar.url, { budgetOf: (n) => (n < 20 ? randomBudget() : undefined) });
    await using host = await connectFleet(sidecar, { url: proxy.url });
    const lines = { do: 'fill', lines: 200, lineBytes: 400, stamped: true, everyMs: 20 } as const;
    const execution = await host.agent.dispatch({ prompt: script(lines, { do: 'result' }) });
    const numbers = (await collect(execution)).flatMap((event) =>
      event.type === 'message' && event.message?.['type'] === 'fill' ? [event.message['n']] : [],
    );
    expect(numbers).toEqual(Array.from({ length: 200 }, (_, n) => n));
    expect(proxy.connections).toBeGreaterThanOrEqual(21);
  });

  it.each([1, 2, 3])('at any byte costs no line and doubles none (T4), seed %i', async (seed) => {
    await using sidecar = await startSidecar();
    let state = seed;
    // Enough for a greeting, and mostly for a part of the output.
    const randomBudget = () => 600 + ((state = (state * 1_103_515_245 + 12_345) % 2 ** 31) % 500_000);
    await using proxy = await TcpProxy.to(sidecar.url, { budgetOf: (n) => (n < 25 ? randomBudget() : undefined) });
    await using direct = await connectFleet(sidecar);
    const lines = { do: 'fill', lines: 500, lineBytes: 400 } as const;
    // The long line spans more frames than some connections live for.
    const prompt = script(
      lines,
      { do: 'fill', lines: 1, lineBytes: 300_000 },
      lines,
      { do: 'fill', to: 'stderr', lines: 20 },
      { do: 'assistant', text: 'done' },
      { do: 'result' },
    );
    const execution = await direct.agent.dispatch({ executionId: 'cut', prompt });

    const fleet = createFleet();
    // The first connection can be cut before it has greeted; then it is the caller who tries again.
    let agent;
    while (agent === undefined)
      agent = await fleet.connect({ url: proxy.url, token: sidecar.token }).catch(() => undefined);
    const cut = await agent.dispatch({ executionId: 'cut', prompt });
    const [seen, text, whole] = await Promise.all([
      collect(cut.events({ creditBytes: 50_000 })),
      collect(cut.text()),
      collect(execution),
    ]);

    const outputOf = (events: typeof seen, type: 'message' | 'stderr') =>
      events.filter((event) => event.type === type).map((event) => ('line' in event ? event.line : ''));
    expect(outputOf(whole, 'message')).toHaveLength(1003);
    expect(outputOf(seen, 'message')).toEqual(outputOf(whole, 'message'));
    expect(outputOf(seen, 'stderr')).toEqual(outputOf(whole, 'stderr'));
    expect(seen.at(-1)).toEqual(whole.at(-1));
    expect(text).toEqual(['done']);
    expect(proxy.connections).toBeGreaterThan(3);
    await fleet.close();
  });

  it('is told once, made anew, and what was asked meanwhile is answered', async () => {
    await using sidecar = await startSidecar();
    await using proxy = await TcpProxy.to(sidecar.url);
    await using host = await connectFleet(sidecar, { url: proxy.url });
    const lost = nextEvent(host.fleet, 'agentUnreachable');
    const back = nextEvent(host.fleet, 'agentBack');
    proxy.refuse(true);
    proxy.cut();
    expect(await lost).toMatchObject({ agentId: host.agent.id, error: { code: 'agent_unreachable' } });
    const dispatched = host.agent.dispatch({ prompt: script({ do: 'assistant', text: 'hi' }, { do: 'result' }) });
    proxy.refuse(false);
    expect(await back).toEqual({ agentId: host.agent.id });
    expect(await collect((await dispatched).text())).toEqual(['hi']);
  });

  it('costs a reader whose cursor is refused that reader alone', async () => {
    await using sidecar = await startSidecar();
    await using proxy = await TcpProxy.to(sidecar.url);
    await using host = await connectFleet(sidecar, { url: proxy.url });
    const go = join(temporaryFolder(), 'go');
    const execution = await host.agent.dispatch({
      prompt: script({ do: 'assistant', text: 'hi' }, { do: 'waitForFile', path: go }, { do: 'result' }),
    });
    const early = execution.events({ creditBytes: 1 });
    let event = await early.next();
    while (event.value?.type !== 'message') event = await early.next();

    const lost = nextEvent(host.fleet, 'agentUnreachable');
    const back = nextEvent(host.fleet, 'agentBack');
    proxy.refuse(true);
    proxy.cut();
    await lost;
    const behind = collect(execution.events({ from: { attempt: 1, stdout: 1e9, stderr: 0 } }));
    const refused = expect(behind).rejects.toMatchObject({ name: 'WireError', code: 'invalid' });
    const late = collect(execution.text());
    proxy.refuse(false);
    await back;
    await refused;
    writeFileSync(go, '');
    expect(await late).toEqual(['hi']);
    expect((await collect(early)).at(-1)?.type).toBe('outcome');
    expect(proxy.connections).toBe(2);
  });

  it('without a FIN is noticed by its silence (R6)', async () => {
    await using sidecar = await startSidecar();
    await using proxy = await TcpProxy.to(sidecar.url);
    await using host = await connectFleet(sidecar, { url: proxy.url, pingIntervalMs: 50, inboundDeadlineMs: 400 });
    const execution = await host.agent.dispatch({
      prompt: script({ do: 'init' }, { do: 'sleep', ms: 100 }, { do: 'result' }),
    });
    const back = nextEvent(host.fleet, 'agentBack');
    proxy.fallSilent();
    await back;
    expect(await execution.outcome).toMatchObject({ status: 'succeeded' });
  });

  it('leaves a request that gets no answer with a typed error', async () => {
    await using sidecar = await startSidecar();
    await using proxy = await TcpProxy.to(sidecar.url);
    await using host = await connectFleet(sidecar, { url: proxy.url, requestTimeoutMs: 300 });
    proxy.refuse(true);
    proxy.cut();
    await expect(host.agent.dispatch({ prompt: 'x' })).rejects.toMatchObject({ code: 'agent_unreachable' });
  });
});

describe('closing a fleet', () => {
  it('fails what is pending with fleet_closed, and what is called later', async () => {
    await using sidecar = await startSidecar();
    const { fleet, agent } = await connectFleet(sidecar);
    const execution = await agent.dispatch({ prompt: script({ do: 'hang' }) });
    const waiting = expect(collect(execution)).rejects.toMatchObject({ code: 'fleet_closed' });
    const outcome = expect(execution.outcome).rejects.toMatchObject({ code: 'fleet_closed' });
    await fleet.close();
    await waiting;
    await outcome;
    await expect(execution.decided).rejects.toMatchObject({ code: 'fleet_closed' });
    await expect(agent.dispatch({ prompt: 'x' })).rejects.toMatchObject({ code: 'fleet_closed' });
    await expect(collect(execution)).rejects.toMatchObject({ code: 'fleet_closed' });
    await expect(fleet.connect({ url: sidecar.url, token: sidecar.token })).rejects.toMatchObject({
      code: 'fleet_closed',
    });
    await fleet.close();
  });

  it('ends a connect that waits for the store as well, and connects to nothing afterwards', async () => {
    await using sidecar = await startSidecar();
    const answer = signal();
    const store = { ...memoryStore(), id: () => answer.given.then(() => 'store') };
    const fleet = createFleet({ store });
    const connecting = expect(fleet.connect(sidecar)).rejects.toMatchObject({ code: 'fleet_closed' });
    await fleet.close();
    answer.give();
    await connecting;
  });

  it('leaves nothing that keeps a process alive, and no rejection that nobody handles', async () => {
    await using sidecar = await startSidecar();
    await using proxy = await TcpProxy.to(sidecar.url);
    const program = `
      import { createFleet, memoryStore } from '@outrigger/sdk';
      const fleet = createFleet({ onOutcome: () => Promise.reject(new Error('not now')) });
      const [url, token, prompt] = process.argv.slice(1);
      const agent = await fleet.connect({ url, token });
      const failed = new Promise((resolve) => fleet.once('outcomeHandlerFailed', resolve));
      await agent.dispatch({ prompt: 'echo' });
      await failed;
      const running = await agent.dispatch({ prompt });
      await running.events().next();
      void running.outcome;
      await fleet.close();
      console.log('closed');
    `;
    const args = ['--input-type=module', '-e', program, proxy.url, sidecar.token, script({ do: 'hang' })];
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args);
    expect({ stdout, stderr }).toEqual({ stdout: 'closed\n', stderr: '' });
  });
});
