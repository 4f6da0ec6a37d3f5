import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fakeScript, type FakeStep } from '@outrigger/sdk/testing';
import { describe, expect, it } from 'vitest';
import { readOutput } from './support/output.js';
import { RawClient } from './support/raw-client.js';
import { hanging, isRunning, temporaryFolder, until } from './support/runs.js';
import { startSidecar } from './support/sidecar.js';

describe('a good run', () => {
  it('goes from starting to its outcome, and tells everything on the way', async () => {
    await using sidecar = await startSidecar();
    await using client = await RawClient.connect(sidecar);
    const sessionId = '4b1f7c1e-3f0a-4d55-9a57-0b6d4f3c2e11';
    const reply = await client.dispatch('good', 'Say hello', { sessionId, model: 'm', labels: { job: '1' } });
    expect(reply).toMatchObject({ executionId: 'good', state: 'starting', known: false, labels: { job: '1' } });

    const outcome = await client.outcome('good');
    expect(outcome).toMatchObject({
      executionId: 'good',
      status: 'succeeded',
      reason: 'completed',
      retryable: false,
      result: 'Say hello',
      sessionId,
      model: 'm',
      turns: 1,
      costUsd: 0.000032,
      usage: { inputTokens: 10, outputTokens: 4 },
      exit: { code: 0, signal: null },
      attempts: 1,
      acceptedAt: reply.acceptedAt,
      heldMs: 0,
      credential: { id: 'standing', generation: 1 },
    });
    const { acceptedAt, startedAt = 0, endedAt, closedAt } = outcome;
    expect([acceptedAt, startedAt, endedAt, closedAt]).toEqual(
      [acceptedAt, startedAt, endedAt, closedAt].toSorted((a, b) => a - b),
    );

    const states = client.frames.flatMap((frame) => (frame.type === 'state' ? [frame] : []));
    expect(states.map(({ state, at }) => [state, at])).toEqual([
      ['starting', acceptedAt],
      ['running', startedAt],
      ['ending', endedAt],
    ]);
    const { stdout, stderr } = await readOutput(client, 'good');
    expect(stdout.lines.map((line) => (JSON.parse(line) as { type: string }).type)).toEqual([
      'system',
      'assistant',
      'result',
    ]);
    expect(stderr.lines).toEqual([]);
    expect(states.at(-1)).toMatchObject({
      verdict: { status: 'succeeded', reason: 'completed', at: endedAt },
      end: { attempt: 1, stdout: stdout.frames.at(-1)?.end, stderr: 0 },
    });
  });

  it('frees its slot before its outcome is sent, so the next dispatch is admitted', async () => {
    await using sidecar = await startSidecar({ maxExecutions: 1 });
    await using client = await RawClient.connect(sidecar);
    for (const id of ['one', 'two', 'three']) {
      await client.dispatch(id, 'hello');
      await client.outcome(id);
    }
    expect(await client.request('status')).toMatchObject({
      counts: { live: 0, maxExecutions: 1, unacknowledged: 3 },
    });
  });

  it.each<[string, FakeStep[], object]>([
    ['exits well without a result', [{ do: 'init' }], { reason: 'no_result', exit: { code: 0, signal: null } }],
    [
      'exits badly without a result',
      [{ do: 'exit', code: 3 }],
      { reason: 'crashed', message: expect.stringContaining('3') as string },
    ],
    ['dies of a signal', [{ do: 'kill', signal: 'SIGKILL' }], { reason: 'crashed', exit: { signal: 'SIGKILL' } }],
    [
      'calls its error a success',
      [{ do: 'result', is_error: true, result: 'It broke.' }],
      { reason: 'agent_error', message: 'It broke.' },
    ],
    [
      'uses up its turns',
      [{ do: 'result', subtype: 'error_max_turns', errors: ['Reached the maximum.'] }],
      { reason: 'max_turns' },
    ],
  ])('is none when it %s (O11)', async (_what, steps, outcome) => {
    await using sidecar = await startSidecar();
    await using client = await RawClient.connect(sidecar);
    await client.dispatch('bad', steps);
    const received = await client.outcome('bad');
    expect(received).toMatchObject({ status: 'failed', ...outcome });
    expect(received).not.toHaveProperty('result');
  });
});

