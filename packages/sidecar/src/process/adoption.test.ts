import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { monotonicMs } from '../clock.js';
import { attemptOn, createAttemptFiles, type Orphan, startOrphan } from '../testing/orphans.js';
import { GOOD, INIT } from '../testing/stream.js';
import { findSleep, isAlive, newSleep } from '../testing/trees.js';
import { type Attempt } from './attempt.js';
import { type MarkerName } from './tree/marker.js';
import { ProcessTable } from './tree/proc.js';
import { probeMarkers } from './tree/tree.js';

const HOUR_MS = 3_600_000;
const NOBODY = { pid: 2 ** 22 + 1, startTime: '1' };
const METHODS = (['cgroup', 'rlimit', 'lineage'] as const).filter((name) => probeMarkers(name).length > 0);
const line = (event: object) => `${JSON.stringify(event)}\n`;

const adopt = (attempt: Attempt, { noted }: Pick<Orphan, 'noted'>, method: MarkerName | 'auto' = 'auto') =>
  attempt.adopt(probeMarkers(method), noted);

/** What takes a moment takes longer on a busy machine. */
const poll = <T>(look: () => T) => expect.poll(look, { timeout: 15_000 });

/** What a kill says that has left nobody: what cannot count says so. */
const allDead = (method: MarkerName) => (probeMarkers(method).some((marker) => marker.isComplete) ? 0 : null);

describe('a run whose sidecar was killed (R1)', () => {
  const goOn = (orphan: Orphan) => writeFileSync(join(orphan.files.folder, 'go'), '');
  const script = `echo '${JSON.stringify(INIT)}'
    until [ -e go ]; do sleep 0.02; done
    echo '${JSON.stringify(GOOD)}'; exit 3`;

  it('goes on, and tells the next one all it tells, but for how it exits', async () => {
    const orphan = await startOrphan('auto', script);
    const { attempt, heard } = attemptOn(orphan.files);
    expect(await adopt(attempt, orphan)).toBe('adopted');
    expect(heard.launched).toEqual([{ at: orphan.noted.since, leader: orphan.noted.leader }]);
    await poll(() => attempt.report.model).toBe(INIT.model);
    expect(heard.exits).toEqual([]);
    goOn(orphan);
    await poll(() => heard.exits).toMatchObject([{ code: null, signal: null }]);
    expect(heard.order.filter((what) => ['launched', 'result', 'exit'].includes(what))).toEqual([
      'launched',
      'result',
      'exit',
    ]);
    expect(attempt.stdout.tail(10_000)).toBe(line(INIT) + line(GOOD));
    expect(await attempt.kill(0)).toBe(0);
  });

  it('and that ends before there is a next one has told it in its logs (R2)', async () => {
    const orphan = await startOrphan('auto', script);
    goOn(orphan);
    await poll(() => isAlive(orphan.noted.leader?.pid ?? 0)).toBe(false);
    const { attempt, heard } = attemptOn(orphan.files);
    const now = monotonicMs();
    expect(await adopt(attempt, orphan)).toBe('adopted');
    await poll(() => heard.order).toEqual(['launched', 'turn_started', 'result', 'exit']);
    const [exit] = heard.exits;
    expect(exit).toMatchObject({ code: null, signal: null });
    // It has ended before anybody looked.
    expect(exit?.at).toBeLessThan(now);
    expect(exit?.at).toBeGreaterThanOrEqual(heard.readings.at(-1)?.at ?? Infinity);
    expect(await attempt.kill(0)).toBe(0);
  });
});

it('what a run prints before it is found is told once it is (R1)', async () => {
  const script = `until [ -e go ]; do sleep 0.02; done; echo '${JSON.stringify(INIT)}'; echo '${JSON.stringify(GOOD)}'`;
  const orphan = await startOrphan('auto', script);
  const { attempt, heard } = attemptOn(orphan.files);
  // Who has followed the same files for less long has heard of it.
  const other = attemptOn(orphan.files);
  other.attempt.adoptDead(0, { isTreeDead: true });
  writeFileSync(join(orphan.files.folder, 'go'), '');
  await poll(() => other.heard.order).toContain('result');
  expect(heard.order).toEqual([]);
  expect(await adopt(attempt, orphan)).toBe('adopted');
  await poll(() => heard.order).toEqual(['launched', 'turn_started', 'result', 'exit']);
});

