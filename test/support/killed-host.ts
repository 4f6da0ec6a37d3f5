import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { createFleet } from '@outrigger/sdk';
import { type FakeStep } from '@outrigger/sdk/testing';
import { fileStore } from './file-store.js';
import { script } from './fleet.js';
import { makeFolder } from './runs.js';
import { type TestSidecar } from './sidecar.js';

const CHILD = fileURLToPath(new URL('host.child.ts', import.meta.url));

const linesIn = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(Boolean) : []);

/** Starts the host of a run. @returns how many moments there were; null: it was killed at the n-th */
async function runHost(target: Pick<TestSidecar, 'url' | 'token'>, folder: string, id: string, n: number) {
  const steps: FakeStep[] = [
    { do: 'touch', path: join(folder, 'starts'), text: 'started\n' },
    { do: 'init' },
    { do: 'assistant', text: 'One.' },
    { do: 'assistant', text: 'Two.' },
    { do: 'result', result: 'Two.' },
  ];
  const args = ['--import', 'tsx', CHILD, target.url, target.token, folder, id, script(...steps), String(n)];
  const host = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(host, 'exit') as Promise<[code: number | null, signal: string | null]>;
  const [moments, [code, signal]] = await Promise.all([text(host.stdout), exited]);
  if (signal === 'SIGKILL') return null;
  if (code !== 0) throw new Error(`the host ended with ${String(code)}`);
  return Number(moments);
}

/** How many moments there are at which a host that dispatches, follows and acknowledges a run can die. */
export async function countMoments(target: Pick<TestSidecar, 'url' | 'token'>): Promise<number> {
  const folder = makeFolder();
  const moments = await runHost(target, folder.path, 'count', 0);
  folder.remove();
  return moments ?? 0;
}

/**
 * Kills a host at its n-th moment, and lets the next one do the same work: dispatch it again, in case it never was, and take the
 * outcome. @returns what was not as it should be; empty when nothing was
 */
export async function killHost(target: Pick<TestSidecar, 'url' | 'token'>, n: number): Promise<string[]> {
  const folder = makeFolder();
  const id = `killed-at-${n}`;
  const wasKilled = (await runHost(target, folder.path, id, n)) === null;
  await runHost(target, folder.path, id, 0);
  const store = await fileStore(join(folder.path, 'store'));
  const record = await store.getExecution(id);
  const seen = {
    starts: linesIn(join(folder.path, 'starts')).length,
    status: record?.conclusion?.outcome.status,
    isHandled: record?.conclusion?.isHandled,
    left: await unacknowledged(target, id),
  };
  const expected: typeof seen = { starts: 1, status: 'succeeded', isHandled: true, left: 0 };
  const handled = linesIn(join(folder.path, 'handled')).filter((line) => line === id).length;
  folder.remove();
  // Whoever is killed between taking an outcome and noting that he has takes it again.
  const isRight = JSON.stringify(seen) === JSON.stringify(expected) && handled >= 1 && handled <= (wasKilled ? 2 : 1);
  return isRight ? [] : [JSON.stringify({ n, wasKilled, handled, seen })];
}

/** Whether the agent would send the outcome again. */
async function unacknowledged({ url, token }: Pick<TestSidecar, 'url' | 'token'>, id: string): Promise<number> {
  const seen: string[] = [];
  const fleet = createFleet({ onOutcome: ({ executionId }) => void seen.push(executionId) });
  const agent = await fleet.connect({ url, token });
  await agent.status();
  await fleet.close();
  return seen.filter((executionId) => executionId === id).length;
}
