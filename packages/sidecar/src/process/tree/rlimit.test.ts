import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { isAlive, startTree, startTreeWith } from '../../testing/trees.js';
import { killTree } from '../kill.js';
import { type Mark, type Marker } from './marker.js';
import { ProcessTable, readProcess, readQueueLimit } from './proc.js';
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

const markerOf = (mark: Mark): Marker => ({
  name: 'rlimit',
  isComplete: true,
  mark: () => mark,
  restore: () => null,
  removeLeftovers: () => undefined,
});

/** A tree with the highest of many marks, so that what escapes from it can lower its limit. */
async function startEscape() {
  const mark = makeMarks(20).at(-1);
  if (mark === undefined) throw new Error('not offered');
  const started = await startTreeWith([markerOf(mark)], `(${[prlimit, ...lowered].join(' ')} setsid env -i SLEEP &)`);
  return { ...started, escapees: () => mark.possibleEscapees(new ProcessTable()).map(({ pid }) => pid) };
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
    const { pid } = await startTree([markerOf(mark)]);
    return Number(readProcess(pid)?.startTime);
  };
  // Times are in hundredths of a second.
  await expect.poll(startLater).toBeGreaterThan(Number(readProcess(other)?.startTime));
  expect(mark.possibleEscapees(new ProcessTable()).map(({ pid }) => pid)).not.toContain(other);
});

it('a limit that was restored marks no other run', () => {
  const marker = rlimitMarker();
  const free = marker?.mark('');
  const limit = Number(free?.state);
  free?.release();
  const MARK_SPACING = 64;
  for (let other = limit % MARK_SPACING; other < 819_200; other += MARK_SPACING) {
    if (other > 0 && other !== limit) marker?.restore(String(other));
  }
  expect(marker?.mark('').state).toBe(String(limit));
  expect(() => marker?.mark('')).toThrow('every limit');
  expect(marker?.restore('none')).toBeNull();
});
