import { expect, it } from 'vitest';
import { sdkError } from '../errors.js';
import { type StoreFailed } from '../events.js';
import { memoryStore } from './memory/memory-store.js';
import { watchedStore } from './watched.js';

it('somebody is told of what failed, and whoever asked fails all the same', async () => {
  const failures: StoreFailed[] = [];
  const error = sdkError('store_unavailable', 'away');
  const store = watchedStore({ ...memoryStore(), agents: () => Promise.reject(error) }, (one) => failures.push(one));
  await expect(store.agents()).rejects.toBe(error);
  expect(failures).toEqual([{ operation: 'agents', error }]);
});

it('what a store refuses by its rules is no failure', async () => {
  const failures: StoreFailed[] = [];
  const store = watchedStore(memoryStore(), (one) => failures.push(one));
  const record = { executionId: 'e', agentId: 'a', createdAt: 1 };
  await store.putExecution(record, 'first');
  await expect(store.putExecution({ ...record, agentId: 'b' }, 'second')).rejects.toMatchObject({
    code: 'wrong_agent',
  });
  expect(failures).toEqual([]);
});
