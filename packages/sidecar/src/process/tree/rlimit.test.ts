import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { isAlive, startTree, startTreeWith } from '../../testing/trees.js';
import { killTree } from '../kill.js';
import { readProcess, readQueueLimit } from './proc.js';
import { rlimitMarker } from './rlimit.js';

/*
 * A sidecar beside this test must not lose count of its own runs for the sake of what escapes here. So that has a limit
 * which is a mark to everybody but this process, whose own limit, and so its marks, are others.
 */
const [prlimit = '', ...lowered] = makeMarks(100)[0]?.prefix ?? [];
lowerOwnLimit();

/** Marks by their limit, the lowest first. */
function makeMarks(count: number) {
  const marker = rlimitMarker();
  if (marker === null) throw new Error('not offered');
  const marks = Array.from({ length: count }, () => marker.mark(''));
  return marks.toSorted((a, b) => a.prefix.join().localeCompare(b.prefix.join()));
}

function lowerOwnLimit(): void {
  const limit = Math.min(readQueueLimit('self') ?? 0, 819_200) - 10;
  execFileSync(prlimit, ['--pid', String(process.pid), `--msgqueue=${limit}:${limit}`]);
}

/** A tree with the highest of many marks, so that what escapes from it can lower its limit. */
async function startEscape() {
  const mark = makeMarks(20).at(-1);
  if (mark === undefined) throw new Error('not offered');
  const marker = { name: 'rlimit', isComplete: true, mark: () => mark } as const;
  const started = await startTreeWith([marker], `(${[prlimit, ...lowered].join(' ')} setsid env -i SLEEP &)`);
  return { ...started, escapees: () => mark.possibleEscapees().map(({ pid }) => pid) };
}

it('who lowers its limit and is related to nobody leaves survivors unknown, for as long as it lives', async () => {
  const { tree, other, exited, escapees } = await startEscape();
  expect(await killTree(tree, { ask: null, graceMs: 0, exited })).toBeNull();
  expect(isAlive(other)).toBe(true);
  expect(escapees()).toContain(other);
  process.kill(other, 'SIGKILL');
  await expect.poll(escapees).not.toContain(other);
});

it('who has escaped from a tree is none of a later one', async () => {
  const { other } = await startEscape();
  const [mark] = makeMarks(1);
  if (mark === undefined) throw new Error('not offered');
  const startLater = async () => {
    const { pid } = await startTree([{ name: 'rlimit', isComplete: true, mark: () => mark }]);
    return Number(readProcess(pid)?.startTime);
  };
  // Times are in hundredths of a second.
  await expect.poll(startLater).toBeGreaterThan(Number(readProcess(other)?.startTime));
  expect(mark.possibleEscapees().map(({ pid }) => pid)).not.toContain(other);
});
