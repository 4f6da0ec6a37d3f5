import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { accepted, anyRecord, HEADER, outcomeOf, VERDICT } from '../testing/journal-records.js';
import { foldJournal, JournalFold, REMEMBERED_CANCELS_MAX } from './journal-fold.js';
import { recordsOf } from './journal-records.js';
import { type JournalRecord, type JournalState } from './journal-state.js';

const start = { marks: { rlimit: '1' }, placeholderHash: null, gatewayPort: null, settings: null };
const starting = (attempt: number, more: object = {}) =>
  ({ is: 'starting', id: 'a', attempt, session: 'start', sessionId: 's', start, ...more }) as const;
const launched = (attempt: number, at = 7) =>
  ({ is: 'launched', id: 'a', attempt, at, pid: 70 + attempt, startTime: '1' }) as const;
const fold = (...records: JournalRecord[]) => foldJournal(records).executions.get('a');
/** In the order in which they are kept, too. */
const orderOf = ({ executions, tombstones }: JournalState) => [[...executions.keys()], [...tombstones.keys()]];

describe('for any records, in any order, repeated, and of ids that nobody knows', () => {
  // Without a beginning most of them are about nobody.
  const someRecords = fc.tuple(fc.subarray([accepted('a'), accepted('b')]), fc.array(anyRecord, { maxLength: 30 }));

  it('the fewest records that amount to the same do', () => {
    fc.assert(
      fc.property(someRecords, ([begin, rest]) => {
        const state = foldJournal([...begin, ...rest]);
        const again = foldJournal(recordsOf(state));
        expect(again).toEqual(state);
        expect(orderOf(again)).toEqual(orderOf(state));
      }),
      { numRuns: 2000 },
    );
  });

  it('a journal that goes on behind them is one that goes on behind all', () => {
    fc.assert(
      fc.property(someRecords, fc.array(anyRecord, { maxLength: 10 }), ([begin, rest], later) => {
        const whole = [...begin, ...rest];
        const fewest = recordsOf(foldJournal(whole));
        expect(foldJournal([...fewest, ...later])).toEqual(foldJournal([...whole, ...later]));
      }),
      { numRuns: 2000 },
    );
  });
});

it('an execution is known as far as it was written down', () => {
  expect(fold(accepted('a'), starting(1), launched(1))).toMatchObject({
    accepted: accepted('a'),
    attempts: [{ number: 1, session: 'start', start, launched: { at: 7, pid: 71, startTime: '1' } }],
    startedAt: 7,
    outcome: null,
  });
});

it('each attempt has its own start and launch; who used what, and whether it was acknowledged, is told last', () => {
  const credential = { id: 'team-a', generation: 3 };
  const other = { start: { ...start, marks: { rlimit: '2' } } };
  const before = [accepted('a'), starting(1), launched(1), starting(2), starting(2, other)];
  expect(fold(...before)).toMatchObject({ credential: null, isAcknowledged: false });
  const known = fold(...before, launched(2, 9), { is: 'used', id: 'a', credential }, { is: 'acknowledged', id: 'a' });
  expect(known?.attempts).toMatchObject([
    { number: 1, start, launched: { at: 7, pid: 71 } },
    { number: 2, ...other, launched: { at: 9, pid: 72 } },
  ]);
  expect(known).toMatchObject({ credential, isAcknowledged: true });
});

it('a record of a kind that is not known changes nothing', () => {
  const unknown = { is: 'of_tomorrow', id: 'a' } as unknown as JournalRecord;
  expect(fold(accepted('a'), unknown)).toEqual(fold(accepted('a')));
});

it('an acceptance or a launch that is repeated takes nothing back', () => {
  expect(fold(accepted('a'), starting(1), launched(1), accepted('a'), launched(1, 9))?.startedAt).toBe(7);
});

it('what was never started gets other marks when it is started again, and what runs keeps its own', () => {
  const other = { start: { ...start, marks: { rlimit: '2' } } };
  expect(fold(accepted('a'), starting(1), starting(1, other))?.attempts).toMatchObject([other]);
  expect(fold(accepted('a'), starting(1), launched(1), starting(1, other))?.attempts).toMatchObject([{ start }]);
});

