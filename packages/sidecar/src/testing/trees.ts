import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { expect, onTestFinished } from 'vitest';
import { type Marker } from '../process/tree/marker.js';
import { listPids, readProcess } from '../process/tree/proc.js';
import { ProcessTree } from '../process/tree/tree.js';

/** A marked tree whose first process becomes a sleep after it has run a shell script. */
export interface StartedTree {
  readonly tree: ProcessTree;
  readonly pid: number;
  readonly exited: Promise<void>;
}

export async function startTree(markers: readonly Marker[], script = ':'): Promise<StartedTree> {
  const tree = ProcessTree.mark(markers, randomUUID());
  const child = start([...tree.prefix, '/bin/sh', '-c', `${script}\nexec sleep 600`]);
  const exited = once(child, 'exit').then(() => undefined);
  await once(child, 'spawn');
  const pid = child.pid ?? 0;
  tree.onLaunched(pid);
  await expect.poll(() => commandOf(pid)).toBe('sleep 600');
  return { tree, pid, exited };
}

/** Starts a tree whose script starts one more process, a SLEEP, and finds that one. */
export async function startTreeWith(
  markers: readonly Marker[],
  script: string,
): Promise<StartedTree & { other: number }> {
  const sleep = newSleep();
  const started = await startTree(markers, script.replace('SLEEP', sleep));
  return { ...started, other: await findSleep(sleep) };
}

/** A command that no other process has. */
export const newSleep = (): string => `sleep ${randomInt(100_000, 1_000_000)}`;

/** The one process that has this command. It does not outlive the test. */
export async function findSleep(sleep: string): Promise<number> {
  const find = () => listPids().filter((pid) => commandOf(pid) === sleep);
  await expect.poll(find, { timeout: 10_000 }).toHaveLength(1);
  const [found = 0] = find();
  onTestFinished(() => {
    if (isAlive(found)) process.kill(found, 'SIGKILL');
  });
  return found;
}

export const isAlive = (pid: number): boolean => readProcess(pid)?.isDead === false;

function start([command = '', ...args]: string[]): ChildProcess {
  const child = spawn(command, args, { stdio: 'ignore', detached: true });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

function commandOf(pid: number): string | null {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim();
  } catch {
    return null;
  }
}
