import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type FakeStep } from '@outrigger/sdk/testing';
import { describe, expect, it } from 'vitest';
import { fillDisk, mountSmallDisk } from '../packages/sidecar/src/testing/small-disk.js';
import { recordsIn } from './support/journal.js';
import { script } from './support/fleet.js';
import { RawClient } from './support/raw-client.js';
import { startRestartable } from './support/restart.js';
import { hasPrinted, temporaryFolder, until } from './support/runs.js';
import { startSidecar } from './support/sidecar.js';

const DISK_KIB = 4096;
const good: FakeStep[] = [{ do: 'init' }, { do: 'result', result: 'x' }];

describe('with little room under the state folder (R15)', () => {
  it('nothing is admitted, which can be recorded, and what runs goes on', async (test) => {
    const disk = mountSmallDisk(DISK_KIB);
    if (disk.folder === null) return test.skip(disk.why);
    const gate = join(temporaryFolder(), 'gate');
    await using sidecar = await startSidecar({
      stateDir: join(disk.folder, 'state'),
      args: ['--free-bytes-min=1000000'],
    });
    await using client = await RawClient.connect(sidecar);
    await client.dispatch('before', until(gate));
    await hasPrinted(client, 'before');
    fillDisk(join(disk.folder, 'filler'), 500_000);
    expect(await client.refusedDispatch('late', good)).toBe('disk_low');
    const skipped = await client.dispatch('skipped', good, { whenBusy: 'skip' });
    expect(skipped).toMatchObject({ state: 'ended', outcome: { status: 'skipped', reason: 'disk_low' } });
    const ready = await fetch(`${sidecar.url.replace('ws', 'http')}/readyz`);
    expect([ready.status, await ready.json()]).toEqual([503, { ready: false, problem: 'disk_low' }]);
    // Once, however many are refused.
    expect(sidecar.log.filter(({ msg }) => msg.startsWith('the disk is nearly full'))).toHaveLength(1);
    rmSync(join(disk.folder, 'filler'));
    await client.dispatch('after', good);
    expect(await client.outcome('after')).toMatchObject({ status: 'succeeded' });
    await client.request('cancel', { executionId: 'before' });
    expect(await client.outcome('before')).toMatchObject({ status: 'cancelled' });
  });
});

describe('without any room under the state folder (R15)', () => {
  it('nothing is promised, what runs still ends in an outcome, and the journal is whole once there is room', async (test) => {
    const disk = mountSmallDisk(DISK_KIB);
    if (disk.folder === null) return test.skip(disk.why);
    const filler = join(disk.folder, 'filler');
    const [gate, other] = ['gate', 'other'].map((name) => join(temporaryFolder(), name)) as [string, string];
    await using sidecar = await startRestartable({
      stateDir: join(disk.folder, 'state'),
      args: ['--free-bytes-min=0'],
    });
    const codes = new Set<string>();
    {
      await using client = await RawClient.connect(sidecar);
      await client.dispatch('before', until(gate));
      await hasPrinted(client, 'before');
      fillDisk(filler, 8192);
      // The last bytes are taken by whoever comes first; then nobody is promised anything.
      for (let n = 0; n < 40; n++) {
        const reply = await client.ask('dispatch', { executionId: `full-${n}`, request: { prompt: 'x'.repeat(500) } });
        if (!reply.ok) codes.add(reply.error.code);
        else codes.add((await client.outcome(`full-${n}`)).reason);
      }
      expect([...codes]).toContain('disk_low');
      // What was promised and could not be started, or could not print, says so.
      expect([...codes].filter((code) => !['disk_low', 'spawn_failed', 'crashed'].includes(code))).toEqual([]);
      // What was promised before still is, and asked for again it says so.
      expect(await client.dispatch('before', until(gate))).toMatchObject({ known: true, state: 'running' });
      expect(await client.request('cancel', { executionId: 'before' })).toMatchObject({ known: true });
      expect(await client.outcome('before')).toMatchObject({ status: 'cancelled', survivors: 0 });
      // What was told is on the disk, in the room that was kept for that: the next sidecar says the same.
      await sidecar.restart();
      await using next = await RawClient.connect(sidecar);
      expect(await next.outcome('before')).toMatchObject({ status: 'cancelled', survivors: 0 });
      rmSync(filler);
      const dispatch = async () =>
        (await next.ask('dispatch', { executionId: 'after', request: { prompt: script(...until(other)) } })).ok;
      await expect.poll(dispatch, { timeout: 20_000, interval: 500 }).toBe(true);
      await hasPrinted(next, 'after');
    }
    await sidecar.restart();
    await using client = await RawClient.connect(sidecar);
    expect(await client.outcome('before')).toMatchObject({ status: 'cancelled', survivors: 0 });
    expect(await client.request('status', { executionId: 'after' })).toMatchObject({ execution: { state: 'running' } });
    expect(recordsIn(sidecar.stateDir).filter(({ is, id }) => is === 'ended' && id === 'before')).toHaveLength(1);
    await client.request('cancel', { executionId: 'after' });
    await client.outcome('after');
  });

  it('neither a stop nor a start needs any', async (test) => {
    const disk = mountSmallDisk(DISK_KIB);
    if (disk.folder === null) return test.skip(disk.why);
    await using sidecar = await startRestartable({ stateDir: join(disk.folder, 'state'), mode: 'gateway' });
    await sidecar.current.stop();
    fillDisk(join(disk.folder, 'filler'), 0);
    await sidecar.start();
    expect(await sidecar.current.stop()).toEqual({ code: 0, signal: null });
    await sidecar.start();
    await using client = await RawClient.connect(sidecar);
    expect(await client.refusedDispatch('run', good)).toBe('disk_low');
  });
});
