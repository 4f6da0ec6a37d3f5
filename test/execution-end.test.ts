import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { CLOSE_CODES } from '@outrigger/protocol';
import { type FakeStep } from '@outrigger/sdk/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { readOutput } from './support/output.js';
import { RawClient } from './support/raw-client.js';
import { hanging, hasPrinted, isRunning, temporaryFolder, until } from './support/runs.js';
import { startSidecar, type TestSidecar } from './support/sidecar.js';

describe('a cancel', () => {
  it('that comes before its dispatch lets nothing start (O9, D8)', async () => {
    await using sidecar = await startSidecar();
    await using client = await RawClient.connect(sidecar);
    const started = join(temporaryFolder(), 'started');
    expect(await client.request('cancel', { executionId: 'early' })).toEqual({ known: false });
    const reply = await client.dispatch('early', [{ do: 'touch', path: started }]);
    expect(reply).toMatchObject({ known: false, state: 'ended' });
    expect(await client.outcome('early')).toMatchObject({
      status: 'cancelled',
      reason: 'requested',
      attempts: 0,
      survivors: 0,
      exit: { code: null, signal: null },
    });
    expect(existsSync(started)).toBe(false);
    expect(existsSync(join(sidecar.stateDir, 'executions', 'early'))).toBe(false);
  });

  it('ends a run, whose late success changes nothing and whose late output nobody sees (O6, T2)', async () => {
    await using sidecar = await startSidecar();
    await using client = await RawClient.connect(sidecar);
    await client.dispatch('run', [
      {
        do: 'onSignal',
        signal: 'SIGTERM',
        steps: [
          { do: 'result', result: 'late' },
          { do: 'exit', code: 0 },
        ],
      },
      ...hanging,
    ]);
    await hasPrinted(client, 'run');
    expect(await client.request('cancel', { executionId: 'run' })).toEqual({ known: true, state: 'running' });
    expect(await client.outcome('run')).toMatchObject({ status: 'cancelled', exit: { code: 0 } });
    const { stdout } = await readOutput(client, 'run');
    expect(stdout.lines).toHaveLength(1);
    expect(readFileSync(join(sidecar.stateDir, 'executions/run/1/stdout'), 'utf8')).toContain('late');

    // And once it has ended, a cancel changes nothing.
    expect(await client.request('cancel', { executionId: 'run' })).toEqual({ known: true, state: 'ended' });
    expect(client.frames.filter(({ type }) => type === 'outcome')).toHaveLength(1);
  });

  it('kills what ignores it, after the grace it was given', async () => {
    await using sidecar = await startSidecar();
    await using client = await RawClient.connect(sidecar);
    await client.dispatch('deaf', [{ do: 'ignoreSignals', signals: ['SIGTERM', 'SIGINT'] }, ...hanging], {
      graceMs: 50,
    });
    await hasPrinted(client, 'deaf');
    await client.request('cancel', { executionId: 'deaf' });
    const { outcome } = await client.waitFor('outcome');
    expect(outcome).toMatchObject({ status: 'cancelled', exit: { code: null, signal: 'SIGKILL' } });
  });
});

describe('a deadline', () => {
  it('ends the run as of the deadline itself', async () => {
    await using sidecar = await startSidecar();
    await using client = await RawClient.connect(sidecar);
    await client.dispatch('slow', hanging, { timeoutMs: 321 });
    const { status, reason, startedAt = 0, endedAt, closedAt } = await client.outcome('slow');
    expect({ status, reason, endedAt }).toEqual({ status: 'timed_out', reason: 'deadline', endedAt: startedAt + 321 });
    expect(closedAt).toBeGreaterThanOrEqual(endedAt);
  });
});