describe('a dispatch that is repeated', () => {
  it('is answered with the state of the execution; with another body it is a conflict (D8)', async () => {
    await using sidecar = await startSidecar();
    await using client = await RawClient.connect(sidecar);
    const go = join(temporaryFolder(), 'go');
    await client.dispatch('same', until(go), { labels: { a: '1', b: '2' } });
    await isRunning(client, 'same');
    // The order of keys is no part of the body.
    expect(await client.dispatch('same', until(go), { labels: { b: '2', a: '1' } })).toMatchObject({
      known: true,
      state: 'running',
    });
    expect(await client.refusedDispatch('same', 'another prompt')).toBe('execution_conflict');
    expect(await client.refusedDispatch('same', until(go), { timeoutMs: 5 })).toBe('execution_conflict');

    writeFileSync(go, '');
    const outcome = await client.outcome('same');
    await client.request('ack', { executionId: 'same' });
    const again = await client.dispatch('same', until(go), { labels: { a: '1', b: '2' } });
    expect(again).toMatchObject({ known: true, state: 'ended', outcome });
    expect(await client.refusedDispatch('same', 'another prompt')).toBe('execution_conflict');
  });

  it('five times, reordered with its cancel, on two connections starts one process at most (D2)', async () => {
    await using sidecar = await startSidecar({ maxExecutions: 50 });
    await using one = await RawClient.connect(sidecar);
    await using two = await RawClient.connect(sidecar);
    const folder = temporaryFolder();
    for (let cancelAt = 0; cancelAt <= 5; cancelAt++) {
      const id = `d2-${cancelAt}`;
      const started = join(folder, id);
      const prompt = fakeScript([{ do: 'touch', path: started, text: 'x' }, ...hanging]);
      for (let n = 0; n <= 5; n++) {
        const client = n % 2 === 0 ? one : two;
        client.send(
          n === cancelAt
            ? { type: 'cancel', id: `${id}-cancel`, executionId: id }
            : { type: 'dispatch', id: `${id}-${n}`, executionId: id, request: { prompt } },
        );
      }
      const outcome = await one.outcome(id);
      expect(outcome).toMatchObject({ status: 'cancelled', reason: 'requested' });
      expect(await two.outcome(id)).toEqual(outcome);
      expect(existsSync(started) ? readFileSync(started, 'utf8') : '').toMatch(/^x?$/);
      await one.settled();
      await two.settled();
      const replies = [...one.frames, ...two.frames].flatMap((frame) =>
        frame.type === 'reply' && frame.id.startsWith(`${id}-`) && frame.ok ? [frame.result] : [],
      );
      expect(replies).toHaveLength(6);
      expect(replies.filter((result) => result['known'] === false && 'acceptedAt' in result)).toHaveLength(1);
    }
    expect((await one.request('status')).counts.live).toBe(0);
  });
});

describe('at capacity', () => {
  it('a dispatch is refused, or recorded as skipped, as asked (D1)', async () => {
    await using sidecar = await startSidecar({ maxExecutions: 1 });
    await using client = await RawClient.connect(sidecar);
    const folder = temporaryFolder();
    await client.dispatch('first', until(join(folder, 'go')));
    const starts: FakeStep[] = [{ do: 'touch', path: join(folder, 'started') }, { do: 'result' }];

    expect(await client.refusedDispatch('second', starts)).toBe('at_capacity');
    expect(await client.refused('status', { executionId: 'second' })).toMatchObject({ code: 'unknown_execution' });
    expect(await client.dispatch('third', starts, { whenBusy: 'skip' })).toMatchObject({ state: 'ended' });
    expect(await client.outcome('third')).toMatchObject({ status: 'skipped', reason: 'at_capacity', attempts: 0 });
    expect(existsSync(join(folder, 'started'))).toBe(false);

    writeFileSync(join(folder, 'go'), '');
    await client.outcome('first');
    // A refusal leaves no trace, so the same id can be tried again.
    await client.dispatch('second', starts);
    expect(await client.outcome('second')).toMatchObject({ status: 'succeeded' });
  });

  it('without a credential nothing is admitted', async () => {
    await using sidecar = await startSidecar({ credential: null });
    await using client = await RawClient.connect(sidecar);
    expect((await client.waitFor('welcome')).generation).toBeNull();
    expect(await client.refusedDispatch('x', 'hello')).toBe('credential_missing');
    await client.dispatch('y', 'hello', { whenBusy: 'skip' });
    expect(await client.outcome('y')).toMatchObject({ status: 'skipped', reason: 'credential_missing' });
  });
});

describe('an outcome', () => {
  it('is sent to everybody, again on each new connection until it is acknowledged, and not after', async () => {
    await using sidecar = await startSidecar();
    await using first = await RawClient.connect(sidecar);
    await using second = await RawClient.connect(sidecar);
    await first.dispatch('kept', 'hello');
    const outcome = await first.outcome('kept');
    expect(await second.outcome('kept')).toEqual(outcome);
    await first.close();

    await using third = await RawClient.connect(sidecar);
    expect(await third.waitFor('snapshot')).toMatchObject({ executions: [{ executionId: 'kept', state: 'ended' }] });
    expect(await third.outcome('kept')).toEqual(outcome);
    await third.request('ack', { executionId: 'kept' });
    await third.request('ack', { executionId: 'kept' });

    await using fourth = await RawClient.connect(sidecar);
    await fourth.settled();
    expect(fourth.frames.map(({ type }) => type)).toEqual(['welcome', 'snapshot', 'reply']);
    expect(await fourth.waitFor('snapshot')).toMatchObject({ executions: [], more: false });
    expect(await fourth.request('status', { executionId: 'kept' })).toMatchObject({
      counts: { unacknowledged: 0 },
      execution: { state: 'ended', outcome },
    });
    const { stdout } = await readOutput(third, 'kept');
    expect(stdout.lines).toHaveLength(3);
  });

  it('of many executions is re-sent for each, and their snapshot comes in pages', async () => {
    await using sidecar = await startSidecar();
    await using first = await RawClient.connect(sidecar);
    const ids = Array.from({ length: 250 }, (_value, n) => `many-${n}`);
    for (const id of ids) first.send({ type: 'cancel', id, executionId: id });
    for (const id of ids) first.send({ type: 'dispatch', id, executionId: id, request: { prompt: 'x' } });
    await first.outcome('many-249');

    await using second = await RawClient.connect(sidecar);
    await second.outcome('many-249');
    const pages = second.frames.flatMap((frame) => (frame.type === 'snapshot' ? [frame] : []));
    expect(pages.map(({ executions, more }) => [executions.length, more])).toEqual([
      [100, true],
      [100, true],
      [50, false],
    ]);
    expect(pages.flatMap(({ executions }) => executions.map(({ executionId }) => executionId))).toEqual(ids);
    expect(second.frames.flatMap((frame) => (frame.type === 'outcome' ? [frame.outcome.executionId] : []))).toEqual(
      ids,
    );
  });
});
