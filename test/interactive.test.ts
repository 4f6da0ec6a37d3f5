import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LIMITS } from '@outrigger/protocol';
import { fakeScript } from '@outrigger/sdk/testing';
import { describe, expect, it } from 'vitest';
import { conversation, turn } from './support/conversation.js';
import { readOutput } from './support/output.js';
import { RawClient } from './support/raw-client.js';
import { hanging, hasPrinted, isRunning, temporaryFolder, until } from './support/runs.js';
import { startSidecar } from './support/sidecar.js';

const HOUR_MS = 3_600_000;
/** A turn that lasts until the file is there. */
const waiting = (text: string, path: string) => turn(text, { do: 'waitForFile', path });

describe('an interactive run', () => {
  it('has a stdin that does not end, and ends well when nobody has said anything for its idle time', async () => {
    await using sidecar = await startSidecar();
    await using client = await RawClient.connect(sidecar);
    expect((await client.waitFor('welcome')).capabilities).toContain('interactive');
    const talk = conversation(client, 'silent');
    await talk.dispatch(turn('Hello.', { do: 'printEnv' }), { interactiveIdleMs: 300 });
    const outcome = await talk.outcome();
    expect(outcome).toMatchObject({ status: 'succeeded', reason: 'completed', result: 'Hello.', survivors: 0 });
    expect(outcome.exit).toEqual({ code: null, signal: 'SIGTERM' });
    expect(outcome.endedAt - (outcome.startedAt ?? 0)).toBeGreaterThanOrEqual(300);
    const { stdout } = await readOutput(client, 'silent');
    const env = stdout.lines.map((line) => JSON.parse(line) as object)[1];
    expect(env).toMatchObject({ subtype: 'fake_env', stdio: { stdin: 'pipe', stdout: 'file', stderr: 'file' } });
    expect(env).toHaveProperty('argv', expect.arrayContaining(['--input-format=stream-json']));
  });

  it('is told each message once, in the order they were taken, and ends when all are answered', async () => {
    await using sidecar = await startSidecar();
    await using client = await RawClient.connect(sidecar);
    await using other = await RawClient.connect(sidecar);
    const go = join(temporaryFolder(), 'go');
    const talk = conversation(client, 'talk');
    await talk.dispatch(waiting('zero', go));
    const { results, ended } = await talk.follow();
    await isRunning(client, 'talk');
    for (const name of ['one', 'two', 'three']) {
      expect(await talk.send(name, turn(name))).toEqual({ known: false, state: 'running' });
    }
    expect(await conversation(other, 'talk').send('two', turn('two'))).toEqual({ known: true, state: 'running' });
    expect(await talk.refusedSend('two', turn('other'))).toBe('message_conflict');
    writeFileSync(go, '');
    await ended(4);
    await talk.send('four', turn('four'));
    await talk.end();
    expect(await talk.refusedSend('five', turn('five'))).toBe('input_ended');
    expect(await talk.send('one', turn('one'))).toMatchObject({ known: true });
    expect(await talk.outcome()).toMatchObject({ status: 'succeeded', result: 'four', attempts: 1, survivors: 0 });
    await ended(5);
    expect(results).toEqual(['zero', 'one', 'two', 'three', 'four']);
  });

  it('takes messages while it waits for a slot, and ends at once where its input was ended before it began', async () => {
    await using sidecar = await startSidecar({ maxExecutions: 1 });
    await using client = await RawClient.connect(sidecar);
    const go = join(temporaryFolder(), 'go');
    await client.dispatch('first', until(go));
    const talk = conversation(client, 'queued');
    await talk.dispatch(turn('zero'), { whenBusy: 'queue' });
    expect(await talk.send('one', turn('one'))).toEqual({ known: false, state: 'queued' });
    await talk.send('two', turn('two'));
    expect(await talk.end()).toEqual({ state: 'queued' });
    const { results, ended } = await talk.follow();
    writeFileSync(go, '');
    expect(await talk.outcome()).toMatchObject({ status: 'succeeded', result: 'two' });
    await ended(3);
    expect(results).toEqual(['zero', 'one', 'two']);
  });

  it('goes on after a turn that has failed, and fails where the last one has', async () => {
    await using sidecar = await startSidecar();
    await using client = await RawClient.connect(sidecar);
    const failing = turn('Prompt is too long')
      .slice(0, 1)
      .concat({ do: 'result', is_error: true, result: 'It broke.' });
    for (const [id, last, outcome] of [
      ['mended', turn('mended'), { status: 'succeeded', result: 'mended' }],
      ['broken', failing, { status: 'failed', reason: 'agent_error', message: 'It broke.' }],
    ] as const) {
      const talk = conversation(client, id);
      await talk.dispatch(failing);
      await talk.send('one', last);
      await talk.end();
      expect(await talk.outcome()).toMatchObject(outcome);
    }
  });

  it('is not idle while it waits for a message, and is in a turn that stands still', async () => {
    await using sidecar = await startSidecar();
    await using client = await RawClient.connect(sidecar);
    const limits = { idleTimeoutMs: 300, interactiveIdleMs: 1200 };
    const talk = conversation(client, 'patient');
    await talk.dispatch(turn('zero'), limits);
    expect(await talk.outcome()).toMatchObject({ status: 'succeeded', result: 'zero' });
    const stuck = conversation(client, 'stuck');
    await stuck.dispatch(turn('zero'), limits);
    await (await stuck.follow()).ended(1);
    await stuck.send('one', hanging);
    expect(await stuck.outcome()).toMatchObject({ status: 'timed_out', reason: 'idle' });
  });

  it('that does not read keeps nobody else waiting', async () => {
    await using sidecar = await startSidecar();
    await using client = await RawClient.connect(sidecar);
    const talk = conversation(client, 'deaf');
    await talk.dispatch([...turn('zero'), { do: 'hang' }], { idleTimeoutMs: 500 });
    await (await talk.follow()).ended(1);
    await talk.send('one', 'x'.repeat(LIMITS.messageBytesMax - 2));
    expect((await client.request('status')).counts.live).toBe(1);
    expect(await talk.outcome()).toMatchObject({ status: 'timed_out', reason: 'idle' });
  });

  it('has crashed when its process dies between two turns', async () => {
    await using sidecar = await startSidecar();
    await using client = await RawClient.connect(sidecar);
    const talk = conversation(client, 'dies');
    await talk.dispatch([...turn('zero'), { do: 'kill', signal: 'SIGKILL' }]);
    expect(await talk.outcome()).toMatchObject({ status: 'failed', reason: 'crashed', exit: { signal: 'SIGKILL' } });
  });

  it('is cancelled while it waits, and what was not told yet never is', async () => {
    await using sidecar = await startSidecar();
    await using client = await RawClient.connect(sidecar);
    const talk = conversation(client, 'waits');
    await talk.dispatch(turn('zero'), { interactiveIdleMs: HOUR_MS });
    await (await talk.follow()).ended(1);
    await client.request('cancel', { executionId: 'waits' });
    expect(await talk.outcome()).toMatchObject({ status: 'cancelled', reason: 'requested', survivors: 0 });
    const busy = conversation(client, 'busy');
    await busy.dispatch(hanging);
    await hasPrinted(client, 'busy');
    await busy.send('one', turn('one'));
    await client.request('cancel', { executionId: 'busy' });
    expect(await busy.refusedSend('two', turn('two'))).toBe('input_ended');
    expect(await busy.outcome()).toMatchObject({ status: 'cancelled' });
    const { stdout } = await readOutput(client, 'busy');
    expect(stdout.lines).toHaveLength(1);
  });

  it('is left to itself by a drain, which is over when its input was ended (D4)', async () => {
    await using sidecar = await startSidecar();
    await using client = await RawClient.connect(sidecar);
    const talk = conversation(client, 'open');
    await talk.dispatch(turn('zero'), { interactiveIdleMs: HOUR_MS });
    const { ended } = await talk.follow();
    await ended(1);
    const left = conversation(client, 'left');
    await left.dispatch(turn('zero'), { interactiveIdleMs: HOUR_MS });
    await (await left.follow()).ended(1);
    await client.request('drain', { deadlineMs: 1500, atDeadline: 'cancel' });
    await talk.send('one', turn('one'));
    await ended(2);
    await talk.end();
    expect(await talk.outcome()).toMatchObject({ status: 'succeeded', result: 'one' });
    expect(await left.outcome()).toMatchObject({ status: 'cancelled', reason: 'drained' });
  });
});

