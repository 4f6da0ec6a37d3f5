import { randomUUID } from 'node:crypto';
import { type RedisOptions } from 'ioredis';
import { sdkError } from '../../errors.js';
import { type Logger, silentLogger } from '../../logger.js';
import { type Permit, type Store } from '../store.js';
import { RedisClient } from './client.js';
import { RedisExecutions } from './executions.js';
import { Keys } from './keys.js';

const DAY_MS = 24 * 60 * 60 * 1000;

/** Where Redis is, and what is kept there. */
export interface RedisStoreOptions {
  /** One server, e.g. `redis://127.0.0.1:6379/0`, or some nodes of a cluster. */
  url: string | readonly string[];
  /** Further options of ioredis, such as `tls` and `password`. */
  redis?: RedisOptions;
  /** What every key begins with; fleets with the same one share everything. @default 'outrigger' */
  prefix?: string;
  /** After this time without an answer a call fails with `store_unavailable`. Milliseconds. @default 5 s */
  deadlineMs?: number;
  /** How long a handled outcome stays. Milliseconds. @default 7 days */
  retainedMs?: number;
  /** @default none */
  logger?: Logger;
}

/** How long it is remembered which agent an executionId belongs to: longer than anything can run. */
const OWNER_MS = 30 * DAY_MS;

/**
 * A store in Redis 6 or later, or a Redis Cluster, for any number of hosts. It connects at once and reconnects for ever.
 *
 * @throws `invalid`
 */
export function redisStore(options: RedisStoreOptions): Store {
  const { url, redis = {}, prefix = 'outrigger', deadlineMs = 5000, retainedMs = 7 * DAY_MS } = options;
  const { logger = silentLogger } = options;
  if (/[{}\s]/.test(prefix) || prefix === '') throw sdkError('invalid', 'prefix: no braces, no white space, not empty');
  for (const [name, value] of Object.entries({ deadlineMs, retainedMs })) {
    if (!(Number.isSafeInteger(value) && value > 0)) throw sdkError('invalid', `${name}: expected a positive integer`);
  }
  refuseBadUrls(typeof url === 'string' ? [url] : url);

  const keys = new Keys(prefix);
  const client = new RedisClient({ url, redis, deadlineMs, logger, isPatient: true });
  // What waits for a connection is late by then, and a lease that is late is none.
  const leases = new RedisClient({ url, redis, deadlineMs, logger, isPatient: false });
  const executions = new RedisExecutions(client, keys, { retainedMs, ownerMs: OWNER_MS });

  return {
    putExecution: (record, dispatchId) => executions.putExecution(record, dispatchId),
    withdrawExecution: (key, dispatchId) => executions.withdrawExecution(key, dispatchId),
    forgetExecution: (record, fence) => executions.forgetExecution(record, fence),
    getExecution: (executionId) => executions.getExecution(executionId),
    openExecutions: (agentId) => executions.openExecutions(agentId),
    recordOutcome: (evidence, claimant) => executions.recordOutcome(evidence, claimant),
    releaseClaim: (key, claim) => executions.releaseClaim(key, claim),
    markHandled: (key, claim) => executions.markHandled(key, claim),

    async id() {
      const fresh = randomUUID();
      await client.call((redisClient) => redisClient.set(keys.storeId, fresh, 'NX'));
      return (await client.call((redisClient) => redisClient.get(keys.storeId))) ?? fresh;
    },

    async touchAgent(agentId) {
      await client.run('touch', [keys.agent(agentId)]);
      await client.call((redisClient) => redisClient.sadd(keys.agents, agentId));
    },
    async unseenForMs(agentId) {
      const ms = Number(await client.run('unseen', [keys.agent(agentId)]));
      return ms < 0 ? null : ms;
    },
    async dropAgent(agentId) {
      await client.call((redisClient) => redisClient.srem(keys.agents, agentId));
      await client.call((redisClient) => redisClient.del(keys.agent(agentId)));
    },
    agents: () => client.call((redisClient) => redisClient.smembers(keys.agents)),

    async acquireLease(agentId, { holder, ttlMs }, above = 0) {
      const fence = await leases.run('acquireLease', [keys.agent(agentId)], [holder, ttlMs, above]);
      return fence === '' ? null : Number(fence);
    },
    async releaseLease(agentId, fence) {
      await leases.run('releaseLease', [keys.agent(agentId)], [fence]);
    },

    async takePermit(limit, executionId, max) {
      return (await client.run('takePermit', [keys.limit(limit)], [executionId, max])) === 1;
    },
    async returnPermit(limit, executionId) {
      await client.call((redisClient) => redisClient.zrem(keys.limit(limit), executionId));
    },
    async permits(limit) {
      return inPairs((await client.run('permits', [keys.limit(limit)])) as string[]);
    },

    async readDocument(name) {
      const [value, version] = await client.call((redisClient) =>
        redisClient.hmget(keys.document(name), 'value', 'version'),
      );
      return { value: value ? parse(value) : undefined, version: version ?? null };
    },
    async writeDocument(name, { value, ifVersion, version }) {
      const args = [ifVersion ?? '', version, JSON.stringify(value)];
      return (await client.run('writeDocument', [keys.document(name)], args)) === 1;
    },

    async close() {
      await Promise.all([client.close(), leases.close()]);
    },
  };
}

/** The message names no URL: it may hold a password. */
function refuseBadUrls(urls: readonly string[]): void {
  if (urls.length > 0 && urls.every((url) => URL.canParse(url) && /^rediss?:$/.test(new URL(url).protocol))) return;
  throw sdkError('invalid', 'url: expected redis://host:port or rediss://host:port, or a list of those for a cluster');
}

/** One that is garbage is as good as none, and is replaced by the next one. */
function parse(value: string): unknown {
  try {
    return JSON.parse(value) as unknown;
  } catch {
    return undefined;
  }
}

function inPairs(row: readonly string[]): Permit[] {
  const permits: Permit[] = [];
  for (let n = 0; n + 1 < row.length; n += 2) {
    permits.push({ executionId: row[n] ?? '', heldForMs: Number(row[n + 1]) });
  }
  return permits;
}
