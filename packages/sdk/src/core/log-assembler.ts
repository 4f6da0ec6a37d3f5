import { type Log, type SidecarFrame } from '@outrigger/protocol';

/** One log as far as it has arrived: frames become lines, each exactly once and in order. */
export interface LogState {
  /** Offset up to which bytes have arrived. */
  readonly position: number;
  /** Offset of the beginning of the line at hand: where somebody who has none of it has to go on. */
  readonly lineStart: number;
  /** Beginning of a line that goes on in the next frame. */
  readonly partial: string | null;
}

/** Lines that one frame completed. */
export interface LineBatch {
  readonly log: Log;
  readonly lines: readonly string[];
  /** Offset behind each line. */
  readonly ends: readonly number[];
}

export type OutputFrame = SidecarFrame<'output' | 'stderr'>;
export type GapFrame = SidecarFrame<'gap'>;

export type LogStep<T> =
  { ok: true; state: LogState; item: T | null } | { ok: false; /** What the sidecar did wrong. */ violation: string };

/** A log that is read from an offset on. */
export function readFrom(offset: number): LogState {
  return { position: offset, lineStart: offset, partial: null };
}

/** Takes an `output` or `stderr` frame. */
export function acceptLines(state: LogState, frame: OutputFrame, lineBytesMax: number): LogStep<LineBatch> {
  if (frame.end <= state.position) return { ok: true, state, item: null };
  if (frame.start !== state.position) return misplaced(state, frame);

  const wholeLines = frame.continues ? frame.lines.length - 1 : frame.lines.length;
  const [first = '', ...others] = frame.lines;
  const entries = [(state.partial ?? '') + first, ...others];
  const ends = frame.ends.slice(0, wholeLines);
  const lineStart = ends.at(-1) ?? state.lineStart;
  if (frame.end - lineStart > lineBytesMax) {
    return { ok: false, violation: `a line of ${frame.type} from byte ${lineStart} is above ${lineBytesMax} bytes` };
  }
  return {
    ok: true,
    state: { position: frame.end, lineStart, partial: entries[wholeLines] ?? null },
    item:
      wholeLines === 0
        ? null
        : { log: frame.type === 'output' ? 'stdout' : 'stderr', lines: entries.slice(0, wholeLines), ends },
  };
}

/** Takes a `gap` frame. A line that was begun and cannot be ended goes with it. */
export function acceptGap(state: LogState, frame: GapFrame): LogStep<{ start: number; end: number }> {
  if (frame.end <= state.position) return { ok: true, state, item: null };
  if (frame.start !== state.position) return misplaced(state, frame);
  return { ok: true, state: readFrom(frame.end), item: { start: state.lineStart, end: frame.end } };
}

function misplaced(state: LogState, frame: OutputFrame | GapFrame): { ok: false; violation: string } {
  const log = frame.type === 'gap' ? frame.log : frame.type;
  return { ok: false, violation: `${log} goes on at byte ${frame.start}, expected ${state.position}, without a gap` };
}
