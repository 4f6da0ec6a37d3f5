import { closeSync, constants, existsSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FakeStep, fakeScript } from '@outrigger/sdk/testing';
import { describe, expect, it } from 'vitest';
import { conversation, turn } from './support/conversation.js';
import { recordsIn } from './support/journal.js';
import { RawClient } from './support/raw-client.js';
import { startRestartable } from './support/restart.js';
import { isWaiting, refused, SECOND, temporaryFolder } from './support/runs.js';
import { startSidecar } from './support/sidecar.js';

const HOUR_MS = 3_600_000;
const waiting = (text: string, path: string): FakeStep[] => turn(text, { do: 'waitForFile', path });

/** Takes out what nobody has read yet, as if it had not been written. */
function readFifo(path: string): string {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const buffer = Buffer.alloc(100_000);
  const bytes = readSync(fd, buffer);
  closeSync(fd);
  return buffer.toString('utf8', 0, bytes);
}

describe('a sidecar that is killed while a run is talked to', () => {
  it('between two messages: the next one takes further ones, and knows those before (R1)', async () => {
    await using sidecar = await startRestartable();
    {
      await using client = await RawClient.connect(sidecar);
      const talk = conversation(client, 'talk');
      await talk.dispatch(turn('zero'), { interactiveIdleMs: HOUR_MS });
      const { ended } = await talk.follow();
      await talk.send('one', turn('one'));
      await ended(2);
    }
    await sidecar.restart();
    await using client = await RawClient.connect(sidecar);
    const talk = conversation(client, 'talk');
    const { results, ended } = await talk.follow();
    expect(await talk.send('one', turn('one'))).toMatchObject({ known: true, state: 'running' });
    expect(await talk.refusedSend('one', turn('other'))).toBe('message_conflict');
    expect(await talk.send('two', turn('two'))).toMatchObject({ known: false });
    await ended(3);
    await talk.end();
    expect(await talk.outcome()).toMatchObject({ status: 'succeeded', result: 'two', attempts: 1, survivors: 0 });
    expect(results).toEqual(['zero', 'one', 'two']);
    await sidecar.restart();
    await using last = await RawClient.connect(sidecar);
    expect(await conversation(last, 'talk').send('two', turn('two'))).toEqual({ known: true, state: 'ended' });
    expect(await conversation(last, 'talk').refusedSend('three', 'x')).toBe('input_ended');
  });

  it('in a turn: what was sent before and meanwhile is told after it, and its end is remembered', async () => {
    await using sidecar = await startRestartable();
    const go = join(temporaryFolder(), 'go');
    {
      await using client = await RawClient.connect(sidecar);
      const talk = conversation(client, 'talk');
      await talk.dispatch(turn('zero'), { interactiveIdleMs: HOUR_MS });
      const { ended } = await talk.follow();
      await ended(1);
      await talk.send('one', waiting('one', go));
      await talk.send('two', turn('two'));
      await talk.send('three', turn('three'));
      await talk.end();
    }
    await sidecar.restart();
    await using client = await RawClient.connect(sidecar);
    const talk = conversation(client, 'talk');
    const { results, ended } = await talk.follow();
    expect(await talk.refusedSend('four', 'x')).toBe('input_ended');
    writeFileSync(go, '');
    expect(await talk.outcome()).toMatchObject({ status: 'succeeded', result: 'three' });
    await ended(4);
    expect(results).toEqual(['zero', 'one', 'two', 'three']);
  });

  it('and the turn ends while there is none: the next message is told once there is one again', async () => {
    await using sidecar = await startRestartable();
    const folder = temporaryFolder();
    const [go, done] = [join(folder, 'go'), join(folder, 'done')];
    {
      await using client = await RawClient.connect(sidecar);
      const talk = conversation(client, 'talk');
      await talk.dispatch(turn('zero'), { interactiveIdleMs: HOUR_MS });
      await (await talk.follow()).ended(1);
      await talk.send('one', [...waiting('one', go), { do: 'touch', path: done }]);
      await talk.send('two', turn('two'));
    }
    await sidecar.kill();
    writeFileSync(go, '');
    await expect.poll(() => existsSync(done)).toBe(true);
    await sidecar.start();
    await using client = await RawClient.connect(sidecar);
    const talk = conversation(client, 'talk');
    const { results, ended } = await talk.follow();
    await ended(3);
    await talk.end();
    expect(await talk.outcome()).toMatchObject({ status: 'succeeded', result: 'two' });
    expect(results).toEqual(['zero', 'one', 'two']);
  });

  it('again and again, at any moment: each message has its turn, once and in order', async () => {
    await using sidecar = await startRestartable();
    const names = Array.from({ length: 12 }, (_, n) => `m${n}`);
    {
      await using client = await RawClient.connect(sidecar);
      await conversation(client, 'talk').dispatch(turn('zero'), { interactiveIdleMs: HOUR_MS });
    }
    for (const name of names) {
      await using client = await RawClient.connect(sidecar);
      await conversation(client, 'talk').send(name, turn(name, { do: 'sleep', ms: 30 }));
      await sidecar.restart();
    }
    await using client = await RawClient.connect(sidecar);
    const talk = conversation(client, 'talk');
    for (const name of names) {
      expect(await talk.send(name, turn(name, { do: 'sleep', ms: 30 }))).toMatchObject({ known: true });
    }
    const { results, ended } = await talk.follow();
    await ended(names.length + 1);
    await talk.end();
    expect(await talk.outcome()).toMatchObject({ status: 'succeeded', attempts: 1 });
    expect(results).toEqual(['zero', ...names]);
  });

  it.each(['was not written', 'was written and not read'])(
    'before anybody can know that a message %s: it has its turn, once',
    async (what) => {
      await using sidecar = await startRestartable();
      const pidOf = () => recordsIn(sidecar.stateDir).find(({ is }) => is === 'launched')?.['pid'] as number;
      {
        await using client = await RawClient.connect(sidecar);
        const talk = conversation(client, 'talk');
        await talk.dispatch(turn('zero'), { interactiveIdleMs: HOUR_MS });
        await (await talk.follow()).ended(1);
        process.kill(pidOf(), 'SIGSTOP');
        await talk.send('one', turn('one'));
        await talk.send('two', turn('two'));
      }
      await sidecar.kill();
      const written = what === 'was not written' ? readFifo(join(sidecar.stateDir, 'executions/talk/1/stdin')) : 'one';
      expect(written).toContain('one');
      await sidecar.start();
      await using client = await RawClient.connect(sidecar);
      process.kill(pidOf(), 'SIGCONT');
      const talk = conversation(client, 'talk');
      const { results, ended } = await talk.follow();
      await ended(3);
      await talk.end();
      expect(await talk.outcome()).toMatchObject({ status: 'succeeded', result: 'two' });
      expect(results).toEqual(['zero', 'one', 'two']);
    },
  );

  it('and whose run cannot be told anything any more ends it when it has to', async () => {
    await using sidecar = await startRestartable();
    {
      await using client = await RawClient.connect(sidecar);
      const talk = conversation(client, 'talk');
      await talk.dispatch(turn('zero'), { interactiveIdleMs: HOUR_MS });
      await (await talk.follow()).ended(1);
    }
    rmSync(join(sidecar.stateDir, 'executions/talk/1/stdin'));
    await sidecar.restart();
    await using client = await RawClient.connect(sidecar);
    await conversation(client, 'talk').send('one', 'hello');
    const outcome = await client.outcome('talk');
    expect(outcome).toMatchObject({ status: 'failed', reason: 'crashed', survivors: 0 });
    expect(outcome.message).toContain('cannot be told anything');
  });
});

