import { LIMITS, type ReasonOf } from '@outrigger/protocol';
import { classifyStderr } from '../claude/failures.js';
import { interpretLine, mayMatter, NEW_STREAM, type Reading, type StreamState } from '../claude/interpret.js';
import { monotonicMs } from '../clock.js';
import { type Exit } from '../core/lifecycle-state.js';
import { type RunReport } from '../core/outcome.js';
import { type AttemptFiles } from '../state/folder.js';
import { waitAtMost } from '../timeout.js';
import { LogFollower } from './follow.js';
import { killTree } from './kill.js';
import { launch, type LaunchRequest } from './launch.js';
import { Log } from './log.js';
import { oomKills } from './oom.js';
import { type Marker } from './tree/marker.js';
import { ProcessTree } from './tree/tree.js';
import { type FolderWatch, watchFolder } from './watch.js';

/** The last read before a verdict takes no longer than this, however much there is to read. */
const LAST_READ_MS_MAX = 5000;
/** How much of the end of stderr is looked at for why a run ended. */
const STDERR_TAIL_BYTES = 8192;
/** How much of the last line of stderr is quoted for a crash. */
const LAST_WORDS_CHARS_MAX = 300;
/** How long the notice of an exit may be on its way once the tree is dead. */
const EXIT_NOTICE_MS_MAX = 1000;

/** What an attempt reports. Times are monotonic milliseconds. */
export interface AttemptHooks {
  onLaunched(at: number): void;
  onLaunchFailed(at: number, message: string): void;
  onExit(exit: Exit): void;
  /** The run printed something that matters; `at` is by when it was in the log. */
  onReading(reading: Reading, at: number): void;
  onOutputLimit(at: number): void;
  /** There is more to read for whoever follows the logs. */
  onGrowth(): void;
  onDegraded(error: Error): void;
}

/** One process of an execution, with its logs. */
export class Attempt {
  readonly stdout: Log;
  readonly stderr: Log;
  readonly #hooks: AttemptHooks;
  readonly #maxOutputBytes: number;
  readonly #follower: LogFollower;
  readonly #watch: FolderWatch;
  readonly #exit = deferred();
  readonly #hurry = deferred();
  #stream: StreamState = NEW_STREAM;
  #tree: ProcessTree | null = null;
  #oomKillsBefore: number | null = null;
  #killing: Promise<number | null> | null = null;
  #size = 0;
  #grewAt = monotonicMs();
  #caughtUpAt = monotonicMs();
  #resolveLastRead: (() => void) | null = null;
  #isOverLimit = false;

