import { LIMITS, type Log as LogName, type ReasonOf } from '@outrigger/protocol';
import { classifyStderr } from '../claude/failures.js';
import { interpretLine, linesThatMayMatter, NEW_STREAM, type Reading, type StreamState } from '../claude/interpret.js';
import { monotonicMs } from '../clock.js';
import { type RunReport } from '../core/outcome.js';
import { type AttemptFiles } from '../state/folder.js';
import { waitAtMost } from '../timeout.js';
import { deferred } from '../deferred.js';
import { LogFollower } from './follow.js';
import { Log } from './log.js';
import { type FolderWatch, watchFolder } from './watch.js';

/** The last read before a verdict is given up once it has not got on for this long: however much there is to read, it is read. */
const LAST_READ_STALL_MS = 5000;
/** How much of the end of stderr is looked at for why a run ended. */
const STDERR_TAIL_BYTES = 8192;
/** How much of the last line of stderr is quoted for a crash. */
const LAST_WORDS_CHARS_MAX = 300;

/** What a run's output tells. Times are monotonic milliseconds. */
export interface OutputHooks {
  /** The run printed something that matters; `at` is by when it was in the log. */
  onReading(reading: Reading, at: number): void;
  onOutputLimit(at: number): void;
  /** A log has grown since it is followed here. */
  onPrinted?(log: LogName, bytes: number): void;
  /** There is more to read for whoever follows the logs. */
  onGrowth(): void;
  /** The logs are followed by looking now and then only, or one of them not at all. */
  onDegraded(error: Error): void;
}

/** The logs of an attempt, and what is read in them. */
export class Output {
  readonly stdout: Log;
  readonly stderr: Log;
  readonly #hooks: OutputHooks;
  readonly #maxOutputBytes: number;
  readonly #follower: LogFollower;
  readonly #watch: FolderWatch;
  readonly #caughtUp = deferred();
  #stream: StreamState = NEW_STREAM;
  /** How much of each log was there when it was last looked at. */
  readonly #sizes = { stdout: 0, stderr: 0 };
  #grewAt = monotonicMs();
  #caughtUpAt = monotonicMs();
  /** What wall time lacks to be monotonic time, once for all that was there before; null: it is looked up each time. */
  #wallOffsetMs: number | null = null;
  #resolveLastRead: (() => void) | null = null;
  #isOverLimit = false;
  /** What is read before anybody knows of the process would be read by nobody again. */
  #isFollowed = false;

