import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { acceptGap, acceptLines, type LineBatch, type LogState, place, readFrom, resume } from './log-assembler.js';

const LINE_BYTES_MAX = 1024;
const encoder = new TextEncoder();

interface Piece {
  start: number;
  end: number;
  lines: string[];
  continues?: true;
}

const frame = (piece: Piece) => ({
  type: 'output' as const,
  subscription: 's1',
  executionId: 'e1',
  attempt: 1,
  ...piece,
});

/** What a sidecar sends of a log from `from` on, cut where `cuts` says, with every line redacted by `redact`. */
function piecesFrom(log: string, from: number, cuts: number[], redact: (line: string) => string): Piece[] {
  const bytes = encoder.encode(log);
  const decoder = new TextDecoder();
  const pieces: Piece[] = [];
  let start = from;
  for (const cut of [...cuts, bytes.length]) {
    let end = Math.min(bytes.length, Math.max(start, cut));
    // Never within a character.
    while (end < bytes.length && ((bytes[end] ?? 0) & 0xc0) === 0x80) end += 1;
    if (end <= start) continue;
    const text = decoder.decode(bytes.subarray(start, end));
    const isWhole = text.endsWith('\n') || end === bytes.length;
    const lines = (text.endsWith('\n') ? text.slice(0, -1) : text).split('\n').map(redact);
    pieces.push({ start, end, lines, ...(isWhole ? {} : { continues: true }) });
    start = end;
  }
  return pieces;
}

/** What a reader sees who gets pieces, some twice, and loses its connection now and then. */
function readAll(
  log: string,
  plan: { cuts: number[]; repeats: boolean[]; losses: boolean[] },
  redact: (line: string) => string,
) {
  const seen: string[] = [];
  let state: LogState = readFrom({ offset: 0, skip: 0 });
  let pieces = piecesFrom(log, 0, plan.cuts, redact);
  for (let step = 0; pieces.length > 0; step++) {
    const piece = pieces.shift();
    if (piece === undefined) break;
    for (let times = plan.repeats[step] ? 2 : 1; times > 0; times--) {
      const result = acceptLines(state, frame(piece), LINE_BYTES_MAX);
      if (!result.ok) throw new Error(result.violation);
      state = result.state;
      seen.push(...(result.item?.lines ?? []));
    }
    if (plan.losses[step]) {
      state = resume(state);
      pieces = piecesFrom(log, state.position, plan.cuts, redact);
    }
  }
  return seen;
}

const lineArbitrary = fc.string({ unit: fc.constantFrom('a', 'é', '😀', '\r', ' ', '"', '\uFFFD'), maxLength: 12 });
const planArbitrary = fc.record({
  cuts: fc.uniqueArray(fc.nat(150), { maxLength: 20 }).map((cuts) => cuts.toSorted((a, b) => a - b)),
  repeats: fc.array(fc.boolean(), { maxLength: 40 }),
  losses: fc.array(fc.boolean(), { maxLength: 40 }),
});

