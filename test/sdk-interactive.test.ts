import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { turn } from './support/conversation.js';
import { collect, connectFleet, script } from './support/fleet.js';
import { startRestartable } from './support/restart.js';
import { temporaryFolder } from './support/runs.js';
import { startSidecar } from './support/sidecar.js';
import { TcpProxy } from './support/tcp-proxy.js';

const aWireError = (code: string, data: object = {}) =>
  expect.objectContaining({ name: 'WireError', code, data: expect.objectContaining(data) as object }) as Error;

describe('an execution that is talked to', () => {
  it('answers turn by turn, and ends when it is told to', async () => {
    await using sidecar = await startSidecar();
    await using host = await connectFleet(sidecar);
    const execution = await host.agent.dispatch({ prompt: script(...turn('zero')), interactive: true });
    const first = await execution.send(script(...turn('one')));
    expect(first.known).toBe(false);
    expect(await execution.send(script(...turn('one')), first)).toEqual({ ...first, known: true });
    const failing = script({ do: 'init' }, { do: 'assistant', text: 'lost' }, { do: 'result', is_error: true });
    await execution.send(failing, { messageId: 'failing' });
    await execution.send(script(...turn('two', { do: 'assistant', text: 'and' })));
    await execution.end();
    await execution.end();
    expect(await execution.outcome).toMatchObject({ status: 'succeeded', result: 'two' });
    // Nothing of the turn that has failed.
    expect(await collect(execution.text())).toEqual(['zero', 'one', 'and', 'two']);
    expect(await collect(execution.text({ commit: 'message' }))).toEqual(['zero', 'one', 'and', 'two']);
  });

  it('yields what a turn said while the next one goes on', async () => {
    await using sidecar = await startSidecar();
    await using host = await connectFleet(sidecar);
    const go = join(temporaryFolder(), 'go');
    const execution = await host.agent.dispatch({ prompt: script(...turn('zero')), interactive: true });
    await execution.send(script(...turn('one', { do: 'waitForFile', path: go })));
    const texts = execution.text();
    expect((await texts.next()).value).toBe('zero');
    writeFileSync(go, '');
    expect((await texts.next()).value).toBe('one');
    await execution.end();
    expect((await texts.next()).done).toBe(true);
  });

  it('says why it cannot be told something', async () => {
    await using sidecar = await startSidecar();
    await using host = await connectFleet(sidecar);
    const deaf = await host.agent.dispatch({ prompt: script({ do: 'hang' }) });
    await expect(deaf.send('hello')).rejects.toThrow(aWireError('not_interactive'));
    await expect(deaf.end()).rejects.toThrow(aWireError('not_interactive'));
    await deaf.cancel();
    const execution = await host.agent.dispatch({ prompt: script({ do: 'hang' }), interactive: true });
    await expect(execution.send('')).rejects.toMatchObject({ code: 'invalid' });
    await expect(execution.send('x'.repeat(61_440))).rejects.toMatchObject({ code: 'invalid' });
    await expect(execution.send('x', { messageId: 'no id' })).rejects.toMatchObject({ code: 'invalid' });
    await execution.send('x', { messageId: 'm' });
    await expect(execution.send('y', { messageId: 'm' })).rejects.toThrow(aWireError('message_conflict'));
    for (let n = 1; n < 100; n++) await execution.send('x');
    await expect(execution.send('x')).rejects.toThrow(aWireError('limit_exceeded', { limit: 'messagesPendingMax' }));
    await execution.end();
    await expect(execution.send('x')).rejects.toThrow(aWireError('input_ended'));
    await execution.cancel();
    expect(await execution.outcome).toMatchObject({ status: 'cancelled' });
  });

  it('is told once what is sent again because connections are lost, and the sidecar is killed (R1)', async () => {
    await using sidecar = await startRestartable();
    await using proxy = await TcpProxy.to(sidecar.url);
    await using host = await connectFleet(sidecar, { url: proxy.url });
    const execution = await host.agent.dispatch({ prompt: script(...turn('zero')), interactive: true });
    const texts = Array.from({ length: 10 }, (_, n) => `turn ${n}`);
    for (const [n, text] of texts.entries()) {
      const sending = execution.send(script(...turn(text)));
      if (n % 2 === 0) proxy.cut();
      if (n % 5 === 4) await sidecar.restart();
      await sending;
    }
    await execution.end();
    expect(await execution.outcome).toMatchObject({ status: 'succeeded', result: 'turn 9' });
    expect(await collect(execution.text())).toEqual(['zero', ...texts]);
  });

  it('can be told something by another host that only knows its id', async () => {
    await using sidecar = await startSidecar();
    await using first = await connectFleet(sidecar);
    await using second = await connectFleet(sidecar);
    const request = { executionId: 'shared', prompt: script(...turn('zero')), interactive: true };
    const execution = await first.agent.dispatch(request);
    const same = await second.agent.dispatch(request);
    await same.send(script(...turn('one')), { messageId: 'm' });
    expect(await execution.send(script(...turn('one')), { messageId: 'm' })).toMatchObject({ known: true });
    await execution.end();
    expect(await same.outcome).toMatchObject({ status: 'succeeded', result: 'one' });
  });
});
