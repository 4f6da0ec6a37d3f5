import { type Cursor, type Log } from '@outrigger/protocol';
import {
  acceptGap,
  acceptLines,
  type GapFrame,
  type LineBatch,
  type LogState,
  type OutputFrame,
  readFrom,
} from './log-assembler.js';

/** Both logs of one attempt, as far as they have arrived. */
export interface OutputState {
  readonly attempt: number;
  readonly stdout: LogState;
  readonly stderr: LogState;
}

export type OutputItem =
  | { readonly kind: 'lines'; readonly batch: LineBatch }
  | {
      readonly kind: 'gap';
      readonly log: Log;
      readonly start: number;
      readonly end: number;
      readonly reason: GapFrame['reason'];
    };

export type OutputStep =
  | { ok: true; state: OutputState; item: OutputItem | null }
  | { ok: false; /** What the sidecar did wrong. */ violation: string };

/** Output that is read from a cursor on. */
export function readOutputFrom({ attempt, stdout, stderr }: Cursor): OutputState {
  return { attempt, stdout: readFrom(stdout), stderr: readFrom(stderr) };
}

/** Where another reader, who has no unfinished line, goes on without missing anything. */
export function cursorOf({ attempt, stdout, stderr }: OutputState): Cursor {
  return { attempt, stdout: stdout.lineStart, stderr: stderr.lineStart };
}

/** What has arrived, unfinished lines included: where this reader goes on after its connection was lost. */
export function positionOf({ attempt, stdout, stderr }: OutputState): Cursor {
  return { attempt, stdout: stdout.position, stderr: stderr.position };
}

/**
 * Takes a frame of either log. All of an attempt comes before anything of the next, so a frame of a later attempt says
 * that those before it are complete, and begins its logs; one of an earlier attempt is a duplicate.
 */
export function acceptFrame(state: OutputState, frame: OutputFrame | GapFrame, lineBytesMax: number): OutputStep {
  const { attempt } = frame;
  if (attempt < state.attempt) return { ok: true, state, item: null };
  const isNext = attempt > state.attempt;
  if (isNext && (state.stdout.partial ?? state.stderr.partial) !== null) {
    return { ok: false, violation: `attempt ${state.attempt} stops within a line, and attempt ${attempt} follows` };
  }
  const current = isNext ? readOutputFrom({ attempt, stdout: 0, stderr: 0 }) : state;

  if (frame.type === 'gap') {
    const step = acceptGap(current[frame.log], frame);
    if (!step.ok) return step;
    const item: OutputItem | null = step.item && { kind: 'gap', log: frame.log, ...step.item, reason: frame.reason };
    return { ok: true, state: { ...current, [frame.log]: step.state }, item };
  }

  const log = frame.type === 'output' ? 'stdout' : 'stderr';
  const step = acceptLines(current[log], frame, lineBytesMax);
  if (!step.ok) return step;
  return {
    ok: true,
    state: { ...current, [log]: step.state },
    item: step.item && { kind: 'lines', batch: step.item },
  };
}