describe.each(METHODS)('found again by %s, a run', (method) => {
  it('is killed with whoever left its session with an empty environment', async () => {
    const [first, second] = [newSleep(), newSleep()];
    const orphan = await startOrphan(method, `setsid env -i PATH="$PATH" ${first} & ${second} & exec sleep 600`);
    const others = [await findSleep(first), await findSleep(second)];
    const { attempt, heard } = attemptOn(orphan.files);
    expect(await adopt(attempt, orphan, method)).toBe('adopted');
    expect(await attempt.kill(HOUR_MS)).toBe(allDead(method));
    expect(others.map(isAlive)).toEqual([false, false]);
    expect(heard.exits).toHaveLength(1);
  });

  it('is killed though its first process has ended', async () => {
    const sleep = newSleep();
    // What is related to nobody who lives and bears no mark is lost to lineage.
    const prefix = method === 'lineage' ? '' : 'setsid env -i PATH="$PATH" ';
    const orphan = await startOrphan(method, `${prefix}${sleep} & exit 0`);
    const other = await findSleep(sleep);
    await poll(() => isAlive(orphan.noted.leader?.pid ?? 0)).toBe(false);
    const { attempt, heard } = attemptOn(orphan.files);
    expect(await adopt(attempt, orphan, method)).toBe('adopted');
    await poll(() => heard.exits).toHaveLength(1);
    expect(isAlive(other)).toBe(true);
    expect(await attempt.kill(HOUR_MS)).toBe(allDead(method));
    expect(isAlive(other)).toBe(false);
  });

  it('is found though nobody noted its pid (R2)', async () => {
    const orphan = await startOrphan(method, 'sleep 600 & exec sleep 600');
    const { leader, marks, since } = orphan.noted;
    const { attempt, heard } = attemptOn(orphan.files);
    const earlier = since - HOUR_MS;
    expect(await adopt(attempt, { noted: { marks, leader: null, since: earlier } }, method)).toBe('adopted');
    expect(heard.launched.map((launched) => launched.leader)).toEqual([leader]);
    // Its start was looked up, to a hundredth of a second and what passes between two looks at a clock.
    expect(heard.launched[0]?.at).toBeGreaterThan(earlier + HOUR_MS / 2);
    expect(heard.launched[0]?.at).toBeLessThanOrEqual(monotonicMs());
    expect(await attempt.kill(HOUR_MS)).toBe(allDead(method));
    expect(isAlive(leader?.pid ?? 0)).toBe(false);
  });

  it('was never started where nobody bears its marks (R2)', async () => {
    const orphan = await startOrphan(method);
    const { attempt, heard } = attemptOn(orphan.files);
    expect(await adopt(attempt, orphan, method)).toBe('nothing_runs');
    expect(heard.order).toEqual([]);
    expect(await attempt.kill(0)).toBe(0);
  });
});

it('where a mark cannot be looked for, it is not said that nothing runs', async () => {
  const noted = { marks: { another: 'mark' }, leader: null, since: 0 };
  const { attempt } = attemptOn(createAttemptFiles());
  expect(await adopt(attempt, { noted })).toBe('nothing_found');
  expect(await attempt.kill(0)).toBeNull();
});

it.runIf(METHODS.includes('cgroup'))('a cgroup that is not there any more holds nobody', async () => {
  const noted = { marks: { cgroup: '/sys/fs/cgroup/outrigger-1-1-1-gone' }, leader: null, since: 0 };
  const { attempt } = attemptOn(createAttemptFiles());
  expect(await adopt(attempt, { noted })).toBe('nothing_runs');
});

