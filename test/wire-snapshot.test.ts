import { LIMITS } from '@outrigger/protocol';
import { expect, it } from 'vitest';
import { RawClient } from './support/raw-client.js';
import { hanging, isRunning } from './support/runs.js';
import { startSidecar } from './support/sidecar.js';

/** Together more than a connection may have queued. */
const EXECUTIONS = 200;
/** The largest labels there can be: a control character is one in a request and six bytes in JSON. */
const LABELS = Object.fromEntries(
  Array.from({ length: LIMITS.listEntriesMax }, (_value, n) => [`${n}`.padStart(63, 'x'), '\u0001'.repeat(256)]),
);

it('a snapshot comes in pages that fit a frame, all of it before what happens meanwhile', async () => {
  await using sidecar = await startSidecar({ maxExecutions: 1 });
  await using client = await RawClient.connect(sidecar);
  await client.dispatch('live', hanging);
  await isRunning(client, 'live');
  for (let n = 0; n < EXECUTIONS; n++) await client.dispatch(`e${n}`, 'x', { labels: LABELS, whenBusy: 'skip' });

  await using late = await RawClient.open(sidecar);
  late.send({ type: 'hello', versions: [1], client: { name: 'late' } });
  await late.waitFor('welcome');
  await client.request('cancel', { executionId: 'live' });
  await late.outcome('live');
  await late.outcome(`e${EXECUTIONS - 1}`);

  const types = late.frames.map(({ type }) => type);
  expect(types.slice(0, types.lastIndexOf('snapshot') + 1)).toEqual([
    'welcome',
    ...types.filter((type) => type === 'snapshot'),
  ]);
  const pages = late.frames.flatMap((frame) => (frame.type === 'snapshot' ? [frame] : []));
  expect(pages.length).toBeGreaterThan(10);
  for (const page of pages) expect(Buffer.byteLength(JSON.stringify(page))).toBeLessThan(LIMITS.frameBytesMax);
  expect(pages.map(({ more }) => more)).toEqual([...pages.slice(1).map(() => true), false]);
  const ids = pages.flatMap(({ executions }) => executions.map(({ executionId }) => executionId));
  expect(ids).toEqual(['live', ...Array.from({ length: EXECUTIONS }, (_value, n) => `e${n}`)]);
  const states = late.frames.flatMap((frame) => (frame.type === 'state' ? [frame.executionId] : []));
  expect(new Set(states).size).toBeLessThanOrEqual(1);
});