describe('an interactive run whose credential is refused', () => {
  it('is resumed: the turn that was cut goes on, and what waits is told after it', async () => {
    await using sidecar = await startSidecar();
    await using client = await RawClient.connect(sidecar);
    const talk = conversation(client, 'talk');
    const resumePrompt = fakeScript(turn('went on'));
    await talk.dispatch(turn('zero'), { onCredentialFailure: 'resume', resumePrompt });
    await talk.send('one', refused);
    await talk.send('two', turn('two'));
    await isWaiting(client, 'talk');
    expect(await talk.send('three', turn('three'))).toMatchObject({ state: 'held' });
    await client.request('swap_credential', { credential: SECOND });
    await talk.end();
    expect(await talk.outcome()).toMatchObject({ status: 'succeeded', result: 'three', attempts: 2, survivors: 0 });
    const { results, ended } = await talk.follow();
    await ended(5);
    expect(results.slice(2)).toEqual(['went on', 'two', 'three']);
  });

  it('is resumed by the sidecar that comes after the one that was killed meanwhile', async () => {
    await using sidecar = await startRestartable();
    {
      await using client = await RawClient.connect(sidecar);
      const talk = conversation(client, 'talk');
      const resumePrompt = fakeScript(turn('went on'));
      await talk.dispatch(turn('zero'), { onCredentialFailure: 'resume', resumePrompt });
      await talk.send('one', refused);
      await talk.send('two', turn('two'));
      await talk.end();
      await isWaiting(client, 'talk');
    }
    await sidecar.restart({ credential: null });
    await using client = await RawClient.connect(sidecar);
    const talk = conversation(client, 'talk');
    await client.request('swap_credential', { credential: SECOND });
    expect(await talk.outcome()).toMatchObject({ status: 'succeeded', result: 'two', attempts: 2 });
  });

  it('fails at once where that was asked for, though its process would wait for more', async () => {
    await using sidecar = await startSidecar();
    await using client = await RawClient.connect(sidecar);
    const talk = conversation(client, 'talk');
    await talk.dispatch(turn('zero'), { onCredentialFailure: 'fail', interactiveIdleMs: HOUR_MS });
    await talk.send('one', refused);
    expect(await talk.outcome()).toMatchObject({ status: 'failed', reason: 'auth_invalid', survivors: 0 });
  });
});
