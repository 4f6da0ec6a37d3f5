import { randomUUID } from 'node:crypto';
import { redisStore } from '@outrigger/sdk/redis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeStore } from '../packages/sdk/src/store/contract.js';
import { startRedis, startRedisCluster } from './support/redis.js';

const PREFIX = `test-${randomUUID()}`;

describe('a store in Redis', () => {
  let server: Awaited<ReturnType<typeof startRedis>> | undefined;
  const url = () => process.env['REDIS_URL'] ?? server?.url ?? '';

  beforeAll(async () => {
    if (process.env['REDIS_URL'] === undefined) server = await startRedis();
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  describeStore('redisStore', () => redisStore({ url: url(), prefix: PREFIX }));
});

describe('a store in a cluster of three nodes', () => {
  let cluster: Awaited<ReturnType<typeof startRedisCluster>>;

  beforeAll(async () => {
    cluster = await startRedisCluster();
  });
  afterAll(() => cluster[Symbol.asyncDispose]());

  describeStore('redisStore on a cluster', () => redisStore({ url: cluster.urls }));
});

describe('redisStore', () => {
  it.each([
    ['url', { url: 'http://127.0.0.1:6379' }],
    ['url', { url: [] }],
    ['prefix', { url: 'redis://127.0.0.1:1', prefix: 'a{b' }],
    ['deadlineMs', { url: 'redis://127.0.0.1:1', deadlineMs: 0 }],
    ['retainedMs', { url: 'redis://127.0.0.1:1', retainedMs: 1.5 }],
  ])('refuses a bad %s', (name, options) => {
    expect(() => redisStore(options)).toThrow(
      expect.objectContaining({ code: 'invalid', message: expect.stringContaining(name) as string }) as Error,
    );
  });

  it('leases to who asks before its connection is there', async () => {
    await using server = await startRedis();
    const store = redisStore({ url: server.url });
    const lease = () => store.acquireLease('agent', { holder: 'host', ttlMs: 60_000 });
    const fence = await lease();
    expect(fence).toBeGreaterThan(0);
    await server.kill();
    await server.start();
    expect(await lease()).toBeGreaterThan(fence ?? 0);
    await store.close();
  });

  it('fails every call in time while there is no server, and the secret of its URL is in no message', async () => {
    const store = redisStore({ url: 'redis://:hunter2@127.0.0.1:1', deadlineMs: 100 });
    const calls = [store.id(), store.getExecution('a'), store.acquireLease('a', { holder: 'h', ttlMs: 1000 })];
    for (const result of await Promise.allSettled(calls)) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'store_unavailable' } });
      expect(JSON.stringify(result)).not.toContain('hunter2');
    }
    await store.close();
  });
});