  constructor(files: AttemptFiles, maxOutputBytes: number, hooks: AttemptHooks) {
    this.#hooks = hooks;
    this.#maxOutputBytes = maxOutputBytes;
    // One byte over the limit shows that it is exceeded; nobody needs to see more of it.
    this.stdout = new Log(files.stdout, maxOutputBytes + 1);
    this.stderr = new Log(files.stderr, maxOutputBytes + 1);
    this.#follower = new LogFollower({
      log: this.stdout,
      lineBytesMax: LIMITS.lineBytesMax,
      mayMatter,
      onLine: (line) => this.#onLine(line),
      onCaughtUp: () => this.#onCaughtUp(),
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

  /** Starts the process, marked so that whatever it starts can be found again. */
  launch(request: LaunchRequest, markers: readonly Marker[], executionId: string): void {
    const tree = new ProcessTree(markers, executionId);
    this.#oomKillsBefore = oomKills();
    launch(
      { ...request, prefix: [...tree.prefix, ...request.prefix] },
      {
        onLaunched: (pid) => {
          this.#tree = tree;
          tree.onLaunched(pid);
          this.#grewAt = monotonicMs();
          this.#hooks.onLaunched(this.#grewAt);
        },
        onFailed: (message) => {
          tree.release();
          this.#hooks.onLaunchFailed(monotonicMs(), message);
        },
        onExit: (exit) => {
          this.#hooks.onExit({ ...exit, at: monotonicMs(), isOutOfMemory: this.#wasOutOfMemory(exit.signal) });
          this.#exit.resolve();
        },
      },
    );
  }

  /** Fixes the logs' ends as they are now. */
  fixEnds(): void {
    this.stdout.fixEnd();
    this.stderr.fixEnd();
    this.#checkLimit();
  }

  /** Resolves when everything up to the fixed ends has been read, or that has taken too long. */
  async readToEnds(): Promise<{ stderrFailure: ReasonOf<'failed'> | null; lastWords: string | null }> {
    const isRead = new Promise<void>((resolve) => (this.#resolveLastRead = resolve));
    this.#follower.pump();
    await waitAtMost(LAST_READ_MS_MAX, isRead);
    this.#follower.stop();
    const tail = this.stderr.tail(STDERR_TAIL_BYTES);
    const lastWords = tail.trim().split('\n').at(-1)?.trim().slice(0, LAST_WORDS_CHARS_MAX);
    return { stderrFailure: classifyStderr(tail), lastWords: lastWords === '' ? null : (lastWords ?? null) };
  }

  /**
   * Ends every process of the attempt; see {@link killTree}. `graceMs` 0: without asking first. Called again it is the
   * same kill, and one with `graceMs` 0 cuts a grace short that is running.
   */
  kill(graceMs: number): Promise<number | null> {
    if (this.#tree === null) return Promise.resolve(0);
    if (graceMs === 0) this.#hurry.resolve();
    this.#killing ??= this.#kill(this.#tree, graceMs);
    return this.#killing;
  }

  async #kill(tree: ProcessTree, graceMs: number): Promise<number | null> {
    const survivors = await killTree(tree, {
      ask: graceMs > 0 ? 'SIGTERM' : null,
      graceMs,
      exited: this.#exit.promise,
      hurried: this.#hurry.promise,
    });
    // Of a dead tree the notice of the exit is on its way, and the outcome wants to tell of it.
    await waitAtMost(EXIT_NOTICE_MS_MAX, this.#exit.promise);
    return survivors;
  }

  /** Lets go of files and timers. Readers that hold the logs open keep them. */
  close(): void {
    this.stdout.fixEnd();
    this.stderr.fixEnd();
    this.#stream = { ...NEW_STREAM, report: this.#stream.report };
    this.#follower.stop();
    this.#watch.close();
    this.stdout.release();
    this.stderr.release();
  }

  /** Only what the kernel counted meanwhile tells a process killed for want of memory from one killed by somebody. */
  #wasOutOfMemory(signal: string | null): boolean {
    if (signal !== 'SIGKILL' || this.#killing !== null) return false;
    const now = oomKills();
    return now !== null && this.#oomKillsBefore !== null && now > this.#oomKillsBefore;
  }

  #onChange(): void {
    const size = this.stdout.size() + this.stderr.size();
    if (size === this.#size) return;
    this.#size = size;
    this.#grewAt = monotonicMs();
    this.#follower.pump();
    this.#hooks.onGrowth();
    this.#checkLimit();
  }

  #checkLimit(): void {
    if (this.#isOverLimit || this.stdout.size() + this.stderr.size() <= this.#maxOutputBytes) return;
    this.#isOverLimit = true;
    this.#hooks.onOutputLimit(Math.max(this.#writtenAt(this.stdout), this.#writtenAt(this.stderr)));
  }

  #onLine(line: string): void {
    const { state, readings } = interpretLine(this.#stream, line);
    this.#stream = state;
    if (readings.length === 0) return;
    const at = this.#writtenAt(this.stdout);
    readings.forEach((reading) => this.#hooks.onReading(reading, at));
  }

  #onCaughtUp(): void {
    this.#caughtUpAt = monotonicMs();
    if (this.stdout.end !== null) this.#resolveLastRead?.();
  }

  /**
   * By when what is being read was written: the file's own time of change, within what is known for sure, so that a
   * wall clock that was moved can do no more harm than one late read.
   */
  #writtenAt(log: Log): number {
    const now = monotonicMs();
    const ageMs = Date.now() - log.modifiedAtEpochMs();
    return Math.min(now, Math.max(this.#caughtUpAt, now - ageMs));
  }
}

/** A promise and how to resolve it; `Promise.withResolvers` needs Node 22. */
function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((resolvePromise) => (resolve = resolvePromise));
  return { promise, resolve };
}
