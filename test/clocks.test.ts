import { type FakeStep } from '@outrigger/sdk/testing';
import { describe, expect, it } from 'vitest';
import { RawClient } from './support/raw-client.js';
import { hanging, isRunning, temporaryFolder, until } from './support/runs.js';
import { startSidecar } from './support/sidecar.js';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Events of Claude Code's stream around a tool and a background task. */
const toolStarts: FakeStep = {
  do: 'event',
  event: {
    type: 'assistant',
    message: { model: 'm', content: [{ type: 'tool_use', id: 't', name: 'Bash', input: {} }] },
  },
};
const toolEnds: FakeStep = {
  do: 'event',
  event: { type: 'user', message: { content: [{ type: 'tool_result', tool_use_id: 't', content: 'done' }] } },
};
const taskStarts: FakeStep = { do: 'event', event: { type: 'system', subtype: 'task_started', task_id: 'k' } };
const taskEnds: FakeStep = { do: 'event', event: { type: 'system', subtype: 'task_notification', task_id: 'k' } };

async function run(steps: FakeStep[], options: object = {}) {
  await using sidecar = await startSidecar();
  await using client = await RawClient.connect(sidecar);
  await client.dispatch('run', steps, options);
  return await client.outcome('run');
}

describe('the idle clock', () => {
  it('ends a run that gives no sign of life, dated at its deadline', async () => {
    const outcome = await run(hanging, { idleTimeoutMs: 300, graceMs: 100 });
    expect(outcome).toMatchObject({ status: 'timed_out', reason: 'idle', survivors: 0 });
    expect(outcome.endedAt - (outcome.startedAt ?? 0)).toBeGreaterThanOrEqual(300);
  });

  it('is set back by output', async () => {
    const line: FakeStep[] = [
      { do: 'write', text: 'still here\n' },
      { do: 'sleep', ms: 150 },
    ];
    const steps: FakeStep[] = [...line, ...line, ...line, ...line, { do: 'result' }];
    expect(await run(steps, { idleTimeoutMs: 400 })).toMatchObject({ status: 'succeeded' });
  });

  it('takes a running tool for a sign of life', async () => {
    const steps: FakeStep[] = [toolStarts, { do: 'sleep', ms: 700 }, toolEnds, { do: 'result' }];
    expect(await run(steps, { idleTimeoutMs: 300 })).toMatchObject({ status: 'succeeded' });
  });

  it('takes it so for no longer than toolStallMs', async () => {
    const outcome = await run([toolStarts, { do: 'hang' }], { idleTimeoutMs: 200, toolStallMs: 300, graceMs: 100 });
    expect(outcome).toMatchObject({ status: 'timed_out', reason: 'idle' });
    expect(outcome.endedAt - (outcome.startedAt ?? 0)).toBeGreaterThanOrEqual(500);
  });
});

describe('after the final result', () => {
  it('a process that hangs is killed when its grace is over, and has succeeded (O12)', async () => {
    const outcome = await run(
      [{ do: 'result', result: 'done' }, { do: 'ignoreSignals', signals: ['SIGTERM'] }, { do: 'hang' }],
      {
        graceMs: 200,
      },
    );
    expect(outcome).toMatchObject({ status: 'succeeded', result: 'done', survivors: 0, exit: { signal: 'SIGKILL' } });
    expect(outcome.closedAt - outcome.endedAt).toBeGreaterThanOrEqual(200);
  });

  it('of a turn with a background task the run goes on, and the second result counts (O13)', async () => {
    const steps: FakeStep[] = [
      { do: 'init' },
      taskStarts,
      { do: 'result', result: 'first' },
      { do: 'sleep', ms: 400 },
      taskEnds,
      { do: 'init' },
      { do: 'sleep', ms: 400 },
      { do: 'assistant', text: 'second' },
      { do: 'result', result: 'second' },
    ];
    expect(await run(steps, { graceMs: 100 })).toMatchObject({ status: 'succeeded', result: 'second' });
  });

  it('a crash before the second result is a failure (O13)', async () => {
    const steps: FakeStep[] = [
      taskStarts,
      { do: 'result', result: 'first' },
      taskEnds,
      { do: 'init' },
      { do: 'exit', code: 3 },
    ];
    expect(await run(steps)).toMatchObject({ status: 'failed', reason: 'crashed', exit: { code: 3 } });
  });

  it('a background task is waited for no longer than backgroundTimeoutMs', async () => {
    const outcome = await run([taskStarts, { do: 'result', result: 'first' }, { do: 'hang' }], {
      backgroundTimeoutMs: 200,
      graceMs: 100,
    });
    expect(outcome).toMatchObject({ status: 'succeeded', result: 'first' });
  });
});

describe('the queue', () => {
  it('hands slots on in the order of acceptance (D1)', async () => {
    await using sidecar = await startSidecar({ maxExecutions: 1 });
    await using client = await RawClient.connect(sidecar);
    const gate = join(temporaryFolder(), 'gate');
    await client.dispatch('first', until(gate));
    const second = await client.dispatch('second', [{ do: 'result' }], { whenBusy: 'queue' });
    await client.dispatch('third', [{ do: 'result' }], { whenBusy: 'queue' });
    expect(second).toMatchObject({ state: 'queued' });
    expect(await client.request('status')).toMatchObject({ counts: { live: 1, queued: 2 } });
    await isRunning(client, 'first');
    writeFileSync(gate, '');
    expect(await client.outcome('second')).toMatchObject({ status: 'succeeded' });
    expect(await client.outcome('third')).toMatchObject({ status: 'succeeded' });
    const started = client.frames.flatMap((frame) =>
      frame.type === 'state' && frame.state === 'running' ? [frame.executionId] : [],
    );
    expect(started).toEqual(['first', 'second', 'third']);
  });

  it('does not eat the time of the run: that begins with its process (O16)', async () => {
    await using sidecar = await startSidecar({ maxExecutions: 1 });
    await using client = await RawClient.connect(sidecar);
    await client.dispatch('first', [{ do: 'sleep', ms: 3500 }, { do: 'result' }]);
    // Waiting and running together take longer than the run alone may.
    await client.dispatch('second', [{ do: 'sleep', ms: 1000 }, { do: 'result' }], {
      whenBusy: 'queue',
      timeoutMs: 4000,
    });
    const outcome = await client.outcome('second');
    expect(outcome).toMatchObject({ status: 'succeeded' });
    expect(outcome.endedAt - outcome.acceptedAt).toBeGreaterThan(4000);
  });

  it('ends a wait that is too long, is cancelled or drained, with nothing started', async () => {
    await using sidecar = await startSidecar({ maxExecutions: 1 });
    await using client = await RawClient.connect(sidecar);
    await client.dispatch('busy', hanging);
    const queue = { whenBusy: 'queue' } as const;
    await client.dispatch('late', hanging, { ...queue, queueTimeoutMs: 100 });
    await client.dispatch('unwanted', hanging, queue);
    await client.dispatch('stranded', hanging, queue);
    expect(await client.outcome('late')).toMatchObject({ status: 'timed_out', reason: 'queue', attempts: 0 });
    await client.request('cancel', { executionId: 'unwanted' });
    expect(await client.outcome('unwanted')).toMatchObject({ status: 'cancelled', reason: 'requested', attempts: 0 });
    sidecar.process.kill('SIGTERM');
    expect(await client.outcome('stranded')).toMatchObject({ status: 'skipped', reason: 'draining', attempts: 0 });
  });
});
