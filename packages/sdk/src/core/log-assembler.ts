import { type Log, type SidecarFrame } from '@outrigger/protocol';

/**
 * Frames of one log become lines, each exactly once and in order.
 *
 * A frame says where it starts and ends, but not where each of its lines does, and what it carries was redacted after
 * it was measured. So a place between lines is a `mark`, an offset known to be the start of a line, and a number of
 * lines to pass over from there. Mostly that number is 0, see `lineEnds`.
 */
export interface LogState {
  /** Offset up to which bytes have arrived. */
  readonly position: number;
  readonly mark: number;
  /** Whole lines that have arrived since `mark`. */
  readonly sinceMark: number;
  /** Lines still to come that were handed out before. */
  readonly toSkip: number;
  /** Beginning of a line that goes on in the next frame. */
  readonly partial: string | null;
}

/** A place between two lines of a log. */
export interface Mark {
  readonly offset: number;
  /** Lines to pass over from `offset`. */
  readonly skip: number;
}

/** Lines that one frame completed. */
export interface LineBatch {
  readonly log: Log;
  readonly lines: readonly string[];
  /** Offset behind each line; null where it cannot be told. */
  readonly ends: readonly number[] | null;
  /** Place before the first line. */
  readonly before: Mark;
  /** Offset behind the last byte of the frame. */
  readonly end: number;
  readonly endsWithLine: boolean;
}

export type OutputFrame = SidecarFrame<'output' | 'stderr'>;
export type GapFrame = SidecarFrame<'gap'>;

export type LogStep<T> =
  { ok: true; state: LogState; item: T | null } | { ok: false; /** What the sidecar did wrong. */ violation: string };

/** A log that is read from a mark on. */
export function readFrom({ offset, skip }: Mark): LogState {
  return { position: offset, mark: offset, sinceMark: 0, toSkip: skip, partial: null };
}

/** Where to go on after the connection was lost. An unfinished line is read again: cutting it could cut a secret. */
export function resume(state: LogState): LogState {
  return readFrom({ offset: state.mark, skip: state.sinceMark + state.toSkip });
}

/** Takes an `output` or `stderr` frame. */
export function acceptLines(state: LogState, frame: OutputFrame, lineBytesMax: number): LogStep<LineBatch> {
  if (frame.end <= state.position) return { ok: true, state, item: null };
  if (frame.start !== state.position) return misplaced(state, frame);

  const endsWithLine = frame.continues === undefined;
  const lines = endsWithLine ? [...frame.lines] : frame.lines.slice(0, -1);
  const rest = endsWithLine ? null : (frame.lines.at(-1) ?? '');
  const ends = lineEnds(frame);

  if (lines.length === 0) {
    if (frame.end - state.mark > lineBytesMax) return tooLong(state, frame, lineBytesMax);
    return {
      ok: true,
      state: { ...state, position: frame.end, partial: (state.partial ?? '') + (rest ?? '') },
      item: null,
    };
  }

  lines[0] = (state.partial ?? '') + (lines[0] ?? '');
  const skipped = Math.min(state.toSkip, lines.length);
  const batch: LineBatch = {
    log: frame.type === 'output' ? 'stdout' : 'stderr',
    lines: lines.slice(skipped),
    ends: ends?.slice(skipped) ?? null,
    before: { offset: state.mark, skip: state.sinceMark + skipped },
    end: frame.end,
    endsWithLine,
  };
  const next = place(batch, batch.lines.length - 1);
  return {
    ok: true,
    state: {
      position: frame.end,
      mark: next.offset,
      sinceMark: next.skip,
      toSkip: state.toSkip - skipped,
      partial: rest,
    },
    item: batch.lines.length === 0 ? null : batch,
  };
}

/** Takes a `gap` frame. A line that was begun and turns out to be too long goes with it. */
export function acceptGap(state: LogState, frame: GapFrame): LogStep<{ start: number; end: number }> {
  if (frame.end <= state.position) return { ok: true, state, item: null };
  if (frame.start > state.position) return misplaced(state, frame);
  return {
    ok: true,
    state: readFrom({ offset: frame.end, skip: 0 }),
    item: { start: gapStart(state, frame), end: frame.end },
  };
}

function gapStart({ position, mark, sinceMark, partial }: LogState, frame: GapFrame): number {
  if (partial === null) return position;
  if (frame.start < position) return frame.start;
  return sinceMark === 0 ? mark : position;
}

/** Place behind the line with this index; for index -1 with all lines skipped, behind those. */
export function place(batch: LineBatch, index: number): Mark {
  if (index === batch.lines.length - 1 && batch.endsWithLine) return { offset: batch.end, skip: 0 };
  const end = batch.ends?.[index];
  if (end !== undefined) return { offset: end, skip: 0 };
  return { offset: batch.before.offset, skip: batch.before.skip + index + 1 };
}

/** Highest offset the line with this index can reach to. */
export function farthestEnd(batch: LineBatch, index: number): number {
  return batch.ends?.[index] ?? batch.end;
}

/**
 * The offset behind each whole line, from the lines' own lengths, or `null` where these are not those of the log.
 *
 * What changes a line's length on its way makes it shorter (redaction, a carriage return), but for the replacement
 * character that stands for invalid bytes. So without that one, a right total proves each line right.
 */
function lineEnds(frame: OutputFrame): number[] | null {
  const ends: number[] = [];
  let offset = frame.start;
  for (const line of frame.lines) {
    if (line.includes('\uFFFD')) return null;
    offset += utf8.encode(line).length + 1;
    ends.push(offset);
  }
  if (frame.continues) {
    offset -= 1;
    ends.pop();
  }
  return offset === frame.end ? ends : null;
}

const utf8 = new TextEncoder();

function misplaced(state: LogState, frame: OutputFrame | GapFrame): { ok: false; violation: string } {
  const log = frame.type === 'gap' ? frame.log : frame.type;
  return { ok: false, violation: `${log} goes on at byte ${frame.start}, expected ${state.position}, without a gap` };
}

function tooLong(state: LogState, frame: OutputFrame, lineBytesMax: number): { ok: false; violation: string } {
  return { ok: false, violation: `a line of ${frame.type} from byte ${state.mark} is above ${lineBytesMax} bytes` };
}
