import { type Cursor } from '@outrigger/protocol';
import { EMPTY_REPORT, type RunReport } from '../core/outcome.js';
import { Log } from '../process/log.js';
import { type AttemptFiles } from '../state/folder.js';

/** One attempt at an execution, for those who read of it. */
export interface AttemptView {
  /** Counts from 1; part of every cursor. */
  readonly number: number;
  readonly stdout: Log;
  readonly stderr: Log;
  /** Where the logs end; null for one that has printed nothing, or whose logs can still grow. */
  readonly end: Cursor | null;
  /** What the process has told about itself so far. */
  readonly report: RunReport;
}

export interface PastAttemptInit {
  readonly number: number;
  readonly files: Pick<AttemptFiles, 'stdout' | 'stderr'>;
  readonly ends: { readonly stdout: number; readonly stderr: number };
  /** Whether the logs are still there. */
  readonly hasLogs: boolean;
}

/** An attempt that was over when the sidecar was started: its logs, and where they end. */
export class PastAttempt implements AttemptView {
  readonly number: number;
  readonly stdout: Log;
  readonly stderr: Log;
  readonly report = EMPTY_REPORT;

  constructor({ number, files, ends, hasLogs }: PastAttemptInit) {
    this.number = number;
    this.stdout = new Log(files.stdout);
    this.stderr = new Log(files.stderr);
    this.stdout.fixEndAt(ends.stdout);
    this.stderr.fixEndAt(ends.stderr);
    if (!hasLogs) [this.stdout, this.stderr].forEach((log) => log.drop());
  }

  get end(): Cursor | null {
    return endOfLogs(this);
  }
}

export function endOfLogs({
  number,
  stdout,
  stderr,
}: Pick<AttemptView, 'number' | 'stdout' | 'stderr'>): Cursor | null {
  const end = { attempt: number, stdout: stdout.end ?? 0, stderr: stderr.end ?? 0 };
  return end.stdout + end.stderr === 0 ? null : end;
}
