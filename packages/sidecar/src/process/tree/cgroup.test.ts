import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { cgroupMarker } from './cgroup.js';
import { type Mark, type Marker } from './marker.js';
import { ProcessTable, readProcess } from './proc.js';
import { ProcessTree } from './tree.js';

const children: ChildProcess[] = [];
afterEach(() => children.splice(0).forEach((child) => child.kill('SIGKILL')));

async function start(prefix: readonly string[], ...command: string[]) {
  const [file = '', ...args] = [...prefix, ...command];
  const child = spawn(file, args, { stdio: 'ignore', detached: true });
  children.push(child);
  await once(child, 'spawn');
  const exited = once(child, 'exit');
  const end = () => {
    child.kill('SIGKILL');
    return exited;
  };
  return { pid: child.pid ?? 0, end };
}

function makeMark(): { mark: Mark; folder: string } {
  const mark = cgroupMarker()?.mark('run');
  if (mark === undefined) throw new Error('not offered');
  onTestFinished(() => mark.release());
  return { mark, folder: dirname(mark.prefix.at(-1) ?? '') };
}

const pidsOf = (mark: Mark) => mark.members(new ProcessTable()).map(({ pid }) => pid);

/** An execution with a group of its own and one process in it. */
async function startMarked(...command: string[]) {
  const made = makeMark();
  const started = await start(made.mark.prefix, ...command);
  await expect.poll(() => pidsOf(made.mark)).toEqual([started.pid]);
  return { ...made, ...started };
}

describe.runIf(cgroupMarker() !== null)('the cgroup of a run', () => {
  it('is removed when it is not busy any more, with what the run made in it', async () => {
    const { mark, folder, end } = await startMarked('sleep', '600');
    mkdirSync(join(folder, 'nested'));
    mark.release();
    expect(existsSync(folder)).toBe(true);
    await end();
    await expect.poll(() => existsSync(folder), { timeout: 5000 }).toBe(false);
  });

  it('shows what the run put into a threaded group, each process once', async () => {
    const { mark, folder, pid } = await startMarked(process.execPath, '-e', 'setInterval(() => {}, 1000)');
    const nested = join(folder, 'nested');
    mkdirSync(nested);
    writeFileSync(join(nested, 'cgroup.type'), 'threaded');
    writeFileSync(join(nested, 'cgroup.procs'), String(pid));
    expect(() => readFileSync(join(nested, 'cgroup.procs'))).toThrow('ENOTSUP');
    // Node has several threads once it runs.
    await expect
      .poll(() => readFileSync(join(nested, 'cgroup.threads'), 'utf8').trim().split('\n').length)
      .toBeGreaterThan(1);
    expect(new Set(pidsOf(mark))).toEqual(new Set([pid]));
  });

  it('has no members when it was removed, and cannot be killed', () => {
    const { mark, folder } = makeMark();
    rmdirSync(folder);
    expect(mark.members(new ProcessTable())).toEqual([]);
    mark.killAll();
    mark.release();
  });

  it('is given up when the run cannot have another mark', () => {
    const made: string[] = [];
    const cgroup = cgroupMarker();
    if (cgroup === null) throw new Error('not offered');
    const noted: Marker = {
      ...cgroup,
      mark: (id) => {
        const mark = cgroup.mark(id);
        made.push(dirname(mark.prefix.at(-1) ?? ''));
        return mark;
      },
    };
    const failing: Marker = {
      ...cgroup,
      mark: () => {
        throw new Error('every limit is in use');
      },
    };
    expect(() => ProcessTree.mark([noted, failing], 'run')).toThrow('every limit is in use');
    expect(made.map((folder) => existsSync(folder))).toEqual([false]);
  });

  it('is removed by the next sidecar when its own was killed, once it is empty', async () => {
    const { folder: ofThis } = makeMark();
    const owner = await start([], 'sleep', '600');
    const leftBy = ({ pid, startTime }: { pid: number; startTime: string }, namespace = '$1') => {
      const name = basename(makeMark().folder).replace(/-(\d+)-\d+-\d+-/, `-${namespace}-${pid}-${startTime}-`);
      const folder = join(dirname(ofThis), name);
      mkdirSync(folder);
      onTestFinished(() => (existsSync(folder) ? rmdirSync(folder) : undefined));
      return folder;
    };
    const sidecar = readProcess(owner.pid);
    if (sidecar === null) throw new Error('it has ended');
    const empty = leftBy(sidecar);
    mkdirSync(join(empty, 'nested'));
    const busy = leftBy(sidecar);
    mkdirSync(join(busy, 'nested'));
    const run = await start([], 'sleep', '600');
    writeFileSync(join(busy, 'nested', 'cgroup.procs'), String(run.pid));
    const ofLater = leftBy({ pid: process.pid, startTime: '1' });
    const elsewhere = leftBy(sidecar, '1');
    const there = () =>
      [ofThis, empty, busy, join(busy, 'nested'), ofLater, elsewhere].map((folder) => existsSync(folder));

    cgroupMarker()?.removeLeftovers();
    expect(there()).toEqual([true, true, true, true, false, true]);
    await owner.end();
    cgroupMarker()?.removeLeftovers();
    expect(there()).toEqual([true, false, true, true, false, true]);
    await run.end();
    const nextStart = () => (cgroupMarker()?.removeLeftovers(), there());
    await expect.poll(nextStart).toEqual([true, false, false, false, false, true]);
  });
});
