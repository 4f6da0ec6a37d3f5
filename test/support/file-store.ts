import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { type ExecutionRecord, memoryStore, type Store } from '@outrigger/sdk';

const NOBODY = { holder: 'the host before', ttlMs: 1 };

/** A store that outlives its process, for one host at a time: what the memory store has, written to a file after each change. */
export async function fileStore(path: string): Promise<Store> {
  const memory = memoryStore();
  const ids = new Set<string>();
  for (const record of existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as ExecutionRecord[]) : []) {
    const { conclusion, ...rest } = record;
    ids.add(record.executionId);
    await memory.putExecution(rest, 'read');
    if (conclusion === undefined) continue;
    const { claim } = await memory.recordOutcome({ agentId: record.agentId, ...conclusion }, NOBODY);
    if (conclusion.isHandled) await memory.markHandled(record, claim ?? 0);
    else await memory.releaseClaim(record, claim ?? 0);
  }
  const save = async () => {
    const records = await Promise.all([...ids].map((id) => memory.getExecution(id)));
    const fd = openSync(`${path}.new`, 'w');
    writeSync(fd, JSON.stringify(records.filter((record) => record !== undefined)));
    fsyncSync(fd);
    closeSync(fd);
    renameSync(`${path}.new`, path);
  };
  const saving =
    <A extends unknown[], T>(change: (...args: A) => Promise<T>) =>
    async (...args: A): Promise<T> => {
      const result = await change(...args);
      await save();
      return result;
    };
  return {
    ...memory,
    putExecution: saving((record, dispatchId) => {
      ids.add(record.executionId);
      return memory.putExecution(record, dispatchId);
    }),
    withdrawExecution: saving((...args) => memory.withdrawExecution(...args)),
    forgetExecution: saving((...args) => memory.forgetExecution(...args)),
    recordOutcome: saving((...args) => {
      ids.add(args[0].outcome.executionId);
      return memory.recordOutcome(...args);
    }),
    markHandled: saving((...args) => memory.markHandled(...args)),
  };
}
