import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { type ExecutionRecord, memoryStore, type Store } from '@outrigger/sdk';

/** A store that outlives its process, for one host at a time: what the memory store has, written to a file after each change. */
export async function fileStore(path: string): Promise<Store> {
  const memory = memoryStore();
  const ids = new Set<string>();
  for (const record of existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as ExecutionRecord[]) : []) {
    const { conclusion, ...rest } = record;
    ids.add(record.executionId);
    await memory.putExecution(rest);
    if (conclusion === undefined) continue;
    await memory.recordOutcome(conclusion.outcome, conclusion.end);
    if (conclusion.isHandled) await memory.markHandled(record.executionId);
  }
  const save = async () => {
    const records = await Promise.all([...ids].map((id) => memory.getExecution(id)));
    const fd = openSync(`${path}.new`, 'w');
    writeSync(fd, JSON.stringify(records.filter((record) => record !== undefined)));
    fsyncSync(fd);
    closeSync(fd);
    renameSync(`${path}.new`, path);
  };
  return {
    ...memory,
    putExecution: async (record) => {
      ids.add(record.executionId);
      await memory.putExecution(record);
      await save();
    },
    deleteExecution: async (executionId) => {
      await memory.deleteExecution(executionId);
      await save();
    },
    recordOutcome: async (outcome, end) => {
      const recorded = await memory.recordOutcome(outcome, end);
      await save();
      return recorded;
    },
    markHandled: async (executionId) => {
      await memory.markHandled(executionId);
      await save();
    },
  };
}
