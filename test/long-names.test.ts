import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { RawClient } from './support/raw-client.js';
import { startSidecar } from './support/sidecar.js';

it('a name longer than any is none: the outcome keeps those that were asked for, and reaches every client (B2)', async () => {
  await using sidecar = await startSidecar();
  await using client = await RawClient.connect(sidecar);
  const name = 'n'.repeat(200_000);
  const sessionId = randomUUID();
  await client.dispatch('namer', [{ do: 'init', model: name, extra: { session_id: name } }, { do: 'result' }], {
    sessionId,
  });
  const outcome = await client.outcome('namer');
  expect(outcome).toMatchObject({ status: 'succeeded', sessionId });
  expect(outcome.model).toBeUndefined();

  await using latecomer = await RawClient.connect(sidecar);
  expect(await latecomer.outcome('namer')).toEqual(outcome);
});
