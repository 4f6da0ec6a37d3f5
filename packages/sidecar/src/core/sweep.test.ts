import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NEW_SWEEP, nextStep, type ProcessInfo, relatives, type Sweep } from './sweep.js';

/** A process that leads its own group and session, unless told otherwise. */
const processOf = (pid: number, fields: Partial<ProcessInfo> = {}): ProcessInfo => ({
  pid,
  startTime: `t${pid}`,
  parent: 1,
  group: pid,
  session: pid,
  isDead: false,
  ...fields,
});

const pids = (processes: readonly ProcessInfo[]) => processes.map(({ pid }) => pid).toSorted((a, b) => a - b);

describe('a sweep', () => {
  const a = processOf(10);
  const b = processOf(11);

  it('P3: stops what is new before it kills anything, and goes on until nothing new turns up', () => {
    const first = nextStep(NEW_SWEEP, [a]);
    expect(first).toMatchObject({ do: 'stop', processes: [a] });
    if (first.do !== 'stop') return;
    // The second one was forked before the first was stopped.
    const second = nextStep(first.sweep, [a, b]);
    expect(second).toMatchObject({ do: 'stop', processes: [b] });
    if (second.do !== 'stop') return;
    expect([...second.sweep.stopped]).toEqual([
      [10, 't10'],
      [11, 't11'],
    ]);
    expect(nextStep(second.sweep, [a, b])).toEqual({ do: 'kill', processes: [a, b], sweep: second.sweep });
  });

  it('P5: takes a pid that is used again for somebody new', () => {
    const sweep: Sweep = { stopped: new Map([[10, 't10']]), cleanLooks: 0 };
    const reused = processOf(10, { startTime: 'later' });
    expect(nextStep(sweep, [reused])).toMatchObject({ do: 'stop', processes: [reused] });
  });

  it('believes that nobody is left after three looks in a row, and not before', () => {
    const once = nextStep(NEW_SWEEP, []);
    expect(once).toEqual({ do: 'look_again', sweep: { stopped: new Map(), cleanLooks: 1 } });
    if (once.do !== 'look_again') return;
    const twice = nextStep(once.sweep, []);
    expect(twice).toMatchObject({ do: 'look_again', sweep: { cleanLooks: 2 } });
    if (twice.do !== 'look_again') return;
    expect(nextStep(twice.sweep, [])).toEqual({ do: 'finish' });
    // Somebody who turns up begins the count anew.
    expect(nextStep(twice.sweep, [a])).toMatchObject({ do: 'stop', sweep: { cleanLooks: 0 } });
    expect(nextStep({ stopped: new Map([[10, 't10']]), cleanLooks: 2 }, [a])).toMatchObject({
      do: 'kill',
      sweep: { cleanLooks: 0 },
    });
  });

  it('keeps what it stopped while it looks', () => {
    const sweep: Sweep = { stopped: new Map([[10, 't10']]), cleanLooks: 0 };
    expect(nextStep(sweep, [])).toEqual({ do: 'look_again', sweep: { ...sweep, cleanLooks: 1 } });
  });

  it('does not care for the dead', () => {
    const dead = processOf(10, { isDead: true });
    expect(nextStep(NEW_SWEEP, [dead])).toMatchObject({ do: 'look_again' });
    expect(nextStep(NEW_SWEEP, [dead, b])).toMatchObject({ do: 'stop', processes: [b] });
    const sweep: Sweep = { stopped: new Map([[11, 't11']]), cleanLooks: 0 };
    expect(nextStep(sweep, [dead, b])).toMatchObject({ do: 'kill', processes: [b] });
  });

  it('P3: never kills somebody it has not stopped, and ends once nobody is left, whatever turns up', () => {
    const look = fc.subarray([1, 2, 3, 4].map((pid) => processOf(pid)));
    fc.assert(
      fc.property(fc.array(look, { maxLength: 10 }), (looks) => {
        let sweep = NEW_SWEEP;
        const stopped = new Set<number>();
        for (const members of [...looks, [], [], []]) {
          const step = nextStep(sweep, members);
          if (step.do === 'finish') return;
          if (step.do === 'stop') step.processes.forEach(({ pid }) => stopped.add(pid));
          if (step.do === 'kill') expect(step.processes.every(({ pid }) => stopped.has(pid))).toBe(true);
          if (step.do !== 'look_again') expect(members).toEqual(expect.arrayContaining([...step.processes]));
          sweep = step.sweep;
        }
        expect.unreachable('it looks for ever');
      }),
    );
  });
});