describe('a signal to end', () => {
  async function term(sidecar: TestSidecar, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    sidecar.process.kill(signal);
    await sidecar.waitForLog((line) => line.msg === 'draining');
  }

  const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
  it.each(signals)('%s admits nothing more, waits for what runs, then ends well (D4)', async (signal) => {
    await using sidecar = await startSidecar({ drainTimeoutMs: 60_000 });
    await using client = await RawClient.connect(sidecar);
    const go = join(temporaryFolder(), 'go');
    await client.dispatch('runs', until(go));
    await isRunning(client, 'runs');
    await term(sidecar, signal);
    expect(await client.refusedDispatch('late', 'hello')).toBe('draining');
    await client.dispatch('skipped', 'hello', { whenBusy: 'skip' });
    expect(await client.outcome('skipped')).toMatchObject({ status: 'skipped', reason: 'draining' });
    const ready = await fetch(`${sidecar.url.replace('ws:', 'http:')}/readyz`);
    expect(await ready.json()).toEqual({ ready: false, problem: 'draining' });

    writeFileSync(go, '');
    expect(await client.outcome('runs')).toMatchObject({ status: 'succeeded' });
    await client.request('ack', { executionId: 'runs' });
    await client.request('ack', { executionId: 'skipped' });
    expect(await client.closed).toMatchObject({ code: CLOSE_CODES.goingAway.code });
    expect(await sidecar.exited).toEqual({ code: 0, signal: null });
  });

  it('ends the sidecar though peers do not answer, finish a request or take a refusal (B2)', async () => {
    await using sidecar = await startSidecar();
    const { hostname, port } = new URL(sidecar.url);
    const handshake = [
      'GET / HTTP/1.1',
      'Host: agent',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      'Sec-WebSocket-Protocol: outrigger.v1',
    ];
    const peer = async (...lines: string[]) => {
      const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
      onTestFinished(() => void socket.destroy());
      socket.on('error', () => undefined).write(lines.join('\r\n'));
      return String((await once(socket, 'data'))[0]);
    };
    const accepted = await peer(...handshake, `Authorization: Bearer ${sidecar.token}`, '', '');
    expect(accepted).toContain('101 Switching Protocols');
    expect(await peer(...handshake, '', '')).toContain('401');
    // One request that is answered, and the beginning of another.
    expect(await peer('GET /healthz HTTP/1.1', 'Host: agent', '', 'GET /healthz HTTP/1.1', 'Host:')).toContain('200');
    expect(await sidecar.stop()).toEqual({ code: 0, signal: null });
  });

  it('cancels what runs past the time it was given, and a second one at once (D4)', async () => {
    for (const [drainTimeoutMs, signals] of [
      [50, 1],
      [60_000, 2],
    ] as const) {
      await using sidecar = await startSidecar({ drainTimeoutMs });
      await using client = await RawClient.connect(sidecar);
      await client.dispatch('hangs', hanging);
      await hasPrinted(client, 'hangs');
      await term(sidecar);
      if (signals === 2) sidecar.process.kill('SIGTERM');
      expect(await client.outcome('hangs')).toMatchObject({ status: 'cancelled', reason: 'drained', retryable: true });
      await client.request('ack', { executionId: 'hangs' });
      expect(await sidecar.exited).toEqual({ code: 0, signal: null });
    }
  });
});

describe('a second SIGTERM', () => {
  const deaf: FakeStep[] = [{ do: 'ignoreSignals', signals: ['SIGTERM', 'SIGINT'] }, ...hanging];

  it('ends the grace of a kill that is under way (D4)', async () => {
    await using sidecar = await startSidecar({ drainTimeoutMs: 60_000 });
    await using client = await RawClient.connect(sidecar);
    await client.dispatch('deaf', deaf, { graceMs: 300_000 });
    await hasPrinted(client, 'deaf');
    await client.request('cancel', { executionId: 'deaf' });
    await client.waitFor('state', ({ state }) => state === 'ending');
    sidecar.process.kill('SIGTERM');
    await sidecar.waitForLog((line) => line.msg === 'draining');
    sidecar.process.kill('SIGTERM');
    const outcome = await client.outcome('deaf');
    expect(outcome).toMatchObject({ reason: 'requested', exit: { signal: 'SIGKILL' } });
    await client.request('ack', { executionId: 'deaf' });
    expect(await sidecar.exited).toEqual({ code: 0, signal: null });
  });

  it('gives what it ends itself no grace (D4)', async () => {
    await using sidecar = await startSidecar({ drainTimeoutMs: 60_000 });
    await using client = await RawClient.connect(sidecar);
    await client.dispatch('deaf', deaf, { graceMs: 300_000 });
    await hasPrinted(client, 'deaf');
    sidecar.process.kill('SIGTERM');
    await sidecar.waitForLog((line) => line.msg === 'draining');
    sidecar.process.kill('SIGTERM');
    expect(await client.outcome('deaf')).toMatchObject({ reason: 'drained', exit: { signal: 'SIGKILL' } });
    await client.request('ack', { executionId: 'deaf' });
    expect(await sidecar.exited).toEqual({ code: 0, signal: null });
  });
});

it('a run that prints too much is killed without a grace, in which it would go on', async () => {
  await using sidecar = await startSidecar();
  await using client = await RawClient.connect(sidecar);
  const steps: FakeStep[] = [
    { do: 'ignoreSignals', signals: ['SIGTERM', 'SIGINT'] },
    { do: 'write', text: 'x'.repeat(2000) },
    { do: 'hang' },
  ];
  await client.dispatch('flood', steps, { graceMs: 300_000, maxOutputBytes: 1000 });
  expect(await client.outcome('flood')).toMatchObject({ reason: 'output_limit', exit: { signal: 'SIGKILL' } });
});

it('a crash is told with the last line of stderr, without secrets', async () => {
  await using sidecar = await startSidecar({ credential: 'a-credential-for-this-test' });
  await using client = await RawClient.connect(sidecar);
  await client.dispatch('run', [
    { do: 'write', to: 'stderr', text: "first\nerror: unknown option '--nonsense' a-credential-for-this-test\n" },
    { do: 'exit', code: 1 },
  ]);
  const { reason, message } = await client.outcome('run');
  expect(reason).toBe('crashed');
  expect(message).toContain("Exit code 1. The last line on stderr: error: unknown option '--nonsense' [redacted]");
});
