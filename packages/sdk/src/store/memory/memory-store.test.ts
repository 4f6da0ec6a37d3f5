import { type Outcome } from '@outrigger/protocol';
import { expect, it } from 'vitest';
import { describeStore } from '../contract.js';
import { memoryStore } from './memory-store.js';

describeStore('memoryStore', () => memoryStore());

it('memoryStore forgets the oldest handled outcomes, and never one that is unhandled', async () => {
  const store = memoryStore({ retainedMax: 2 });
  const ids = ['unhandled', 'a', 'b', 'c'];
  for (const executionId of ids) {
    const end = { attempt: 1, stdout: 0, stderr: 0 };
    const evidence = { agentId: 'agent-1', outcome: { executionId } as Outcome, end };
    const { claim } = await store.recordOutcome(evidence, { holder: 'host', ttlMs: 1000 });
    if (executionId !== 'unhandled') await store.markHandled({ agentId: 'agent-1', executionId }, claim ?? 0);
  }
  const kept = await Promise.all(ids.map(async (id) => (await store.getExecution(id))?.executionId));
  expect(kept).toEqual(['unhandled', undefined, 'b', 'c']);
});
