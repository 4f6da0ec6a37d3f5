import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ExecutionEvent, type MessageEvent } from '@outrigger/sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { collect, connectFleet, script } from './support/fleet.js';
import { startSidecar, type TestSidecar } from './support/sidecar.js';

let sidecar: TestSidecar;
let folder: string;
let files = 0;
beforeAll(async () => {
  sidecar = await startSidecar({ maxExecutions: 8 });
  folder = mkdtempSync(join(tmpdir(), 'outrigger-sdk-'));
});
afterAll(async () => {
  await sidecar[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

/** A gate the fake CLI waits at. */
function gate() {
  const path = join(folder, `gate-${++files}`);
  return { step: { do: 'waitForFile', path } as const, open: () => writeFileSync(path, '') };
}

const lines = (events: ExecutionEvent[]): string[] =>
  events.filter((event): event is MessageEvent => event.type === 'message').map((event) => event.line);

describe('an execution', () => {
  it('yields its states, its messages and, last, its outcome; text and promises agree', async () => {
    await using host = await connectFleet(sidecar);
    const execution = await host.agent.dispatch({
      prompt: script(
        { do: 'init' },
        { do: 'write', to: 'stderr', text: 'careful\n' },
        { do: 'assistant', text: 'hi' },
        { do: 'result' },
      ),
    });
    const events = await collect(execution);
    const outcome = await execution.outcome;

    expect(outcome).toMatchObject({
      executionId: execution.id,
      status: 'succeeded',
      reason: 'completed',
      result: 'hi',
    });
    expect(events.at(-1)).toEqual({ type: 'outcome', outcome });
    expect(events.filter((event) => event.type === 'outcome')).toHaveLength(1);
    expect(events.filter((event) => event.type === 'stderr')).toMatchObject([{ line: 'careful' }]);
    const messages = events.filter((event) => event.type === 'message');
    expect(messages.map((event) => event.message?.['type'])).toEqual(['system', 'assistant', 'result']);
    expect(messages.every((event) => !event.quarantined)).toBe(true);
    expect(events.filter((event) => event.type === 'state').map((event) => event.state)).toContain('ending');
    expect(await execution.decided).toMatchObject({ status: 'succeeded', reason: 'completed' });
    expect(await collect(execution.text())).toEqual(['hi']);
    expect(await collect(execution.text({ commit: 'message' }))).toEqual(['hi']);
  });

  it('says where it is in its life, also to a host that heard of it later', async () => {
    const end = gate();
    await using host = await connectFleet(sidecar);
    const execution = await host.agent.dispatch({ prompt: script({ do: 'init' }, end.step, { do: 'result' }) });
    await expect.poll(() => execution.state).toBe('running');
    await using later = await connectFleet(sidecar);
    expect((await later.fleet.execution(execution.id)).state).toBe('running');
    end.open();
    await execution.outcome;
    expect(execution.state).toBe('ended');
    expect((await host.fleet.execution(execution.id)).state).toBe('ended');
  });

  it('has an outcome even when nobody reads its output', async () => {
    await using host = await connectFleet(sidecar);
    const execution = await host.agent.dispatch({ prompt: script({ do: 'fill', bytes: 5_000_000 }, { do: 'result' }) });
    expect(await execution.outcome).toMatchObject({ status: 'succeeded' });
  });

  it('is read by each iterator from the beginning, early or late, fast or slow, in the same order (T3)', async () => {
    await using host = await connectFleet(sidecar);
    const { step, open } = gate();
    const prompt = script(
      { do: 'fill', lines: 400, lineBytes: 500 },
      step,
      { do: 'fill', lines: 400, lineBytes: 500 },
      { do: 'result' },
    );
    const execution = await host.agent.dispatch({ prompt });
    const early = collect(execution);
    const slow = execution.events({ creditBytes: 1 });
    const first = await slow.next();
    open();
    await execution.outcome;
    const late = await collect(execution);
    const rest = await collect(slow);

    expect(lines(late)).toHaveLength(801);
    expect(lines(await early)).toEqual(lines(late));
    expect(lines([first.value as ExecutionEvent, ...rest])).toEqual(lines(late));
    expect(rest.at(-1)?.type).toBe('outcome');
  });

  it('goes on behind any event whose cursor is given', async () => {
    await using host = await connectFleet(sidecar);
    const prompt = script(
      { do: 'fill', lines: 50, lineBytes: 100 },
      { do: 'assistant', text: 'ünï\u0000code' },
      { do: 'result' },
    );
    const execution = await host.agent.dispatch({ prompt });
    const all = (await collect(execution)).filter((event) => event.type === 'message');
    for (const index of [0, 17, 49, 50, 51]) {
      const { cursor } = all[index] ?? expect.fail();
      expect(lines(await collect(execution.events({ from: cursor })))).toEqual(lines(all.slice(index + 1)));
    }
  });

  it('delivers a line far above the credit in one piece', async () => {
    await using host = await connectFleet(sidecar);
    const text = 'long '.repeat(400_000);
    const execution = await host.agent.dispatch({
      prompt: script({ do: 'fill', lines: 1, lineBytes: 3_000_000 }, { do: 'result', result: text.slice(0, 10) }),
    });
    const [line] = lines(await collect(execution.events({ creditBytes: 1000 })));
    expect(line).toHaveLength(2_999_999);
  });

  it('lets go of an iterator that waits, and leaves the others alone', async () => {
    await using host = await connectFleet(sidecar);
    const { step, open } = gate();
    const execution = await host.agent.dispatch({ prompt: script({ do: 'init' }, step, { do: 'result' }) });
    const other = collect(execution);
    const iterator = execution.events();
    let event = await iterator.next();
    while (event.value?.type !== 'message') event = await iterator.next();
    const waiting = iterator.next();
    await iterator.return();
    // A state may have come in between; after it there is nothing more.
    await waiting;
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
    open();
    expect((await other).at(-1)?.type).toBe('outcome');
  });

  it('keeps error text that stands before its error result out of its text (T1)', async () => {
    await using host = await connectFleet(sidecar);
    const text = 'OAuth token has expired';
    const { step, open } = gate();
    const execution = await host.agent.dispatch({
      prompt: script(
        { do: 'init' },
        { do: 'assistant', text: 'first' },
        { do: 'result' },
        { do: 'assistant', text, error: 'authentication_failed' },
        step,
        { do: 'result', is_error: true, result: text },
      ),
    });
    const texts = collect(execution.text());
    const messages = collect(execution.text({ commit: 'message' }));
    open();
    const events = await collect(execution);
    const quarantined = events.filter((event) => event.type === 'message' && event.quarantined);
    expect(await execution.outcome).toMatchObject({ status: 'failed' });
    expect(quarantined).toHaveLength(2);
    expect(await texts).toEqual(['first']);
    expect(await messages).toEqual(['first']);
  });

  it('commits nothing of a turn that was cancelled, and delivers nothing behind the verdict (T2)', async () => {
    await using host = await connectFleet(sidecar);
    const execution = await host.agent.dispatch({
      prompt: script(
        {
          do: 'onSignal',
          signal: 'SIGTERM',
          steps: [{ do: 'assistant', text: 'too late' }, { do: 'result' }, { do: 'exit', code: 0 }],
        },
        { do: 'assistant', text: 'half an answer' },
        { do: 'hang' },
      ),
    });
    const events: ExecutionEvent[] = [];
    for await (const event of execution) {
      events.push(event);
      if (event.type === 'message') await execution.cancel();
    }
    expect(await execution.outcome).toMatchObject({ status: 'cancelled', reason: 'requested' });
    expect(lines(events).join()).not.toContain('too late');
    expect(await collect(execution.text())).toEqual([]);
  });

  it('is refused before it is sent when a field is wrong, and names the field', async () => {
    await using host = await connectFleet(sidecar);
    await expect(host.agent.dispatch({ prompt: 'x', timeoutMs: -1 })).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringContaining('timeoutMs') as unknown,
    });
    let nested: Record<string, unknown> = {};
    for (let depth = 0; depth < 5000; depth++) nested = { nested };
    await expect(host.agent.dispatch({ prompt: 'x', settings: nested })).rejects.toMatchObject({ code: 'invalid' });
    const huge = 'x'.repeat(9 * 1024 * 1024);
    await expect(host.agent.dispatch({ prompt: huge })).rejects.toMatchObject({ code: 'frame_too_large' });
    expect(await host.agent.status()).toMatchObject({ agentId: host.agent.id });
  });

  it('keeps the code of a refusal, and leaves no record of what never was', async () => {
    await using host = await connectFleet(sidecar);
    const first = await host.agent.dispatch({ executionId: 'taken', prompt: script({ do: 'result' }) });
    const again = await host.agent.dispatch({ executionId: 'taken', prompt: script({ do: 'result' }) });
    expect(await again.outcome).toEqual(await first.outcome);
    await expect(host.agent.dispatch({ executionId: 'taken', prompt: 'other' })).rejects.toMatchObject({
      name: 'WireError',
      code: 'execution_conflict',
    });
    await expect(host.fleet.execution('never-was')).rejects.toMatchObject({ code: 'unknown_execution' });
  });
});
