import { type Outcome } from '@outrigger/protocol';
import { expect, it } from 'vitest';
import { describeStore } from './contract.js';
import { memoryStore } from './memory.js';

describeStore('memoryStore', () => memoryStore());

it('memoryStore forgets the oldest handled outcomes, and never one that is unhandled', async () => {
  const store = memoryStore({ retainedMax: 2 });
  for (const executionId of ['unhandled', 'a', 'b', 'c']) {
    await store.putExecution({ executionId, agentId: 'agent-1', createdAt: 1 });
    await store.recordOutcome({ executionId } as Outcome, { attempt: 1, stdout: 0, stderr: 0 });
    if (executionId !== 'unhandled') await store.markHandled(executionId);
  }
  const kept = (await store.listExecutions('agent-1')).map((record) => record.executionId);
  expect(kept).toEqual(['unhandled', 'b', 'c']);
});
