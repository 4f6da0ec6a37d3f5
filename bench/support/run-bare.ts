import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

/** Runs a command that prints one line of JSON, and resolves with that. */
export async function runBare(command: string): Promise<unknown> {
  const child = spawn(command, { stdio: ['ignore', 'pipe', 'ignore'], detached: true });
  const [printed] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  return JSON.parse(printed) as unknown;
}
