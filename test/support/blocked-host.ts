import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { redisStore } from '@outrigger/sdk/redis';
import { outcomeOf } from '../../packages/sdk/src/store/contract-values.js';

const CHILD = fileURLToPath(new URL('blocked-host.child.ts', import.meta.url));

/** What a host is told that did what it wanted to do too late. */
export const REFUSED = ['stale_fence', 'stale_fence', false, false];

/**
 * Lets a host hold a lease, a claim and a version in Redis for `holdMs`, stand still for twice that time, and write then, while
 * another one takes its place. @returns what came of the late writes; see {@link REFUSED}
 */
export async function blockHost(url: string, prefix: string, holdMs: number): Promise<unknown> {
  const agentId = 'agent';
  const host = spawn(process.execPath, ['--import', 'tsx', CHILD, url, prefix, agentId, String(holdMs)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const store = redisStore({ url, prefix });
  const next = { holder: 'next', ttlMs: 60_000 };
  const end = { attempt: 1, stdout: 0, stderr: 0 };
  try {
    for await (const line of createInterface({ input: host.stdout })) {
      if (line !== 'holding') return JSON.parse(line) as unknown;
      await until(async () => (await store.acquireLease(agentId, next)) !== null);
      await until(
        async () => (await store.recordOutcome({ agentId, outcome: outcomeOf('ended'), end }, next)).claim !== null,
      );
      const { version } = await store.readDocument('pool');
      await store.writeDocument('pool', { value: 'next', ifVersion: version, version: 'next' });
    }
    throw new Error('the host ended without a word');
  } finally {
    host.kill('SIGKILL');
    await store.close();
  }
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 10));
}
