import { setTimeout as sleep } from 'node:timers/promises';

/** Waits for `event`, but no longer than `ms`. Leaves no timer behind. */
export async function waitAtMost(ms: number, event: Promise<unknown>): Promise<void> {
  const timer = new AbortController();
  const isOver = sleep(ms, undefined, { signal: timer.signal }).catch(() => undefined);
  await Promise.race([event, isOver]);
  timer.abort();
}