it.runIf(METHODS.includes('cgroup') && METHODS.includes('rlimit'))(
  'a limit that a run of another sidecar has got since does not make it one of those that are dead (P5)',
  async () => {
    const neighbour = await startOrphan('auto', 'sleep 600');
    const pid = neighbour.noted.leader?.pid ?? 0;
    const marks = { ...neighbour.noted.marks, cgroup: '/sys/fs/cgroup/outrigger-1-1-1-gone' };
    const { attempt } = attemptOn(createAttemptFiles());
    expect(await adopt(attempt, { noted: { marks, leader: NOBODY, since: 0 } })).toBe('adopted');
    await attempt.kill(0);
    expect(isAlive(pid)).toBe(true);
  },
);

it('a process that has got the pid of a run by now is not adopted, and not killed (P5)', async () => {
  const newcomer = spawn('sleep', ['600'], { stdio: 'ignore', detached: true });
  onTestFinished(() => void newcomer.kill('SIGKILL'));
  await once(newcomer, 'spawn');
  const pid = newcomer.pid ?? 0;
  const noted = { marks: { lineage: 'OUTRIGGER_EXECUTION_ID=gone' }, leader: { pid, startTime: '1' }, since: 0 };
  const { attempt, heard } = attemptOn(createAttemptFiles());
  expect(await adopt(attempt, { noted }, 'lineage')).toBe('adopted');
  await poll(() => heard.exits).toHaveLength(1);
  expect(await attempt.kill(HOUR_MS)).toBeNull();
  // Who got another signal before does not end by this one.
  const exit = once(newcomer, 'exit');
  newcomer.kill('SIGTERM');
  expect(await exit).toEqual([null, 'SIGTERM']);
});

describe('what a run that is over has printed', () => {
  const adoptDead = async (files: Orphan['files'], since: number) => {
    const { attempt, heard } = attemptOn(files);
    await adopt(attempt, { noted: { marks: {}, leader: NOBODY, since } });
    await poll(() => heard.exits).toHaveLength(1);
    return { attempt, heard };
  };

  it.each([
    ['when it was written', -HOUR_MS, -HOUR_MS],
    ['at its start at the earliest', -3 * HOUR_MS, -2 * HOUR_MS],
    ['now at the latest', HOUR_MS, 0],
  ])('was printed %s', async (_what, writtenMs, toldMs) => {
    const files = createAttemptFiles();
    appendFileSync(files.stdout, line(GOOD));
    const written = (Date.now() + writtenMs) / 1000;
    [files.stdout, files.stderr].forEach((file) => utimesSync(file, written, written));
    const now = monotonicMs();
    const { attempt, heard } = await adoptDead(files, now - 2 * HOUR_MS);
    const minutes = (at: number | undefined) => Math.round(((at ?? Infinity) - now) / 60_000);
    const told = heard.readings.find(({ reading }) => reading.kind === 'result');
    expect([told?.at, heard.exits[0]?.at, attempt.grewAt].map(minutes)).toEqual(Array(3).fill(toldMs / 60_000));
  });

  it('is read to its end before its exit is told, however much it is', async () => {
    const files = createAttemptFiles();
    const chunk = `${'x'.repeat(1023)}\n`.repeat(1024);
    for (let i = 0; i < 64; i++) appendFileSync(files.stdout, chunk);
    appendFileSync(files.stdout, line(GOOD));
    const { heard } = await adoptDead(files, 0);
    expect(heard.order).toEqual(['launched', 'result', 'exit']);
  });
});

it.runIf(METHODS.includes('cgroup'))('a cgroup that was restored is no leftover, until it is given up', async () => {
  const orphan = await startOrphan('cgroup');
  const folder = orphan.noted.marks['cgroup'] ?? '';
  const [marker] = probeMarkers('cgroup');
  const mark = marker?.restore(folder);
  marker?.removeLeftovers();
  expect(existsSync(folder)).toBe(true);
  mark?.release();
  await poll(() => existsSync(folder)).toBe(false);
  expect(marker?.restore(folder)?.members(new ProcessTable())).toEqual([]);
  // Nothing else is ever taken for the group of a run.
  expect(marker?.restore(dirname(folder))).toBeNull();
});
