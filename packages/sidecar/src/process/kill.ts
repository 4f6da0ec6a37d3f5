/** How long a killed group may take to vanish. */
const KILL_WAIT_MS = 5000;
const LOOK_INTERVAL_MS = 10;

/**
 * Ends a process group: asks it to end, waits at most `graceMs`, then kills it.
 *
 * @returns The processes found alive afterwards. Null, because a process can have left the group unnoticed.
 */
export async function killGroup(groupId: number, graceMs: number): Promise<number | null> {
  if (graceMs > 0 && signalGroup(groupId, 'SIGTERM')) await groupGone(groupId, graceMs);
  if (signalGroup(groupId, 'SIGKILL')) await groupGone(groupId, KILL_WAIT_MS);
  return null;
}

/** False: nobody is left in the group. */
function signalGroup(groupId: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-groupId, signal);
  } catch {
    return false;
  }
}

async function groupGone(groupId: number, timeoutMs: number): Promise<void> {
  const startedAt = performance.now();
  while (performance.now() - startedAt < timeoutMs && signalGroup(groupId, 0)) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_INTERVAL_MS));
  }
}
