import { sdkError } from '../errors.js';
import { type ExecutionRecord, type Store } from './store.js';

export interface MemoryStoreOptions {
  /** Handled outcomes kept; the oldest go first. @default 10_000 */
  retainedMax?: number;
}

/** A store within the process, for one host. What it knew is rebuilt from the sidecars after a restart. */
export function memoryStore({ retainedMax = 10_000 }: MemoryStoreOptions = {}): Store {
  const records = new Map<string, ExecutionRecord>();
  /** Ids in the order they were handled. */
  const handled = new Set<string>();

  const known = (executionId: string): ExecutionRecord => {
    const record = records.get(executionId);
    if (record === undefined)
      throw sdkError('unknown_execution', `the store has no record of execution ${executionId}`);
    return record;
  };

  // Promise.try is not in Node 20; a plain async function turns the throw of `known` into a rejection all the same.
  /* eslint-disable @typescript-eslint/require-await */
  return {
    async putExecution(record) {
      if (records.get(record.executionId)?.conclusion === undefined) records.set(record.executionId, { ...record });
    },

    async getExecution(executionId) {
      return records.get(executionId);
    },

    async deleteExecution(executionId) {
      if (records.get(executionId)?.conclusion === undefined) records.delete(executionId);
    },

    async listExecutions(agentId) {
      return [...records.values()].filter((record) => record.agentId === agentId);
    },

    async recordOutcome(outcome, end) {
      const record = known(outcome.executionId);
      const present = record.conclusion;
      const isCorrection = present?.outcome.status === 'lost' && outcome.status !== 'lost';
      if (present !== undefined && !isCorrection) return { ...present, isNew: false };

      const kept = isCorrection ? { ...outcome, corrected: true as const } : outcome;
      const conclusion = { outcome: Object.freeze(structuredClone(kept)), end: { ...end }, isHandled: false };
      handled.delete(outcome.executionId);
      records.set(outcome.executionId, { ...record, conclusion });
      return { ...conclusion, isNew: true };
    },

    async markHandled(executionId) {
      const record = known(executionId);
      if (record.conclusion === undefined) {
        throw sdkError('unknown_execution', `the store has no outcome of execution ${executionId}`);
      }
      records.set(executionId, { ...record, conclusion: { ...record.conclusion, isHandled: true } });
      handled.add(executionId);
      for (const oldest of handled) {
        if (handled.size <= retainedMax) break;
        handled.delete(oldest);
        records.delete(oldest);
      }
    },

    async close() {
      // Nothing is held open; the records stay, so that a fleet made with the same store goes on.
    },
  };
}
