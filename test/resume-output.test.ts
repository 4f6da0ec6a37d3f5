import { type Cursor, CURSOR_START, LIMITS } from '@outrigger/protocol';
import { type ExecutionEvent } from '@outrigger/sdk';
import { fakeScript, type FakeStep, refusal, startStandInApi, text } from '@outrigger/sdk/testing';
import { describe, expect, it } from 'vitest';
import { collect, connectFleet } from './support/fleet.js';
import { GOOD, resumable } from './support/resumed.js';
import { isWaiting, refused, SECOND } from './support/runs.js';
import { startSidecar } from './support/sidecar.js';

const MORE: FakeStep[] = [
  { do: 'fill', lines: 20, lineBytes: 20_000 },
  { do: 'fill', lines: 10, to: 'stderr' },
];
/** Its last line has no end. */
const CUT: FakeStep[] = [...MORE, ...refused, { do: 'write', text: 'in the middle of' }, { do: 'exit', code: 1 }];

type Line = Extract<ExecutionEvent, { type: 'message' | 'stderr' }>;

const isLine = (event: ExecutionEvent): event is Line => event.type === 'message' || event.type === 'stderr';
const textOf = (lines: readonly Line[], attempt: number, type: Line['type']) =>
  lines.filter((line) => line.cursor.attempt === attempt && line.type === type).map(({ line }) => line);

describe('the output of several attempts', () => {
  it('comes one attempt after the other, and goes on behind any line of any of them (T4)', async () => {
    await using sidecar = await startSidecar();
    await using host = await connectFleet(sidecar);
    host.fleet.on('credentialNeeded', ({ generation }) => {
      const secret = `sk-ant-oat01-${generation}`;
      void host.agent.swapCredential({ ...SECOND, secret }, { ifGeneration: generation });
    });
    const resumePrompt = fakeScript([...MORE, ...GOOD]);
    const execution = await host.agent.dispatch({
      prompt: fakeScript(CUT),
      onCredentialFailure: 'resume',
      resumePrompt,
    });
    const lines = (await collect(execution.events({ creditBytes: 30_000 }))).filter(isLine);
    expect(await execution.outcome).toMatchObject({ status: 'succeeded', attempts: 2 });
    const attempts = lines.map(({ cursor }) => cursor.attempt);
    expect(attempts).toEqual(attempts.toSorted());
    expect(textOf(lines, 1, 'message')).toHaveLength(20 + refused.length + 1);
    expect(textOf(lines, 1, 'message').at(-1)).toBe('in the middle of');
    expect(textOf(lines, 2, 'message')).toHaveLength(20 + GOOD.length);
    for (const attempt of [1, 2]) expect(textOf(lines, attempt, 'stderr')).toHaveLength(10);

    for (const [index, { cursor }] of lines.entries()) {
      const rest = (await collect(execution.events({ from: cursor }))).filter(isLine);
      for (const attempt of [1, 2]) {
        for (const log of ['message', 'stderr'] as const) {
          const seen = textOf(lines.slice(0, index + 1), attempt, log);
          expect([...seen, ...textOf(rest, attempt, log)]).toEqual(textOf(lines, attempt, log));
        }
      }
    }
  });

  it('can be read from any attempt there is, and from none that is not there', async () => {
    await using it = await resumable();
    let subscriptions = 0;
    const at = (from: Cursor, creditBytes = LIMITS.creditBytesMax) => {
      const subscription = `s${++subscriptions}`;
      return { subscription, executionId: 'run', from, creditBytes };
    };
    const second = { attempt: 2, stdout: 0, stderr: 0 };
    await it.dispatch('run', CUT, GOOD);
    expect((await it.client.refused('subscribe', at(second))).message).toContain('attempt 2 does not exist');
    await isWaiting(it.client, 'run');
    expect((await it.client.refused('subscribe', at(second))).code).toBe('invalid');
    // It has read all there is, and goes on by itself.
    const whole = at(CURSOR_START);
    await it.client.request('subscribe', whole);
    await it.client.waitFor('output', ({ lines }) => lines.at(-1) === 'in the middle of');
    await it.swap();
    const { end } = await it.client.waitFor('outcome');
    expect(end.attempt).toBe(2);
    await it.client.waitFor('output', (frame) => frame.attempt === 2 && frame.end === end.stdout);

    const from2 = at(second);
    await it.client.request('subscribe', from2);
    const isOf = (subscription: string) => (frame: { subscription: string }) => frame.subscription === subscription;
    expect(await it.client.waitFor('output', isOf(from2.subscription))).toMatchObject({ attempt: 2, start: 0 });
    for (const bad of [
      { ...end, attempt: 3 },
      { ...end, stdout: end.stdout + 1 },
      { ...CURSOR_START, stderr: 1e9 },
    ]) {
      expect((await it.client.refused('subscribe', at(bad))).code).toBe('invalid');
    }
  });

  it('ends with the last attempt that printed anything', async () => {
    await using it = await resumable();
    await it.dispatch('run', refused, [{ do: 'exit', code: 0 }]);
    await isWaiting(it.client, 'run');
    await it.swap();
    const { end, outcome } = await it.client.waitFor('outcome');
    expect(outcome).toMatchObject({ reason: 'no_result', attempts: 2 });
    expect(end.attempt).toBe(1);
    expect(end.stdout).toBeGreaterThan(0);
  });

  it('begins with the first attempt that printed anything', async () => {
    await using api = await startStandInApi({
      respond: ({ secret }) => (secret === SECOND.secret ? text('Done.') : refusal.expired()),
    });
    await using it = await resumable({ mode: 'gateway', upstream: api.url });
    const silent: FakeStep[] = [{ do: 'request' }];
    await it.dispatch('run', silent, [{ do: 'init' }, { do: 'request' }, { do: 'result' }]);
    await it.client.request('subscribe', {
      subscription: 's',
      executionId: 'run',
      from: CURSOR_START,
      creditBytes: LIMITS.creditBytesMax,
    });
    await isWaiting(it.client, 'run');
    await it.swap();
    const { end } = await it.client.waitFor('outcome');
    await it.client.waitFor('output', (frame) => frame.end === end.stdout);
    const frames = it.client.frames.filter(({ type }) => type === 'output');
    expect(frames.map((frame) => 'attempt' in frame && frame.attempt)).toEqual(frames.map(() => 2));
  });
});
