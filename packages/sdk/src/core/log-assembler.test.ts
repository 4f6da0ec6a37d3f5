import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  acceptGap,
  acceptLines,
  type GapFrame,
  type LineBatch,
  type LogState,
  type OutputFrame,
  readFrom,
} from './log-assembler.js';

const LINE_BYTES_MAX = 1024;
const ids = { subscription: 's1', executionId: 'e1', attempt: 1 };
const base = { ...ids, type: 'output' as const };
const encoder = new TextEncoder();

/** A log as its lines were printed, and as they are told: what comes through may be longer or shorter. */
interface Line {
  readonly printed: string;
  readonly told: string;
}

/** What a sidecar sends of a log from `from` on, cut behind the lines and within the lines that `cuts` says. */
function framesFrom(log: readonly Line[], from: number, cuts: readonly number[]): OutputFrame[] {
  const frames: OutputFrame[] = [];
  let lines: string[] = [];
  let ends: number[] = [];
  let start = from;
  let offset = 0;
  const send = (continues: boolean) => {
    const end = ends.at(-1);
    if (end === undefined) return;
    frames.push({ ...base, start, end, lines, ends, ...(continues ? { continues } : {}) });
    start = end;
    lines = [];
    ends = [];
  };
  for (const { printed, told } of log) {
    const lineStart = offset;
    offset += encoder.encode(printed).length + 1;
    if (offset <= from) continue;
    // The text of a part is what its share of the line is told as; where parts are cut does not matter here.
    const inside = cuts.filter((cut) => cut > Math.max(lineStart, from) && cut < offset).slice(0, 3);
    const shares = [...inside, offset].map((cut) =>
      Math.round(((cut - lineStart) / (offset - lineStart)) * told.length),
    );
    let at = Math.round((Math.max(0, from - lineStart) / (offset - lineStart)) * told.length);
    [...inside, offset].forEach((cut, index) => {
      const to = shares[index] ?? 0;
      lines.push(told.slice(at, to));
      ends.push(cut);
      at = to;
      if (cut < offset || cuts.includes(cut)) send(cut < offset);
    });
  }
  send(false);
  return frames;
}

/** What a reader sees who gets frames, some twice, and loses its connection now and then. */
function readAll(log: readonly Line[], plan: { cuts: number[]; repeats: boolean[]; losses: boolean[] }) {
  const seen: { line: string; end: number }[] = [];
  let state: LogState = readFrom(0);
  let frames = framesFrom(log, 0, plan.cuts);
  for (let step = 0; frames.length > 0; step++) {
    const frame = frames.shift();
    if (frame === undefined) break;
    for (let times = plan.repeats[step] ? 2 : 1; times > 0; times--) {
      const result = acceptLines(state, frame, LINE_BYTES_MAX);
      if (!result.ok) throw new Error(result.violation);
      state = result.state;
      result.item?.lines.forEach((line, index) => seen.push({ line, end: result.item?.ends[index] ?? -1 }));
    }
    if (plan.losses[step]) frames = framesFrom(log, state.position, plan.cuts);
  }
  return { seen, state };
}

const text = fc.string({ unit: fc.constantFrom('a', 'é', '😀', '\r', ' ', '"', '\uFFFD'), maxLength: 12 });
const log = fc.array(fc.record({ printed: text, told: text }), { minLength: 1, maxLength: 15 });
const plan = fc.record({
  cuts: fc.uniqueArray(fc.nat(200), { maxLength: 20 }).map((cuts) => cuts.toSorted((a, b) => a - b)),
  repeats: fc.array(fc.boolean(), { maxLength: 40 }),
  losses: fc.array(fc.boolean(), { maxLength: 40 }),
});

function accept(
  state: LogState,
  frame: Omit<OutputFrame, keyof typeof base>,
): { state: LogState; item: LineBatch | null } {
  const step = acceptLines(state, { ...base, ...frame }, LINE_BYTES_MAX);
  if (!step.ok) throw new Error(step.violation);
  return step;
}

