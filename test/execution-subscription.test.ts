import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CURSOR_START, LIMITS } from '@outrigger/protocol';
import { type FakeStep } from '@outrigger/sdk/testing';
import { describe, expect, it } from 'vitest';
import { readOutput } from './support/output.js';
import { RawClient } from './support/raw-client.js';
import { startSidecar } from './support/sidecar.js';

const MIB = 1024 * 1024;

describe('a subscription', () => {
  const filled: FakeStep[] = [{ do: 'fill', lines: 1000, lineBytes: 1024 }, { do: 'result' }];

  it('sends while it has credit, overdraws it by one frame at most, and goes on when it gets more', async () => {
    await using sidecar = await startSidecar();
    await using client = await RawClient.connect(sidecar);
    await client.dispatch('run', filled);
    await client.outcome('run');
    const outputs = () => client.frames.filter(({ type }) => type === 'output').length;

    await client.request('subscribe', { subscription: 's', executionId: 'run', from: CURSOR_START, creditBytes: 0 });
    await client.settled();
    expect(outputs()).toBe(0);
    expect(await client.request('credit', { subscription: 's', bytes: 1 })).toEqual({ creditBytes: 1 });
    const first = await client.waitFor('output');
    expect(first.end - first.start).toBeGreaterThan(1);
    // What was overdrawn is to be paid back first.
    expect(await client.request('credit', { subscription: 's', bytes: 1 })).toEqual({ creditBytes: 0 });
    await client.settled();
    expect(outputs()).toBe(1);
    await client.request('credit', { subscription: 's', bytes: 2 * MIB });
    const { end } = await client.waitFor('outcome');
    await client.waitFor('output', (frame) => frame.end === end.stdout);
  });

  it('holds no more credit than creditBytesMax', async () => {
    await using sidecar = await startSidecar();
    await using client = await RawClient.connect(sidecar);
    await client.dispatch('run', [{ do: 'hang' }]);
    const from = CURSOR_START;
    await client.request('subscribe', { subscription: 's', executionId: 'run', from, creditBytes: 1e12 });
    expect(await client.request('credit', { subscription: 's', bytes: 1e12 })).toEqual({
      creditBytes: LIMITS.creditBytesMax,
    });
  });

  it('goes on on another connection from where a frame ended, wherever that was', async () => {
    await using sidecar = await startSidecar();
    await using client = await RawClient.connect(sidecar);
    await client.dispatch('run', [
      { do: 'fill', lines: 200, lineBytes: 1024 },
      { do: 'fill', lines: 2, lineBytes: 300_000 },
      { do: 'result' },
    ]);
    const whole = await readOutput(client, 'run');
    const text = whole.stdout.lines.join('\n');
    for (const { end } of whole.stdout.frames) {
      await using other = await RawClient.connect(sidecar);
      const rest = await readOutput(other, 'run', { ...CURSOR_START, stdout: end });
      expect(text.endsWith(rest.stdout.lines.join('\n'))).toBe(true);
      expect(Buffer.byteLength(rest.stdout.lines.join('\n'))).toBe(Math.max(0, Buffer.byteLength(text) - end));
    }
  });

  it('opens with hello, and one that cannot be opened is named instead, with its error, and costs no other', async () => {
    await using sidecar = await startSidecar();
    await using first = await RawClient.connect(sidecar);
    await first.dispatch('known', filled);
    await first.outcome('known');
    const at = { from: CURSOR_START, creditBytes: 8 * MIB };
    await using second = await RawClient.connect(sidecar, {
      cursors: [
        { subscription: 'a', executionId: 'known', ...at },
        { subscription: 'b', executionId: 'forgotten', ...at },
        { subscription: 'c', executionId: 'known', ...at, from: { ...CURSOR_START, stdout: 1e9 } },
        { subscription: 'd', executionId: 'known', ...at, from: { ...CURSOR_START, attempt: 2 } },
      ],
    });
    const { refused } = await second.waitFor('welcome');
    expect(refused).toMatchObject([
      { subscription: 'b', code: 'unknown_execution' },
      { subscription: 'c', code: 'invalid' },
      { subscription: 'd', code: 'invalid' },
    ]);
    expect(refused[1]?.message).toContain('behind the end of the output');
    const { end } = await second.waitFor('outcome');
    await second.waitFor('output', (frame) => frame.subscription === 'a' && frame.end === end.stdout);
    expect(await second.refused('unsubscribe', { subscription: 'b' })).toMatchObject({ code: 'unknown_subscription' });
  });

  it('of a name in use is moved, and one that ended sends nothing more', async () => {
    await using sidecar = await startSidecar();
    await using client = await RawClient.connect(sidecar);
    await client.dispatch('run', filled);
    const { end } = await client.waitFor('outcome');
    const subscribe = async (stdout: number, creditBytes: number) =>
      client.request('subscribe', {
        subscription: 's',
        executionId: 'run',
        from: { ...CURSOR_START, stdout },
        creditBytes,
      });
    await subscribe(0, 0);
    await subscribe(end.stdout - 10, MIB);
    expect(await client.waitFor('output')).toMatchObject({ start: end.stdout - 10, end: end.stdout });
    await subscribe(0, 0);
    await client.request('unsubscribe', { subscription: 's' });
    expect(await client.refused('credit', { subscription: 's', bytes: MIB })).toMatchObject({
      code: 'unknown_subscription',
    });
    expect(client.frames.filter(({ type }) => type === 'output')).toHaveLength(1);
  });

  it('can be made before there is any output, and of an execution that never had any', async () => {
    await using sidecar = await startSidecar();
    await using client = await RawClient.connect(sidecar);
    const go = join(sidecar.stateDir, 'go');
    await client.dispatch('run', [{ do: 'waitForFile', path: go }, ...filled]);
    const reading = readOutput(client, 'run');
    writeFileSync(go, '');
    expect((await reading).stdout.lines).toHaveLength(1001);

    await client.request('cancel', { executionId: 'never' });
    await client.dispatch('never', 'hello');
    expect((await readOutput(client, 'never')).stdout.frames).toEqual([]);
  });
});