  constructor(files: AttemptFiles, maxOutputBytes: number, hooks: OutputHooks) {
    this.#hooks = hooks;
    this.#maxOutputBytes = maxOutputBytes;
    // One byte over the limit shows that it is exceeded; nobody needs to see more of it.
    this.stdout = new Log(files.stdout, maxOutputBytes + 1);
    this.stderr = new Log(files.stderr, maxOutputBytes + 1);
    this.#follower = new LogFollower({
      log: this.stdout,
      lineBytesMax: LIMITS.lineBytesMax,
      linesThatMayMatter,
      onLines: (lines) => this.#onLines(lines),
      onCaughtUp: () => this.#onCaughtUp(),
      onFailed: (error) => this.#onUnreadable(error),
    });
    this.stdout.open();
    try {
      this.stderr.open();
    } catch (error) {
      this.stdout.release();
      throw error;
    }
    this.#watch = watchFolder(
      files.folder,
      () => this.#onChange(),
      (error) => hooks.onDegraded(error),
    );
  }

  /** What the run has told about itself so far. */
  get report(): RunReport {
    return this.#stream.report;
  }

  /** When output last came. */
  get grewAt(): number {
    return this.#grewAt;
  }

  /** The process that prints has started. */
  begin(at: number): void {
    this.#isFollowed = true;
    this.#grewAt = at;
    // Its first line may be in the log before it is known to run, but is not told of as older.
    this.#caughtUpAt = at;
  }

  /**
   * Takes over logs that another sidecar has followed, none of which was written before `since`. When output last came is
   * known at once.
   *
   * @returns Resolves when all that was there has been read.
   */
  async takeOver(since: number): Promise<void> {
    this.#isFollowed = true;
    this.#caughtUpAt = since;
    this.#wallOffsetMs = monotonicMs() - Date.now();
    this.#grewAt = this.#lastWrittenAt();
    this.#sizes.stdout = this.stdout.size();
    this.#sizes.stderr = this.stderr.size();
    this.#look();
    await this.#caughtUp.promise;
  }

  /** Fixes the logs' ends where another sidecar has fixed them. */
  fixEndsAt(ends: { readonly stdout: number; readonly stderr: number }): void {
    this.stdout.fixEndAt(ends.stdout);
    this.stderr.fixEndAt(ends.stderr);
  }

  /** Fixes the logs' ends as they are now. */
  fixEnds(): void {
    this.stdout.fixEnd();
    this.stderr.fixEnd();
    this.#hasGrown();
    this.#checkLimit();
  }

  /** Resolves when everything up to the fixed ends has been read, or nothing more comes for so long. */
  async readToEnds(
    stallMs = LAST_READ_STALL_MS,
  ): Promise<{ stderrFailure: ReasonOf<'failed'> | null; lastWords: string | null }> {
    const isRead = new Promise<void>((resolve) => (this.#resolveLastRead = resolve));
    for (let position = -1; position < this.#follower.position;) {
      position = this.#follower.position;
      this.#follower.pump();
      await waitAtMost(stallMs, isRead);
    }
    this.#follower.stop();
    const tail = this.stderr.tail(STDERR_TAIL_BYTES);
    const lastWords = tail.trim().split('\n').at(-1)?.trim().slice(0, LAST_WORDS_CHARS_MAX);
    return { stderrFailure: classifyStderr(tail), lastWords: lastWords === '' ? null : (lastWords ?? null) };
  }

  /** Lets go of files and timers. Readers that hold the logs open keep them. */
  close(): void {
    this.stdout.fixEnd();
    this.stderr.fixEnd();
    this.#stream = { ...NEW_STREAM, report: this.#stream.report };
    this.#follower.stop();
    this.#watch.close();
    this.#caughtUp.resolve();
    this.stdout.release();
    this.stderr.release();
  }

  #onChange(): void {
    if (!this.#isFollowed) return;
    if (!this.#hasGrown()) return;
    this.#grewAt = monotonicMs();
    this.#look();
  }

  /** Whether a log has another size than it had. */
  #hasGrown(): boolean {
    const logs = ['stdout', 'stderr'] as const;
    return logs.map((name) => this.#hasLogGrown(name)).some((hasGrown) => hasGrown);
  }

  #hasLogGrown(name: LogName): boolean {
    const before = this.#sizes[name];
    const size = this[name].size();
    this.#sizes[name] = size;
    if (this.#isFollowed && size > before) this.#hooks.onPrinted?.(name, size - before);
    return size !== before;
  }

  #look(): void {
    this.#follower.pump();
    this.#hooks.onGrowth();
    this.#checkLimit();
  }

  #checkLimit(): void {
    if (this.#isOverLimit || this.stdout.size() + this.stderr.size() <= this.#maxOutputBytes) return;
    this.#isOverLimit = true;
    this.#hooks.onOutputLimit(this.#lastWrittenAt());
  }

  #onLines(lines: readonly string[]): void {
    let at: number | null = null;
    for (const line of lines) {
      const { state, readings } = interpretLine(this.#stream, line);
      this.#stream = state;
      if (readings.length === 0) continue;
      const writtenAt = (at ??= this.#writtenAt(this.stdout));
      readings.forEach((reading) => this.#hooks.onReading(reading, writtenAt));
    }
  }

  #onCaughtUp(): void {
    this.#caughtUpAt = monotonicMs();
    this.#wallOffsetMs = null;
    this.#caughtUp.resolve();
    if (this.stdout.end !== null) this.#resolveLastRead?.();
  }

  /** A log that cannot be read tells nothing more, and nobody waits for it. */
  #onUnreadable(error: Error): void {
    this.#hooks.onDegraded(error);
    this.#onCaughtUp();
  }

  #lastWrittenAt(): number {
    return Math.max(this.#writtenAt(this.stdout), this.#writtenAt(this.stderr));
  }

  /**
   * By when what is being read was written: the file's own time of change, within what is known for sure, so that a
   * wall clock that was moved can do no more harm than one late read.
   */
  #writtenAt(log: Log): number {
    const now = monotonicMs();
    const writtenAt = log.modifiedAtEpochMs() + (this.#wallOffsetMs ?? now - Date.now());
    return Math.min(now, Math.max(this.#caughtUpAt, writtenAt));
  }
}
