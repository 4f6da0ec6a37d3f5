import { type Outcome } from '@outrigger/protocol';
import { describe, expect, it } from 'vitest';
import { type Store } from './store.js';

const END = { attempt: 1, stdout: 10, stderr: 0 };

function outcomeOf(executionId: string, rest: Partial<Outcome> = {}): Outcome {
  return {
    executionId,
    status: 'succeeded',
    reason: 'completed',
    message: 'done',
    retryable: false,
    exit: { code: 0, signal: null },
    survivors: 0,
    attempts: 1,
    acceptedAt: 1,
    endedAt: 2,
    closedAt: 3,
    heldMs: 0,
    ...rest,
  };
}

/** The suite every store has to pass. `open` gives an empty one. */
export function describeStore(name: string, open: () => Store | Promise<Store>): void {
  describe(name, () => {
    const opened = async (...executionIds: string[]): Promise<Store> => {
      const store = await open();
      for (const executionId of executionIds) {
        await store.putExecution({ executionId, agentId: 'agent-1', createdAt: 1 });
      }
      return store;
    };

    it('gives back what was put, and nothing for an unknown id', async () => {
      const store = await opened('a');
      expect(await store.getExecution('a')).toEqual({ executionId: 'a', agentId: 'agent-1', createdAt: 1 });
      expect(await store.getExecution('b')).toBeUndefined();
      await store.close();
    });

    it('lists the records of one agent, oldest first', async () => {
      const store = await opened('a', 'b');
      await store.putExecution({ executionId: 'c', agentId: 'agent-2', createdAt: 2 });
      expect((await store.listExecutions('agent-1')).map((record) => record.executionId)).toEqual(['a', 'b']);
      await store.close();
    });

    it('lets a later dispatch of the same id replace the record while it has no conclusion', async () => {
      const store = await opened('a');
      await store.putExecution({ executionId: 'a', agentId: 'agent-2', createdAt: 2 });
      expect(await store.getExecution('a')).toMatchObject({ agentId: 'agent-2' });
      await store.recordOutcome(outcomeOf('a'), END);
      await store.putExecution({ executionId: 'a', agentId: 'agent-3', createdAt: 3 });
      expect(await store.getExecution('a')).toMatchObject({ agentId: 'agent-2', conclusion: { end: END } });
      await store.close();
    });

    it('deletes a record without a conclusion and no other', async () => {
      const store = await opened('a', 'b');
      await store.recordOutcome(outcomeOf('a'), END);
      await store.deleteExecution('a');
      await store.deleteExecution('b');
      expect(await store.getExecution('a')).toBeDefined();
      expect(await store.getExecution('b')).toBeUndefined();
      await store.close();
    });

    it('R5: stores an outcome once, however often it is sent', async () => {
      const store = await opened('a');
      expect(await store.recordOutcome(outcomeOf('a'), END)).toMatchObject({ isNew: true, isHandled: false });
      const again = await store.recordOutcome(outcomeOf('a', { status: 'failed', reason: 'crashed' }), END);
      expect(again).toMatchObject({ isNew: false, isHandled: false, outcome: { status: 'succeeded' } });
      await store.close();
    });

    it('remembers that an outcome was handled', async () => {
      const store = await opened('a');
      await store.recordOutcome(outcomeOf('a'), END);
      await store.markHandled('a');
      expect(await store.recordOutcome(outcomeOf('a'), END)).toMatchObject({ isNew: false, isHandled: true });
      await store.close();
    });

    it('lets evidence replace a presumed lost, marked as corrected and to be handled anew', async () => {
      const store = await opened('a');
      await store.recordOutcome(outcomeOf('a', { status: 'lost', reason: 'agent_gone' }), END);
      await store.markHandled('a');
      const corrected = await store.recordOutcome(outcomeOf('a'), END);
      expect(corrected).toMatchObject({
        isNew: true,
        isHandled: false,
        outcome: { status: 'succeeded', corrected: true },
      });
      const late = await store.recordOutcome(outcomeOf('a', { status: 'lost', reason: 'agent_gone' }), END);
      expect(late).toMatchObject({ isNew: false, outcome: { status: 'succeeded' } });
      await store.close();
    });

    it('keeps an outcome as it was recorded, whatever the caller does to its object afterwards', async () => {
      const store = await opened('a');
      const outcome = outcomeOf('a');
      await store.recordOutcome(outcome, END);
      outcome.message = 'changed';
      expect((await store.getExecution('a'))?.conclusion?.outcome.message).toBe('done');
      await store.close();
    });

    it('refuses an outcome, and its handling, of an execution it does not know', async () => {
      const store = await opened('a');
      await expect(store.recordOutcome(outcomeOf('b'), END)).rejects.toMatchObject({ code: 'unknown_execution' });
      await expect(store.markHandled('b')).rejects.toMatchObject({ code: 'unknown_execution' });
      await expect(store.markHandled('a')).rejects.toMatchObject({ code: 'unknown_execution' });
      await store.close();
    });
  });
}