describe('what is said to a run', () => {
  it('is refused with a code where nobody listens', async () => {
    await using sidecar = await startSidecar();
    await using client = await RawClient.connect(sidecar);
    const deaf = conversation(client, 'deaf');
    await deaf.dispatch(hanging, { interactive: false });
    expect(await deaf.refusedSend('m', 'hello')).toBe('not_interactive');
    expect(await client.refused('end_input', { executionId: 'deaf' })).toMatchObject({ code: 'not_interactive' });
    await client.request('cancel', { executionId: 'deaf' });
    await deaf.outcome();
    expect(await deaf.refusedSend('m', 'hello')).toBe('not_interactive');
    expect(await conversation(client, 'nobody').refusedSend('m', 'hello')).toBe('unknown_execution');
    expect(await client.refused('end_input', { executionId: 'nobody' })).toMatchObject({ code: 'unknown_execution' });
    const talk = conversation(client, 'over');
    await talk.dispatch(turn('zero'));
    await talk.send('m', turn('one'));
    await talk.end();
    await talk.outcome();
    expect(await talk.refusedSend('n', 'hello')).toBe('input_ended');
    expect(await talk.send('m', turn('one'))).toEqual({ known: true, state: 'ended' });
    expect(await talk.end()).toEqual({ state: 'ended' });
  });

  it('is bounded, each message and all that wait', async () => {
    await using sidecar = await startSidecar();
    await using client = await RawClient.connect(sidecar);
    const talk = conversation(client, 'much');
    await talk.dispatch(hanging);
    const longest = 'x'.repeat(LIMITS.messageBytesMax - 2);
    expect(await talk.refusedSend('m', `${longest}x`)).toBe('invalid');
    expect(await talk.refusedSend('m', '')).toBe('invalid');
    expect(await client.refusedDispatch('long', `${longest}x`, { interactive: true })).toBe('invalid');
    const fitting = Math.floor(LIMITS.messagesPendingBytesMax / LIMITS.messageBytesMax);
    for (let n = 0; n < fitting; n++) await talk.send(`long-${n}`, longest);
    const error = await client.refused('send_message', { executionId: 'much', messageId: 'm', text: longest });
    expect(error).toMatchObject({ code: 'limit_exceeded', data: { limit: 'messagesPendingBytesMax' } });
    for (let n = fitting; n < LIMITS.messagesPendingMax; n++) await talk.send(`short-${n}`, 'x');
    const another = await client.refused('send_message', { executionId: 'much', messageId: 'm', text: 'x' });
    expect(another).toMatchObject({ code: 'limit_exceeded', data: { limit: 'messagesPendingMax' } });
    expect(await talk.send('long-0', longest)).toMatchObject({ known: true });
  });

  it('may be as long as a message and holds whatever it holds', async () => {
    await using sidecar = await startSidecar();
    await using client = await RawClient.connect(sidecar);
    const talk = conversation(client, 'odd');
    await talk.dispatch(turn('zero'));
    const { results, ended } = await talk.follow();
    const texts = ['x'.repeat(LIMITS.messageBytesMax - 2), 'a\nb\r\n"c" \u2028 \u0000 ü 😀', fakeScript(turn('last'))];
    for (const [n, text] of texts.entries()) await talk.send(`m${n}`, text);
    await ended(4);
    expect(results).toEqual(['zero', texts[0], texts[1], 'last']);
    await talk.end();
    expect(await talk.outcome()).toMatchObject({ status: 'succeeded', result: 'last' });
  });
});