describe('a log', () => {
  it('T4: yields each line exactly once, with its end, under arbitrary cuts, repeats and lost connections', () => {
    fc.assert(
      fc.property(log, plan, (lines, howToRead) => {
        const { seen, state } = readAll(lines, howToRead);
        expect(seen.map(({ line }) => line)).toEqual(lines.map(({ told }) => told));
        let end = 0;
        const ends = lines.map(({ printed }) => (end += encoder.encode(printed).length + 1));
        expect(seen.map((each) => each.end)).toEqual(ends);
        expect(state).toEqual({ position: end, lineStart: end, partial: null });
      }),
      { numRuns: 1000 },
    );
  });

  it('says which of the two logs a line is of', () => {
    const frame = { ...ids, start: 0, end: 2, lines: ['a'], ends: [2] };
    expect(acceptLines(readFrom(0), { ...frame, type: 'output' }, 9)).toMatchObject({ item: { log: 'stdout' } });
    expect(acceptLines(readFrom(0), { ...frame, type: 'stderr' }, 9)).toMatchObject({ item: { log: 'stderr' } });
  });

  it('holds the beginning of a line back, and knows where the line begins', () => {
    const begun = accept(readFrom(5), { start: 5, end: 12, lines: ['one', 'tw'], ends: [9, 12], continues: true });
    expect(begun.item).toEqual({ log: 'stdout', lines: ['one'], ends: [9] });
    expect(begun.state).toEqual({ position: 12, lineStart: 9, partial: 'tw' });
    const more = accept(begun.state, { start: 12, end: 14, lines: ['o!'], ends: [14], continues: true });
    expect(more).toMatchObject({ item: null, state: { position: 14, lineStart: 9, partial: 'two!' } });
    const ended = accept(more.state, { start: 14, end: 21, lines: ['!', 'three'], ends: [16, 21] });
    expect(ended.item).toEqual({ log: 'stdout', lines: ['two!!', 'three'], ends: [16, 21] });
    expect(ended.state).toEqual({ position: 21, lineStart: 21, partial: null });
  });

  it('drops what has arrived before', () => {
    const state = readFrom(10);
    expect(acceptLines(state, { ...base, start: 8, end: 10, lines: ['a'], ends: [10] }, 99)).toEqual({
      ok: true,
      state,
      item: null,
    });
  });

  it.each([
    ['behind its position', 11],
    ['overlapping it', 9],
  ])('calls output %s a violation', (_what, start) => {
    for (const type of ['output', 'stderr'] as const) {
      expect(acceptLines(readFrom(10), { ...ids, type, start, end: 13, lines: ['a'], ends: [13] }, 99)).toEqual({
        ok: false,
        violation: `${type} goes on at byte ${start}, expected 10, without a gap`,
      });
    }
  });

  it('calls a line that goes on above the bound a violation instead of keeping it', () => {
    const part = { ...base, lines: ['aaaaa'], continues: true as const };
    const first = acceptLines(readFrom(0), { ...part, start: 0, end: 5, ends: [5] }, 10);
    if (!first.ok) throw new Error(first.violation);
    expect(acceptLines(first.state, { ...part, start: 5, end: 10, ends: [10] }, 10)).toMatchObject({ ok: true });
    expect(acceptLines(first.state, { ...part, start: 5, end: 11, ends: [11] }, 10)).toEqual({
      ok: false,
      violation: 'a line of output from byte 0 is above 10 bytes',
    });
    // It counts from where the line begins, not the frame.
    const behind = { ...base, lines: ['aaaaaaaaa', 'b'], start: 5, end: 16, ends: [15, 16], continues: true as const };
    expect(acceptLines(first.state, behind, 10)).toMatchObject({ ok: true });
  });
});

describe('a gap', () => {
  const gap: GapFrame = { ...ids, type: 'gap', log: 'stdout', reason: 'retention', start: 8, end: 20 };

  it('T5: is told with what is missing, and reading goes on behind it', () => {
    expect(acceptGap(readFrom(8), gap)).toEqual({ ok: true, state: readFrom(20), item: { start: 8, end: 20 } });
  });

  it('T5: takes the line with it that was begun', () => {
    const { state } = accept(readFrom(5), { start: 5, end: 8, lines: ['abc'], ends: [8], continues: true });
    expect(acceptGap(state, gap)).toEqual({ ok: true, state: readFrom(20), item: { start: 5, end: 20 } });
  });

  it('that was told before is no news', () => {
    expect(acceptGap(readFrom(20), gap)).toEqual({ ok: true, state: readFrom(20), item: null });
  });

  it.each([7, 9])('that does not begin where reading stopped, at %i, is a violation', (position) => {
    expect(acceptGap(readFrom(position), gap)).toEqual({
      ok: false,
      violation: `stdout goes on at byte 8, expected ${position}, without a gap`,
    });
  });
});