it('a journal made anew knows how many attempts are left of one that goes on', () => {
  const ends = [{ stdout: 4, stderr: 0 }];
  const over = { failure: null, hold: null, ends };
  const suspended = { is: 'suspended', id: 'a', next: 'resume', resumesLeft: 2, heldMs: 5, ...over } as const;
  const records = [accepted('a'), starting(1), launched(1), suspended, starting(2), launched(2, 9)];
  const anew = fold(...recordsOf(foldJournal(records)));
  expect(anew).toMatchObject({ resumesLeft: 2, heldMs: 5, suspended: null, startedAt: 7, ends });
});

it('a verdict and an outcome that were told stand', () => {
  const decided = (at: number) =>
    ({ is: 'decided', id: 'a', verdict: { ...VERDICT, at }, refusal: null, ends: null }) as const;
  const ended = (message: string) =>
    ({ is: 'ended', id: 'a', outcome: { ...outcomeOf('a'), message }, ends: null }) as const;
  const known = fold(accepted('a'), decided(1), decided(2), ended('first'), ended('second'));
  expect([known?.verdict?.at, known?.outcome?.message]).toEqual([1, 'first']);
});

it('the prompt of what has ended is not kept, and its labels are', () => {
  const state = foldJournal([accepted('a', 'long'), { is: 'ended', id: 'a', outcome: outcomeOf('a'), ends: null }]);
  expect(recordsOf(state)[0]).toMatchObject({ is: 'accepted', request: { prompt: '-', labels: { team: 'a' } } });
  const bare = { ...accepted('a'), request: { prompt: 'long' } };
  const ended = { is: 'ended', id: 'a', outcome: outcomeOf('a'), ends: null } as const;
  expect(recordsOf(foldJournal([bare, ended]))[0]).toMatchObject({ request: { prompt: '-' } });
  expect(fold(bare, ended)?.accepted.request).not.toHaveProperty('labels');
});

it('an id whose execution was forgotten is known, until it is accepted again', () => {
  const forgotten = { is: 'forgotten', id: 'a', digest: 'd', at: 3 } as const;
  const gone = foldJournal([accepted('a'), forgotten]);
  expect([gone.executions.size, gone.tombstones.get('a')]).toEqual([0, { digest: 'd', at: 3 }]);
  const again = foldJournal([accepted('a'), forgotten, accepted('a')]);
  expect([again.executions.size, again.tombstones.size]).toEqual([1, 0]);
});

it('what is remembered of ids alone is bound by number and by age, and the oldest go first', () => {
  const ids = Array.from({ length: REMEMBERED_CANCELS_MAX + 1 }, (_value, n) => `id-${n}`);
  const fold = new JournalFold(ids.map((id, at) => ({ is: 'cancel_remembered', id, at }) as const));
  expect(fold.state.rememberedCancels.size).toBe(REMEMBERED_CANCELS_MAX);
  expect(fold.state.rememberedCancels.has('id-0')).toBe(false);
  // Said again it is new again.
  fold.take({ is: 'cancel_remembered', id: 'id-1', at: 20_000 });
  fold.take({ is: 'forgotten', id: 'old', digest: 'd', at: 5 });
  fold.take({ is: 'forgotten', id: 'new', digest: 'd', at: 7 });
  fold.expire({ cancelsBefore: REMEMBERED_CANCELS_MAX, tombstonesBefore: 7 });
  expect([...fold.state.rememberedCancels.keys()]).toEqual([`id-${REMEMBERED_CANCELS_MAX}`, 'id-1']);
  expect([...fold.state.tombstones.keys()]).toEqual(['new']);
});

it('an acceptance that was taken back leaves nothing', () => {
  const state = foldJournal([accepted('a'), { is: 'withdrawn', id: 'a' }]);
  expect([state.executions.size, state.tombstones.size]).toEqual([0, 0]);
});

it('a cancel is remembered until what it is for is accepted', () => {
  const remembered = { is: 'cancel_remembered', id: 'a', at: 3 } as const;
  expect(foldJournal([remembered]).rememberedCancels.get('a')).toBe(3);
  expect(foldJournal([remembered, accepted('a')]).rememberedCancels.size).toBe(0);
});

it('the generation never goes back, and the first header counts', () => {
  const generations = [5, 3].map(
    (generation) => ({ is: 'generation', generation, credential: `c${generation}` }) as const,
  );
  const state = foldJournal([HEADER, ...generations, { ...HEADER, journalId: 'other' }]);
  expect(state).toMatchObject({
    generation: { number: 5, credential: 'c5' },
    journalId: 'journal-1',
    machineBootId: 'boot-1',
  });
});
