import { sdkError } from '../../errors.js';
import {
  type ExecutionKey,
  type ExecutionRecord,
  type ExecutionStore,
  type OpenExecutions,
  type Store,
} from '../store.js';
import { type RedisClient } from './client.js';
import { type Keys } from './keys.js';
import { readConclusion, reading, readLimits, readRecord } from './record.js';

export interface RetentionOptions {
  /** How long a handled outcome stays. */
  readonly retainedMs: number;
  /** How long it is remembered which agent an executionId belongs to. */
  readonly ownerMs: number;
}

/** Open records that are read at once. */
const PAGE = 1000;

/** Execution records in Redis. */
export class RedisExecutions implements ExecutionStore {
  readonly #client: RedisClient;
  readonly #keys: Keys;
  readonly #retention: RetentionOptions;

  constructor(client: RedisClient, keys: Keys, retention: RetentionOptions) {
    this.#client = client;
    this.#keys = keys;
    this.#retention = retention;
  }

  async putExecution(record: Omit<ExecutionRecord, 'conclusion'>, dispatchId: string): Promise<void> {
    const { executionId, createdAt, journalId = '', limits = [] } = record;
    await this.#own(record, dispatchId);
    const args = [executionId, createdAt, journalId, JSON.stringify(limits), dispatchId];
    await this.#client.run('put', this.#recordKeys(record), args);
  }

  async withdrawExecution(key: ExecutionKey, dispatchId: string): Promise<void> {
    await this.#client.run('withdraw', this.#recordKeys(key), [key.executionId, dispatchId]);
    await this.#client.run('disown', [this.#keys.owner(key.executionId)], [dispatchId]);
  }

  async forgetExecution(record: ExecutionRecord, fence: number): Promise<void> {
    const { agentId, executionId, createdAt } = record;
    const keys = [...this.#recordKeys(record), this.#keys.agent(agentId)];
    const dispatchIds = await this.#client.run('forget', keys, [executionId, createdAt, fence]);
    if (!Array.isArray(dispatchIds)) throw staleFence(agentId, fence);
    if (dispatchIds.length > 0) {
      await this.#client.run('disown', [this.#keys.owner(executionId)], dispatchIds.map(String));
    }
  }

  async getExecution(executionId: string): Promise<ExecutionRecord | undefined> {
    const agentId = await this.#client.call((client) => client.hget(this.#keys.owner(executionId), 'agentId'));
    if (agentId === null) return undefined;
    const key = { agentId, executionId };
    const hash = await this.#client.call((client) => client.hgetall(this.#keys.execution(agentId, executionId)));
    return Object.keys(hash).length === 0 ? undefined : readRecord(key, hash);
  }

  async openExecutions(agentId: string): Promise<OpenExecutions> {
    const open: OpenExecutions = { records: [], unreadable: [] };
    for (let from = 0; ; from += PAGE) {
      const ids = await this.#client.call((client) => client.zrange(this.#keys.open(agentId), from, from + PAGE - 1));
      if (ids.length > 0) await this.#readPage(agentId, ids, open);
      if (ids.length < PAGE) return open;
    }
  }

  async recordOutcome(
    { agentId, outcome, end, fence }: Parameters<Store['recordOutcome']>[0],
    { holder, ttlMs }: Parameters<Store['recordOutcome']>[1],
  ): ReturnType<Store['recordOutcome']> {
    const { executionId, acceptedAt, status } = outcome;
    const key = { agentId, executionId };
    await this.#own(key, 'outcome');
    const plain = JSON.stringify(outcome);
    const corrected = JSON.stringify({ ...outcome, corrected: true });
    const answer = await this.#client.run(
      'record',
      [...this.#recordKeys(key), this.#keys.agent(agentId)],
      [executionId, acceptedAt, status, plain, corrected, JSON.stringify(end), fence ?? '', holder, ttlMs],
    );
    if (!Array.isArray(answer)) throw staleFence(agentId, fence);
    const [stored = '', storedEnd = '', limits = '[]', claim = '', claimedForMs, handled] = answer.map(String);
    return reading(executionId, () => ({
      ...readConclusion(stored, storedEnd, handled === '1'),
      claim: claim === '' ? null : Number(claim),
      claimedForMs: Number(claimedForMs),
      limits: readLimits(limits),
    }));
  }

  async releaseClaim({ agentId, executionId }: ExecutionKey, claim: number): Promise<void> {
    await this.#client.run('releaseClaim', [this.#keys.execution(agentId, executionId)], [claim]);
  }

  async markHandled(key: ExecutionKey, claim: number): Promise<boolean> {
    const args = [key.executionId, claim, this.#retention.retainedMs];
    return (await this.#client.run('markHandled', this.#recordKeys(key), args)) === 1;
  }

  #recordKeys({ agentId, executionId }: ExecutionKey): [string, string] {
    return [this.#keys.execution(agentId, executionId), this.#keys.open(agentId)];
  }

  async #own({ agentId, executionId }: ExecutionKey, dispatchId: string): Promise<void> {
    const args = [agentId, dispatchId, this.#retention.ownerMs];
    const owner = await this.#client.run('own', [this.#keys.owner(executionId)], args);
    if (owner === agentId) return;
    throw sdkError('wrong_agent', `execution ${executionId} belongs to agent ${String(owner)}`, {
      data: { agentId: owner },
    });
  }

  /** One record that cannot be read must not keep the others from being seen. */
  async #readPage(agentId: string, ids: readonly string[], open: OpenExecutions): Promise<void> {
    const replies = await this.#client.call((client) => {
      const pipeline = client.pipeline();
      for (const executionId of ids) pipeline.hgetall(this.#keys.execution(agentId, executionId));
      return pipeline.exec();
    });
    ids.forEach((executionId, n) => {
      const [error, hash] = replies?.[n] ?? [];
      try {
        if (error) throw error;
        open.records.push(readRecord({ agentId, executionId }, hash as Record<string, string>));
      } catch {
        open.unreadable.push(executionId);
      }
    });
  }
}

function staleFence(agentId: string, fence: number | undefined): Error {
  return sdkError('stale_fence', `the lease on agent ${agentId} is not held under fence ${fence} any more`);
}
