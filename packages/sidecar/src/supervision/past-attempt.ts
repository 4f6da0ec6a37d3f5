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

/** An attempt that is over: its logs, and where they end. */
export class PastAttempt implements AttemptView {
  readonly number: number;
  readonly stdout: Log;
  readonly stderr: Log;

  constructor({ number, stdout, stderr }: Pick<AttemptView, 'number' | 'stdout' | 'stderr'>) {
    this.number = number;
    this.stdout = stdout;
    this.stderr = stderr;
  }

  /** One that was over when the sidecar was started. */
  static restore({ number, files, ends, hasLogs }: PastAttemptInit): PastAttempt {
    const [stdout, stderr] = [new Log(files.stdout), new Log(files.stderr)];
    stdout.fixEndAt(ends.stdout);
    stderr.fixEndAt(ends.stderr);
    if (!hasLogs) [stdout, stderr].forEach((log) => log.drop());
    return new PastAttempt({ number, stdout, stderr });
  }

  get end(): Cursor | null {
    return endOfLogs(this);
  }

  get report(): RunReport {
    return EMPTY_REPORT;
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
