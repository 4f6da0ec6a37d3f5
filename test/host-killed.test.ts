import { expect, it } from 'vitest';
import { countMoments, killHost } from './support/killed-host.js';
import { startSidecar } from './support/sidecar.js';

/** `bench/host-kill.ts` takes every moment there is. */
const SAMPLES = 16;

it('a host that is killed at any moment leaves an outcome that reaches the next one, and is stored once (R4)', async () => {
  await using sidecar = await startSidecar();
  const moments = await countMoments(sidecar);
  expect(moments).toBeGreaterThan(SAMPLES);
  const at = Array.from({ length: SAMPLES }, (_value, n) => 1 + Math.floor((n * moments) / SAMPLES));
  const faults: string[] = [];
  for (const n of at) faults.push(...(await killHost(sidecar, n)));
  expect(faults).toEqual([]);
}, 120_000);
