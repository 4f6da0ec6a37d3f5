import { expect, it } from 'vitest';
import { RawClient } from './support/raw-client.js';
import { startRestartable } from './support/restart.js';
import { SECOND } from './support/runs.js';

it('a swap of a host whose lease is over is refused, also by the next life of the sidecar (R11)', async () => {
  await using sidecar = await startRestartable();
  {
    await using client = await RawClient.connect(sidecar);
    expect(await client.request('swap_credential', { credential: SECOND, fence: 8 })).toMatchObject({ changed: true });
  }
  await sidecar.restart();
  await using client = await RawClient.connect(sidecar);
  const swap = (fence?: number) =>
    client.request('swap_credential', { credential: { ...SECOND, secret: 'third' }, ...(fence && { fence }) });
  const before = await client.request('status', {});
  await expect(swap(7)).rejects.toThrow('stale_fence: the lease of fence 7 is over; one of fence 8 was seen');
  expect(await client.request('status', {})).toEqual(before);
  expect(await swap(8)).toMatchObject({ changed: true });
  expect(await swap()).toMatchObject({ changed: false });
});
