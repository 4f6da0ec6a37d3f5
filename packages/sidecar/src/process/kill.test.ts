import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { killTree } from './kill.js';
import { readProcess } from './tree/proc.js';
import { probeMarkers, ProcessTree } from './tree/tree.js';

const children: ChildProcess[] = [];
afterEach(() => children.splice(0).forEach((child) => child.kill('SIGKILL')));

/** A tree of one process, marked as that of a run is. */
async function startTree(markers = probeMarkers('auto')) {
  const tree = new ProcessTree(markers, 'run');
  const [command = '', ...args] = Array.from([...tree.prefix, 'sleep', '600']);
  const child = spawn(command, args, { stdio: 'ignore', detached: true });
  children.push(child);
  await once(child, 'spawn');
  const pid = child.pid ?? 0;
  await expect.poll(() => readFileSync(`/proc/${pid}/comm`, 'utf8')).toBe('sleep\n');
  return { tree, pid, exited: once(child, 'exit').then(() => undefined) };
}

const isAlive = (pid: number) => readProcess(pid)?.isDead === false;

describe('a machine without a free file', () => {
  const usual = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? '';
  let setFileLimit: (soft: string) => Promise<unknown>;
  const takeFiles = () => setFileLimit('3');
  const giveFilesBack = () => setFileLimit(usual);

  beforeEach(async () => {
    // A shell that is there already: none could be started without a file.
    const shell = spawn('/bin/sh', { stdio: ['pipe', 'pipe', 'ignore'] });
    children.push(shell);
    await once(shell, 'spawn');
    setFileLimit = (soft) => {
      shell.stdin.write(`prlimit --pid ${process.pid} --nofile=${soft}: && echo done\n`);
      return once(shell.stdout, 'data');
    };
  });

  it('is none where nobody is there: survivors are not known, and found once one can look again', async () => {
    const { tree, pid, exited } = await startTree();
    await takeFiles();
    const survivors = await killTree(tree, { ask: null, graceMs: 0, exited }).finally(giveFilesBack);
    expect({ survivors, isAlive: isAlive(pid) }).toEqual({ survivors: null, isAlive: true });

    expect(await killTree(tree, { ask: null, graceMs: 0, exited })).toBe(0);
    expect(isAlive(pid)).toBe(false);
  });

  it('is waited for while the time of the kill lasts', async () => {
    const { tree, pid, exited } = await startTree();
    await takeFiles();
    const killed = killTree(tree, { ask: 'SIGTERM', graceMs: 0, exited });
    await giveFilesBack();
    expect(await killed).toBe(0);
    expect(isAlive(pid)).toBe(false);
  });

  it('hides a process that is started meanwhile only for as long', async () => {
    const { pid } = await startTree();
    const tree = new ProcessTree(probeMarkers('lineage'), 'run');
    await takeFiles();
    try {
      tree.onLaunched(pid);
      expect(() => tree.members()).toThrow('EMFILE');
    } finally {
      await giveFilesBack();
    }
    expect(tree.members().map((member) => member.pid)).toEqual([pid]);
  });
});
