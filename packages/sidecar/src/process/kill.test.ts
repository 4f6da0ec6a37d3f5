import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomInt, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { killTree } from './kill.js';
import { type Marker } from './tree/marker.js';
import { listPids, readProcess, readQueueLimit } from './tree/proc.js';
import { rlimitMarker } from './tree/rlimit.js';
import { probeMarkers, ProcessTree } from './tree/tree.js';

const children: ChildProcess[] = [];
afterEach(() => children.splice(0).forEach((child) => child.kill('SIGKILL')));

/** A tree whose first process is a sleep, marked as that of a run is, and runs `script` before. */
async function startTree(markers = probeMarkers('auto'), script = ':') {
  const tree = new ProcessTree(markers, randomUUID());
  const [command = '', ...args] = Array.from([...tree.prefix, '/bin/sh', '-c', `${script}\nexec sleep 600`]);
  const child = spawn(command, args, { stdio: 'ignore', detached: true });
  children.push(child);
  await once(child, 'spawn');
  const pid = child.pid ?? 0;
  tree.onLaunched(pid);
  await expect.poll(() => readFileSync(`/proc/${pid}/comm`, 'utf8')).toBe('sleep\n');
  return { tree, pid, exited: once(child, 'exit').then(() => undefined) };
}

const commandOf = (pid: number) => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim();
  } catch {
    return null;
  }
};
const isAlive = (pid: number) => readProcess(pid)?.isDead === false;

describe('a process that takes off the mark of a limit', () => {
  const sleepers: number[] = [];
  afterEach(() => sleepers.splice(0).forEach((pid) => isAlive(pid) && process.kill(pid, 'SIGKILL')));

  /** Starts a tree whose script starts one more process, and says which that is. */
  async function startEscape(markers: Marker[], script: string) {
    const seconds = String(randomInt(100_000, 1_000_000));
    const started = await startTree(markers, script.replace('SLEEP', `sleep ${seconds}`));
    const find = () => listPids().filter((pid) => commandOf(pid) === `sleep ${seconds}`);
    await expect.poll(find).toHaveLength(1);
    sleepers.push(...find());
    return { ...started, escaped: sleepers[0] ?? 0 };
  }
  const kill = ({ tree, exited }: Awaited<ReturnType<typeof startTree>>) =>
    killTree(tree, { ask: null, graceMs: 0, exited });
  const LOWERED = 'prlimit --msgqueue=1000:1000';

  /*
   * A sidecar beside this test must not lose count of its own runs for the sake of these escapees. So they have a limit
   * that is a mark to everybody but this process, whose own limit, and so its marks, are others.
   */
  const marks = (count: number) => {
    const marker = rlimitMarker();
    if (marker === null) throw new Error('not offered');
    const made = Array.from({ length: count }, () => marker.mark(''));
    return { marker, sorted: made.toSorted((a, b) => a.prefix.join().localeCompare(b.prefix.join())) };
  };
  const ESCAPED = marks(100).sorted[0]?.prefix.join(' ') ?? '';
  beforeAll(() => {
    const limit = Math.min(readQueueLimit('self') ?? 0, 819_200) - 10;
    execFileSync('prlimit', ['--pid', String(process.pid), `--msgqueue=${limit}:${limit}`]);
  });

  /** With a mark that is higher than what is escaped to. */
  function rlimitAlone(): Marker[] {
    const { marker, sorted } = marks(20);
    return [{ ...marker, mark: () => sorted.at(-1) ?? marker.mark('') }];
  }

  it.each([
    ['by its soft limit, which the hard one outlasts', 'prlimit --msgqueue=1000: setsid env -i SLEEP &'],
    ['and stays related', `${LOWERED} setsid env -i SLEEP &`],
  ])('%s is killed', async (_how, script) => {
    const started = await startEscape(probeMarkers('rlimit'), script);
    expect(await kill(started)).toBe(0);
    expect(isAlive(started.escaped)).toBe(false);
  });

  it('and all its relations leaves survivors unknown, for as long as it lives', async () => {
    const started = await startEscape(rlimitAlone(), `(${ESCAPED} setsid env -i SLEEP &)`);
    expect(await kill(started)).toBeNull();
    expect(isAlive(started.escaped)).toBe(true);
    process.kill(started.escaped, 'SIGKILL');
    await expect.poll(() => isAlive(started.escaped)).toBe(false);
    expect(await kill(started)).toBe(0);
  });

  it('leaves those of a later tree known', async () => {
    const older = await startEscape(rlimitAlone(), `(${ESCAPED} SLEEP &)`);
    // Its start time is counted in hundredths of a second.
    const isLater = async () => {
      const { pid } = await startTree(rlimitAlone());
      return Number(readProcess(pid)?.startTime) > Number(readProcess(older.escaped)?.startTime);
    };
    await expect.poll(isLater).toBe(true);
    const later = await startTree(rlimitAlone());
    expect(await kill(later)).toBe(0);
    expect(await kill(older)).toBeNull();
  });
});

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
    const tree = new ProcessTree(probeMarkers('lineage'), randomUUID());
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
