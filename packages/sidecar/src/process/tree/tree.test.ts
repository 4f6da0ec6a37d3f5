import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { type ProcessInfo } from '../../core/sweep.js';
import { ProcessTable, readProcess } from './proc.js';
import { probeMarkers, ProcessTree } from './tree.js';

const children: ChildProcess[] = [];
afterEach(() => children.splice(0).forEach((child) => child.kill('SIGKILL')));

async function sleeper(prefix: readonly string[] = []): Promise<ProcessInfo> {
  const [command = '', ...args] = Array.from([...prefix, 'sleep', '600']);
  const child = spawn(command, args, { stdio: 'ignore', detached: true });
  children.push(child);
  await once(child, 'spawn');
  const info = readProcess(child.pid ?? 0);
  if (info === null) throw new Error('the process is gone');
  return info;
}

/** A process that was stopped, or got another signal first, does not end by this one. */
async function expectUntouched(): Promise<void> {
  const child = children.at(-1);
  if (child === undefined) throw new Error('no process was started');
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  expect(await exit).toEqual([null, 'SIGTERM']);
}

describe('a process that got the pid of one that was looked at before (P5)', () => {
  const tree = () => ProcessTree.mark(probeMarkers('lineage'), 'run');

  it('is not stopped', async () => {
    const newcomer = await sleeper();
    tree().stop({ ...newcomer, startTime: '1' });
    await expectUntouched();
  });

  it('is not killed', async () => {
    const newcomer = await sleeper();
    tree().kill({ ...newcomer, startTime: '1' });
    await expectUntouched();
  });

  it('is not asked to end as the leader of the group it has', async () => {
    const leader = await sleeper();
    const run = tree();
    run.onLaunched(leader.pid);
    const exit = once(children[0] as ChildProcess, 'exit');
    children[0]?.kill('SIGKILL');
    await exit;
    await sleeper();
    run.ask('SIGKILL');
    await expectUntouched();
  });
});

describe.each(probeMarkers('auto').map((marker) => marker.name))('the marker %s', (name) => {
  it('tells the processes of two executions apart, and both from those of none', async () => {
    const [marker] = probeMarkers(name);
    if (marker === undefined) throw new Error('not offered');
    const [a, b] = [marker.mark('a'), marker.mark('b')];
    const ofA = await sleeper(a.prefix);
    const ofB = await sleeper(b.prefix);
    const ofNone = await sleeper();
    const pids = (mark: typeof a) => mark.members(new ProcessTable()).map((member) => member.pid);
    await expect.poll(() => pids(a)).toEqual([ofA.pid]);
    await expect.poll(() => pids(b)).toEqual([ofB.pid]);
    expect([...pids(a), ...pids(b)]).not.toContain(ofNone.pid);
  });
});
