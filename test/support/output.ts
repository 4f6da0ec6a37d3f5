import { type Cursor, CURSOR_START, LIMITS, type SidecarFrame } from '@outrigger/protocol';
import { type RawClient } from './raw-client.js';

export interface ReadLog {
  /** Whole lines: parts that were sent in several frames are joined. */
  readonly lines: string[];
  readonly gaps: { start: number; end: number }[];
  /** The frames of this log, gaps included. */
  readonly frames: SidecarFrame<'output' | 'stderr' | 'gap'>[];
}

export interface ReadOutput {
  readonly stdout: ReadLog;
  readonly stderr: ReadLog;
}

interface Reading extends ReadLog {
  position: number;
  part: string;
}

let subscriptions = 0;

/**
 * Reads an execution's output from `from` to its end, giving credit as it reads.
 *
 * @throws Error when a frame does not start where the one before it ended.
 */
export async function readOutput(
  client: RawClient,
  executionId: string,
  from: Cursor = CURSOR_START,
): Promise<ReadOutput> {
  const subscription = `read-${++subscriptions}`;
  const newReading = (position: number): Reading => ({ lines: [], gaps: [], frames: [], position, part: '' });
  const logs = { stdout: newReading(from.stdout), stderr: newReading(from.stderr) };
  let end: Cursor | null = null;
  let isFinished: () => void = () => undefined;
  let fail: (error: Error) => void = () => undefined;
  const finished = new Promise<void>((resolve, reject) => {
    isFinished = resolve;
    fail = reject;
  });

  const stop = client.onFrame((frame) => {
    if (frame.type === 'outcome' && frame.outcome.executionId === executionId) end = frame.end;
    if ('subscription' in frame && frame.subscription === subscription) {
      const log = logs[frame.type === 'output' ? 'stdout' : frame.type === 'stderr' ? 'stderr' : frame.log];
      if (frame.start !== log.position) fail(new Error(`a frame starts at ${frame.start}, not at ${log.position}`));
      take(log, frame);
      if (frame.type !== 'gap') {
        client.send({ type: 'credit', id: 'more', subscription, bytes: frame.end - frame.start });
      }
    }
    if (end !== null && logs.stdout.position >= end.stdout && logs.stderr.position >= end.stderr) isFinished();
  });
  try {
    await client.request('subscribe', { subscription, executionId, from, creditBytes: LIMITS.creditBytesMax });
    await Promise.race([finished, client.closed.then(() => Promise.reject(new Error('closed while reading')))]);
    await client.request('unsubscribe', { subscription });
  } finally {
    stop();
  }
  return logs;
}

function take(log: Reading, frame: SidecarFrame<'output' | 'stderr' | 'gap'>): void {
  log.frames.push(frame);
  log.position = frame.end;
  if (frame.type === 'gap') {
    log.gaps.push({ start: frame.start, end: frame.end });
    return;
  }
  const lines = [...frame.lines];
  lines[0] = log.part + (lines[0] ?? '');
  log.part = frame.continues === true ? (lines.pop() ?? '') : '';
  log.lines.push(...lines);
}
