import { LIMITS } from '@outrigger/protocol';
import { mayMatter, readLine, type Reading } from '../claude/stream.js';
import { monotonicMs } from '../clock.js';
import { type AttemptFiles } from '../state/folder.js';
import { LogFollower } from './follow.js';
import { killTree } from './kill.js';
import { launch, type LaunchRequest } from './launch.js';
import { Log } from './log.js';
import { type Marker } from './tree/marker.js';
import { ProcessTree } from './tree/tree.js';
import { type FolderWatch, watchFolder } from './watch.js';

/** The last read before a verdict takes no longer than this, however much there is to read. */
const LAST_READ_MS_MAX = 5000;

/** What an attempt reports. Times are monotonic milliseconds. */
export interface AttemptHooks {
  onLaunched(at: number): void;
  onLaunchFailed(at: number, message: string): void;
  onExit(exit: { at: number; code: number | null; signal: string | null }): void;
  /** The run printed something that matters; `at` is by when it was in the log. */
  onReading(reading: Reading, at: number): void;
  onOutputLimit(at: number): void;
  /** There may be more to read for whoever follows the logs. */
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
  #tree: ProcessTree | null = null;
  readonly #exit = deferred();
  #caughtUpAt = monotonicMs();
  #resolveLastRead: (() => void) | null = null;
  #isOverLimit = false;

  constructor(files: AttemptFiles, maxOutputBytes: number, hooks: AttemptHooks) {
    this.#hooks = hooks;
    this.#maxOutputBytes = maxOutputBytes;
    this.stdout = new Log(files.stdout);
    this.stderr = new Log(files.stderr);
    this.stdout.open();
    this.stderr.open();
    this.#follower = new LogFollower({
      log: this.stdout,
      lineBytesMax: LIMITS.lineBytesMax,
      mayMatter,
      onLine: (line) => this.#onLine(line),
      onCaughtUp: () => this.#onCaughtUp(),
    });
    this.#watch = watchFolder(
      files.folder,
      () => this.#onChange(),
      (error) => hooks.onDegraded(error),
    );
  }

  /** Starts the process, marked so that whatever it starts can be found again. */
  launch(request: LaunchRequest, markers: readonly Marker[], executionId: string): void {
    const tree = new ProcessTree(markers, executionId);
    launch(
      { ...request, prefix: [...tree.prefix, ...request.prefix] },
      {
        onLaunched: (pid) => {
          tree.onLaunched(pid);
          this.#tree = tree;
          this.#hooks.onLaunched(monotonicMs());
        },
        onFailed: (message) => {
          tree.release();
          this.#hooks.onLaunchFailed(monotonicMs(), message);
        },
        onExit: (exit) => {
          this.#hooks.onExit({ ...exit, at: monotonicMs() });
          this.#exit.resolve();
        },
      },
    );
  }

  /** Fixes the logs' ends as they are now. */
  fixEnds(): { stdout: number; stderr: number } {
    return { stdout: this.stdout.fixEnd(), stderr: this.stderr.fixEnd() };
  }

  /** Resolves when everything up to the fixed ends has been read, or that has taken too long. */
  async readToEnds(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      timer = setTimeout(resolve, LAST_READ_MS_MAX);
      this.#resolveLastRead = resolve;
      this.#follower.pump();
    });
    clearTimeout(timer);
    this.#follower.stop();
  }

  /** Ends every process of the attempt; see {@link killTree}. `graceMs` 0: without asking first. */
  async kill(graceMs: number): Promise<number | null> {
    if (this.#tree === null) return 0;
    const ask = graceMs > 0 ? 'SIGTERM' : null;
    return killTree(this.#tree, { ask, graceMs, exited: this.#exit.promise });
  }

  /** Lets go of files and timers. Readers that hold the logs open keep them. */
  close(): void {
    this.fixEnds();
    this.#follower.stop();
    this.#watch.close();
    this.stdout.release();
    this.stderr.release();
  }

  #onChange(): void {
    this.#follower.pump();
    this.#hooks.onGrowth();
    if (this.#isOverLimit || this.stdout.size() + this.stderr.size() <= this.#maxOutputBytes) return;
    this.#isOverLimit = true;
    this.#hooks.onOutputLimit(monotonicMs());
  }

  #onLine(line: string): void {
    const reading = readLine(line);
    if (reading.kind !== 'nothing') this.#hooks.onReading(reading, this.#writtenAt());
  }

  #onCaughtUp(): void {
    this.#caughtUpAt = monotonicMs();
    if (this.stdout.end !== null) this.#resolveLastRead?.();
  }

  /**
   * By when the chunk at hand was written: the file's own time of change, within what is known for sure, so that a
   * wall clock that was moved can do no more harm than one late read.
   */
  #writtenAt(): number {
    const now = monotonicMs();
    const ageMs = Date.now() - this.stdout.modifiedAtEpochMs();
    return Math.min(now, Math.max(this.#caughtUpAt, now - ageMs));
  }
}

/** A promise and how to resolve it; `Promise.withResolvers` needs Node 22. */
function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((resolvePromise) => (resolve = resolvePromise));
  return { promise, resolve };
}