describe('the relatives of a process', () => {
  const root = processOf(10);

  it.each<[string, Partial<ProcessInfo>]>([
    ['its child', { parent: 10 }],
    ['a member of its group, whoever its parent is', { group: 10 }],
    ['a member of its session', { session: 10 }],
  ])('are %s', (_what, fields) => {
    expect(pids(relatives([root, processOf(20, fields), processOf(30)], [root]))).toEqual([10, 20]);
  });

  it('are those of its relatives too, in whatever order they are listed', () => {
    const child = processOf(20, { parent: 10 });
    const inGroup = processOf(30, { group: 20 });
    const inSession = processOf(40, { session: 30 });
    const deepest = processOf(50, { parent: 40 });
    const all = [root, child, inGroup, inSession, deepest, processOf(60)];
    fc.assert(
      fc.property(fc.shuffledSubarray(all, { minLength: all.length }), (listed) => {
        expect(pids(relatives(listed, [root]))).toEqual([10, 20, 30, 40, 50]);
      }),
    );
  });

  it('P2: are found by its group or session when it is gone itself', () => {
    const orphan = processOf(20, { group: 10 });
    expect(relatives([orphan], [root])).toEqual([orphan]);
    expect(relatives([processOf(20, { session: 10 })], [root])).toHaveLength(1);
    // A parent is there as long as the child names it, so this is the child of somebody else.
    expect(relatives([processOf(20, { parent: 10 })], [root])).toEqual([]);
  });

  it('are none where nothing is known, and not the process that is unrelated', () => {
    expect(relatives([processOf(20), processOf(30, { parent: 20 })], [])).toEqual([]);
    expect(relatives([processOf(20)], [root])).toEqual([]);
  });

  it('P5: are neither the newcomer under its pid nor the group and session that one leads', () => {
    const newcomer = processOf(10, { startTime: 'later' });
    const listed = [
      newcomer,
      processOf(20, { parent: 10 }),
      processOf(30, { group: 10 }),
      processOf(40, { session: 10 }),
    ];
    expect(relatives(listed, [root])).toEqual([]);
  });

  it('P5: are not a newcomer under the pid of another of them, whatever it descends from', () => {
    const gone = processOf(20, { parent: 10 });
    const newcomer = processOf(20, { startTime: 'later', parent: 10 });
    expect(pids(relatives([root, newcomer], [root, gone]))).toEqual([10]);
    expect(pids(relatives([root, newcomer], [root]))).toEqual([10, 20]);
  });

  it('P5: never hold a newcomer with a pid that is used again, and always whom they knew, whoever is related to whom', () => {
    const pid = fc.integer({ min: 2, max: 9 });
    const process = fc.record({ pid, parent: fc.integer({ min: 1, max: 9 }), group: pid, session: pid });
    const listed = fc.uniqueArray(process, { selector: (each) => each.pid, maxLength: 8 });
    fc.assert(
      fc.property(listed, listed, fc.func(fc.boolean()), (before, now, isReused) => {
        const known = before.map((each) => ({ ...each, startTime: 'old', isDead: false }));
        const processes = now.map((each) => ({
          ...each,
          startTime: isReused(each.pid) ? 'new' : 'old',
          isDead: false,
        }));
        const found = relatives(processes, known);
        const knownPids = new Set(pids(known));
        expect(found.filter((each) => each.startTime === 'new' && knownPids.has(each.pid))).toEqual([]);
        const still = processes.filter((each) => each.startTime === 'old' && knownPids.has(each.pid));
        expect(found).toEqual(expect.arrayContaining(still));
        expect(new Set(found).size).toBe(found.length);
      }),
      { numRuns: 1000 },
    );
  });
});
