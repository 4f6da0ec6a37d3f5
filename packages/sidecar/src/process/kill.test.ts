import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { isAlive, type StartedTree, startTree, startTreeWith } from '../testing/trees.js';
import { killTree } from './kill.js';
import { probeMarkers, ProcessTree } from './tree/tree.js';

const kill = ({ tree, exited }: StartedTree) => killTree(tree, { ask: null, graceMs: 0, exited });

it.each([
  ['its soft limit, which the hard one outlasts', '1000:'],
  ['its limit and stays related', '1000:1000'],
])('a process that lowers %s is killed', async (_what, limit) => {
  const started = await startTreeWith(probeMarkers('rlimit'), `prlimit --msgqueue=${limit} setsid env -i SLEEP &`);
  expect(await kill(started)).toBe(0);
  expect(isAlive(started.other)).toBe(false);
});

describe('a machine without a free file', () => {
  const usual = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? '';
  let setFileLimit: (soft: string) => Promise<unknown>;
  const takeFiles = () => setFileLimit('3');
  const giveFilesBack = () => setFileLimit(usual);

  beforeEach(async () => {
    // A shell that is there already: none could be started without a file.
    const shell = spawn('/bin/sh', { stdio: ['pipe', 'pipe', 'ignore'] });
    onTestFinished(() => void shell.kill());
    await once(shell, 'spawn');
    setFileLimit = (soft) => {
      shell.stdin.write(`prlimit --pid ${process.pid} --nofile=${soft}: && echo done\n`);
      return once(shell.stdout, 'data');
    };
  });

  it('is none where nobody is there: survivors are not known, and found once one can look again', async () => {
    const started = await startTree(probeMarkers('auto'));
    await takeFiles();
    const survivors = await kill(started).finally(giveFilesBack);
    expect({ survivors, isAlive: isAlive(started.pid) }).toEqual({ survivors: null, isAlive: true });

    expect(await kill(started)).toBe(0);
    expect(isAlive(started.pid)).toBe(false);
  });

  it('is waited for while the time of the kill lasts', async () => {
    const started = await startTree(probeMarkers('auto'));
    await takeFiles();
    const killed = killTree(started.tree, { ask: 'SIGTERM', graceMs: 0, exited: started.exited });
    await giveFilesBack();
    expect(await killed).toBe(0);
    expect(isAlive(started.pid)).toBe(false);
  });

  it('hides a process that is started meanwhile only for as long', async () => {
    const { pid } = await startTree([]);
    const tree = ProcessTree.mark([], 'run');
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

describe.runIf(process.getuid?.() === 0)('a process of a user whom the supervisor may not signal', () => {
  const [OTHER_USER, SUPERVISOR] = [65_533, 65_534];

  it('is counted as a survivor, and does not keep the others from being killed', async () => {
    const script = `setpriv --reuid=${OTHER_USER} --clear-groups -- SLEEP &`;
    const started = await startTreeWith(probeMarkers('rlimit'), script);
    // Only root in effect may signal everybody.
    process.seteuid?.(SUPERVISOR);
    const survivors = await kill(started).finally(() => process.seteuid?.(0));
    expect({ survivors, first: isAlive(started.pid), other: isAlive(started.other) }).toEqual({
      survivors: 1,
      first: false,
      other: true,
    });
  });
});