describe('a log', () => {
  it('T4: yields each line exactly once under arbitrary cuts, repeats and lost connections', () => {
    fc.assert(
      fc.property(fc.array(lineArbitrary, { minLength: 1, maxLength: 15 }), planArbitrary, (lines, plan) => {
        expect(readAll(lines.map((line) => `${line}\n`).join(''), plan, (line) => line)).toEqual(lines);
      }),
      { numRuns: 1000 },
    );
  });

  it('T4: does so where redaction changes the length of lines', () => {
    const redact = (line: string) => line.replaceAll('é', '');
    const whole = fc.array(lineArbitrary, { minLength: 1, maxLength: 15 });
    fc.assert(
      fc.property(whole, planArbitrary, (lines, plan) => {
        // A cut between the parts of a secret is the sidecar's matter; here each part is redacted by itself.
        expect(readAll(lines.map((line) => `${line}\n`).join(''), plan, redact)).toEqual(lines.map(redact));
      }),
      { numRuns: 1000 },
    );
  });

  it('gives a place after each line from which the rest can be read, and nothing is missed', () => {
    const whole = fc.array(lineArbitrary, { minLength: 1, maxLength: 15 });
    const cuts = fc.uniqueArray(fc.nat(150), { maxLength: 5 }).map((list) => list.toSorted((a, b) => a - b));
    fc.assert(
      fc.property(whole, cuts, (lines, cutList) => {
        const log = lines.map((line) => `${line}\n`).join('');
        let state = readFrom({ offset: 0, skip: 0 });
        let count = 0;
        for (const piece of piecesFrom(log, 0, cutList, (line) => line)) {
          const step = acceptLines(state, frame(piece), LINE_BYTES_MAX);
          if (!step.ok) throw new Error(step.violation);
          state = step.state;
          const batch: LineBatch | null = step.item;
          for (let index = 0; batch !== null && index < batch.lines.length; index++) {
            count += 1;
            const { offset, skip } = place(batch, index);
            const rest = piecesFrom(log, offset, [], (line) => line).flatMap((part) => part.lines);
            expect(rest.slice(skip)).toEqual(lines.slice(count));
          }
        }
        expect(count).toBe(lines.length);
      }),
    );
  });

  it('tells a place within a frame by its offset where the lines have their own lengths', () => {
    const step = acceptLines(readFrom({ offset: 0, skip: 0 }), frame({ start: 0, end: 5, lines: ['a', 'é'] }), 99);
    if (!step.ok || step.item === null) throw new Error('expected lines');
    expect(place(step.item, 0)).toEqual({ offset: 2, skip: 0 });
    expect(place(step.item, 1)).toEqual({ offset: 5, skip: 0 });
  });

  it('tells a place within a frame by a count of lines where bytes were invalid', () => {
    const step = acceptLines(
      readFrom({ offset: 0, skip: 0 }),
      frame({ start: 0, end: 6, lines: ['\uFFFD', 'abc'] }),
      99,
    );
    if (!step.ok || step.item === null) throw new Error('expected lines');
    expect(place(step.item, 0)).toEqual({ offset: 0, skip: 1 });
    expect(place(step.item, 1)).toEqual({ offset: 6, skip: 0 });
  });

  it('calls output behind its position, or overlapping it, a violation', () => {
    const state = readFrom({ offset: 10, skip: 0 });
    expect(acceptLines(state, frame({ start: 11, end: 13, lines: ['a'] }), 99)).toMatchObject({ ok: false });
    expect(acceptLines(state, frame({ start: 9, end: 13, lines: ['abc'] }), 99)).toMatchObject({ ok: false });
    expect(acceptLines(state, frame({ start: 10, end: 12, lines: ['a'] }), 99)).toMatchObject({ ok: true });
  });

  it('calls a line that goes on above the bound a violation instead of keeping it', () => {
    let state = readFrom({ offset: 0, skip: 0 });
    const first = acceptLines(state, frame({ start: 0, end: 6, lines: ['aaaaaa'], continues: true }), 10);
    if (!first.ok) throw new Error(first.violation);
    state = first.state;
    expect(acceptLines(state, frame({ start: 6, end: 11, lines: ['aaaaa'], continues: true }), 10)).toMatchObject({
      ok: false,
      violation: expect.stringContaining('above 10 bytes') as unknown,
    });
  });

  it('T5: goes on behind a gap, and a line that was begun goes with it', () => {
    const gap = { type: 'gap' as const, subscription: 's1', executionId: 'e1', attempt: 1, log: 'stdout' as const };
    const begun = acceptLines(
      readFrom({ offset: 5, skip: 0 }),
      frame({ start: 5, end: 8, lines: ['abc'], continues: true }),
      99,
    );
    if (!begun.ok) throw new Error(begun.violation);
    const reason = 'line_too_long' as const;
    expect(acceptGap(begun.state, { ...gap, start: 8, end: 20, reason })).toMatchObject({
      item: { start: 5, end: 20 },
    });
    expect(acceptGap(begun.state, { ...gap, start: 5, end: 20, reason })).toMatchObject({
      item: { start: 5, end: 20 },
      state: { position: 20, mark: 20, partial: null },
    });
    expect(acceptGap(begun.state, { ...gap, start: 9, end: 20, reason })).toMatchObject({ ok: false });
    expect(acceptGap(begun.state, { ...gap, start: 2, end: 8, reason })).toMatchObject({ item: null });
  });
});
