import { type Cursor, CURSOR_START } from '@outrigger/protocol';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { hasReached, isBehindFence } from './fence.js';
import { type OutputFrame } from './log-assembler.js';
import { acceptFrame, cursorOf, positionOf, readOutputFrom } from './output-assembler.js';

/** What an attempt printed, in lines of ASCII. */
interface Attempt {
  readonly stdout: readonly string[];
  readonly stderr: readonly string[];
}
type Log = keyof Attempt;

const ids = { subscription: 's1', executionId: 'e1' };
const sizeOf = (lines: readonly string[]) => lines.reduce((sum, line) => sum + line.length + 1, 0);

/** Where the logs of an execution stop: with the last attempt that printed anything. */
function endOf(attempts: readonly Attempt[]): Cursor {
  const index = attempts.findLastIndex(({ stdout, stderr }) => stdout.length + stderr.length > 0);
  const last = attempts[index];
  if (last === undefined) return CURSOR_START;
  return { attempt: index + 1, stdout: sizeOf(last.stdout), stderr: sizeOf(last.stderr) };
}

/** What a sidecar sends of a log from an offset on: frames that hold some lines each, long ones in parts. */
function framesOf(
  lines: readonly string[],
  from: number,
  cut: { attempt: number; log: Log; bytes: number },
): OutputFrame[] {
  const { attempt, log, bytes } = cut;
  const text = lines.map((line) => `${line}\n`).join('');
  const type = log === 'stdout' ? 'output' : 'stderr';
  const frames: OutputFrame[] = [];
  for (let start = from; start < text.length;) {
    const end = Math.min(text.length, start + bytes);
    const whole = text.slice(start, end);
    const continues = !whole.endsWith('\n');
    const entries = (continues ? whole : whole.slice(0, -1)).split('\n');
    let at = start;
    const ends = entries.map((entry) => (at = Math.min(end, at + entry.length + 1)));
    frames.push({ ...ids, type, attempt, start, end, lines: entries, ends, ...(continues && { continues }) });
    start = end;
  }
  return frames;
}

/** Everything from a cursor on, the logs of each attempt mixed, the attempts one after the other. */
function subscribe(
  attempts: readonly Attempt[],
  from: Cursor,
  plan: { bytes: number; mix: readonly boolean[] },
): OutputFrame[] {
  return attempts.slice(from.attempt - 1).flatMap((printed, index) => {
    const attempt = from.attempt + index;
    const [stdout, stderr] = (['stdout', 'stderr'] as const).map((log) =>
      framesOf(printed[log], index === 0 ? from[log] : 0, { attempt, log, bytes: plan.bytes }),
    ) as [OutputFrame[], OutputFrame[]];
    return Array.from({ length: stdout.length + stderr.length }, (_, n) => {
      const [first, second] = plan.mix[n] ? [stdout, stderr] : [stderr, stdout];
      return first.shift() ?? second.shift();
    }).filter((frame) => frame !== undefined);
  });
}

type Line = readonly [attempt: number, log: Log, line: string];
interface Place {
  readonly seen: number;
  readonly cursor: Cursor;
}

/** Reads all of it as an iterator does; `losses` says after how many frames a connection is lost, again and again. */
function read(
  attempts: readonly Attempt[],
  from: Cursor,
  plan: { bytes: number; mix: readonly boolean[]; losses: readonly number[] },
) {
  const end = endOf(attempts);
  const seen: Line[] = [];
  const places: Place[] = [];
  let state = readOutputFrom(from);
  for (const framesMax of [...plan.losses, Infinity]) {
    let frames = 0;
    for (const frame of subscribe(attempts, positionOf(state), plan)) {
      if (frames++ >= framesMax) break;
      expect(hasReached(positionOf(state), end)).toBe(false);
      const step = acceptFrame(state, frame, 1000);
      if (!step.ok) throw new Error(step.violation);
      state = step.state;
      if (step.item?.kind !== 'lines') continue;
      const { log, lines, ends } = step.item.batch;
      lines.forEach((line, index) => {
        const cursor = { ...cursorOf(state), [log]: ends[index] };
        expect(isBehindFence({ attempt: state.attempt, log, offset: ends[index] ?? -1 }, end)).toBe(false);
        seen.push([state.attempt, log, line]);
        places.push({ seen: seen.length, cursor });
      });
    }
  }
  expect(hasReached(positionOf(state), end)).toBe(true);
  expect(positionOf(state)).toEqual(end);
  return { seen, places };
}

const line = fc.string({ unit: fc.constantFrom('a', 'b', '"'), maxLength: 9 });
const log = fc.array(line, { maxLength: 4 });
const attempts = fc.array(fc.record({ stdout: log, stderr: log }), { minLength: 1, maxLength: 4 });
const plan = fc.record({
  bytes: fc.integer({ min: 1, max: 30 }),
  mix: fc.array(fc.boolean(), { maxLength: 40 }),
  losses: fc.array(fc.nat(5), { maxLength: 5 }),
});

const of = (lines: readonly Line[], attempt: number, name: Log) =>
  lines.filter((each) => each[0] === attempt && each[1] === name).map((each) => each[2]);

it('T4: the logs of all attempts are read one after the other, each line once, and no sooner than their end is reached', () => {
  fc.assert(
    fc.property(attempts, plan, (printed, howToRead) => {
      const { seen } = read(printed, CURSOR_START, howToRead);
      printed.forEach(({ stdout, stderr }, index) => {
        expect(of(seen, index + 1, 'stdout')).toEqual(stdout);
        expect(of(seen, index + 1, 'stderr')).toEqual(stderr);
      });
      const order = seen.map(([attempt]) => attempt);
      expect(order).toEqual(order.toSorted((a, b) => a - b));
    }),
    { numRuns: 300 },
  );
});

it('T4: a cursor behind any line, of whatever attempt, gives all the others and no line again', () => {
  fc.assert(
    fc.property(attempts, plan, fc.nat(), (printed, howToRead, pick) => {
      const { seen, places } = read(printed, CURSOR_START, howToRead);
      const place = places[pick % Math.max(1, places.length)];
      if (place === undefined) return;
      const rest = read(printed, place.cursor, { ...howToRead, losses: [] }).seen;
      for (const attempt of printed.keys()) {
        for (const name of ['stdout', 'stderr'] as const) {
          const before = of(seen.slice(0, place.seen), attempt + 1, name);
          expect([...before, ...of(rest, attempt + 1, name)]).toEqual(of(seen, attempt + 1, name));
        }
      }
    }),
    { numRuns: 200 },
  );
});
