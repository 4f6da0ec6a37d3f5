import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type LimitedProcess, type LimitedTree, possibleEscapees } from './escape.js';

const SIDECAR = 5;
const MARK = 1000;
const OTHER_MARK = 900;

const processOf = (pid: number, fields: Partial<LimitedProcess> = {}): LimitedProcess => ({
  pid,
  startTime: '100',
  parent: 1,
  group: pid,
  session: pid,
  isDead: false,
  limit: 10,
  ...fields,
});
const leader = processOf(10, { parent: SIDECAR, limit: MARK });
const tree: LimitedTree = {
  leader,
  mark: MARK,
  isMark: (limit) => limit === MARK || limit === OTHER_MARK,
  adopters: new Set([1, SIDECAR]),
};
const escapees = (...processes: LimitedProcess[]) => possibleEscapees(processes, tree).map(({ pid }) => pid);

describe('who may have escaped a tree by a lowered limit', () => {
  it.each<[string, Partial<LimitedProcess>, LimitedProcess[]]>([
    ['an orphan that init has', { parent: 1 }, []],
    ['an orphan that the supervisor was given', { parent: SIDECAR }, []],
    ['the child of one that bears the mark', { parent: 10 }, [leader]],
    ['the child of another such', { parent: 30 }, [processOf(30, { isDead: true })]],
    ['one whose parent has ended since', { parent: 99 }, []],
  ])('is %s', (_who, fields, others) => {
    expect(escapees(processOf(20, fields), ...others)).toEqual([20]);
  });

  it.each<[string, Partial<LimitedProcess>, LimitedProcess[]]>([
    ['bears the mark, and is no escapee', { limit: MARK }, []],
    ['bears the mark of another tree', { limit: OTHER_MARK }, []],
    ['has the limit of any process', { limit: MARK + 1 }, []],
    ['has none', { limit: Infinity }, []],
    ['is older than the tree', { startTime: '99' }, []],
    ['has ended', { isDead: true }, []],
    ['came from outside the container', { parent: 0 }, []],
    ['is the child of one with the limit of any process', { parent: 30 }, [processOf(30, { limit: Infinity })]],
    ['is the child of one of another tree', { parent: 30 }, [processOf(30, { limit: OTHER_MARK })]],
    ['is the child of an older one', { parent: 30 }, [processOf(30, { startTime: '99', isDead: true })]],
  ])('is not who %s', (_who, fields, others) => {
    expect(escapees(processOf(20, fields), ...others)).toEqual([]);
  });

  it('compares times as numbers', () => {
    expect(escapees(processOf(20, { startTime: '1000' }))).toEqual([20]);
    expect(escapees(processOf(20, { startTime: '99' }))).toEqual([]);
  });

  it('is found among all that ever descended from the tree, however it is listed and whoever has ended', () => {
    // Each is the child of an earlier one, lowers its limit or not, and may end: its children are init's then.
    const life = fc.record({ parent: fc.nat(), isLowered: fc.boolean(), isOver: fc.boolean() });
    fc.assert(
      fc.property(fc.array(life, { minLength: 1, maxLength: 8 }), (lives) => {
        const all = [leader];
        for (const [i, { parent, isLowered }] of lives.entries()) {
          const from = all[parent % all.length] ?? leader;
          const limit = isLowered ? Math.min(from.limit, 10) : from.limit;
          all.push(processOf(20 + i, { parent: from.pid, limit }));
        }
        const isOver = ({ pid }: LimitedProcess) => lives[pid - 20]?.isOver === true;
        const over = new Set(all.filter(isOver).map(({ pid }) => pid));
        const listed = all
          .filter((process) => !isOver(process))
          .map((process) => (over.has(process.parent) ? { ...process, parent: 1 } : process));
        const lowered = listed.filter(({ limit }) => limit < MARK).map(({ pid }) => pid);
        expect(escapees(...listed.toReversed()).toReversed()).toEqual(lowered);
      }),
    );
  });

  it('is told in the end even where the parents that were read go round in a circle', () => {
    expect(escapees(processOf(20, { parent: 30 }), processOf(30, { parent: 20 }))).toEqual([20, 30]);
  });
});
