import { type ReasonOf } from '@outrigger/protocol';
import { monotonicMs } from '../clock.js';
import { type Exit } from '../core/lifecycle-state.js';
import { type RunReport } from '../core/outcome.js';
import { type ProcessName } from '../core/sweep.js';
import { type AttemptFiles } from '../state/folder.js';
import { waitAtMost } from '../timeout.js';
import { findLeader, isAlive, waitForEnd } from './adoption.js';
import { deferred } from '../deferred.js';
import { InputPipe } from './input-pipe.js';
import { killTree } from './kill.js';
import { launch, type LaunchRequest } from './launch.js';
import { type Log } from './log.js';
import { oomKills } from './oom.js';
import { Output, type OutputHooks } from './output.js';
import { type Marker } from './tree/marker.js';
import { type MarkStates } from './tree/marks.js';
import { startedAt } from './tree/proc.js';
import { ProcessTree } from './tree/tree.js';

/** How long the notice of an exit may be on its way once the tree is dead. */
const EXIT_NOTICE_MS_MAX = 1000;

/** What an attempt reports. Times are monotonic milliseconds. */
export interface AttemptHooks extends OutputHooks {
  /** `leader`: by which the process is found again; null where it could not be looked at. */
  onLaunched(at: number, leader: ProcessName | null): void;
  onLaunchFailed(at: number, message: string): void;
  onExit(exit: Exit): void;
  /** Of one that was taken over all is read that it had printed by then. */
  onCaughtUp(): void;
}

/** What another sidecar has noted about a process. */
export interface NotedProcess {
  readonly marks: MarkStates;
  /** Null: it was about to be started. */
  readonly leader: ProcessName | null;
  /** When it was started, where that is known; else a moment before that. Monotonic milliseconds. */
  readonly since: number;
}

/**
 * What has become of a process: it was `adopted`, be it dead or alive; or `nothing_runs`; or nothing was found, but not all
 * marks could be looked for.
 */
export type Adoption = 'adopted' | 'nothing_runs' | 'nothing_found';

/** One process of an execution, with its logs. */
export class Attempt {
  readonly #hooks: AttemptHooks;
  readonly #output: Output;
  readonly #stdin: string;
  #input: InputPipe | null = null;
  readonly #exit = deferred();
  readonly #hurry = deferred();
  readonly #closed = new AbortController();
  /** Marked for a process that is not started yet. */
  #marked: ProcessTree | null = null;
  #tree: ProcessTree | null = null;
  /** What a kill says of survivors where there is no tree. */
  #survivorsOfNobody: 0 | null = 0;
  #oomKillsBefore: number | null = null;
  #killing: Promise<number | null> | null = null;

  constructor(files: AttemptFiles, maxOutputBytes: number, hooks: AttemptHooks) {
    this.#hooks = hooks;
    this.#stdin = files.stdin;
    this.#output = new Output(files, maxOutputBytes, hooks);
  }

  get stdout(): Log {
    return this.#output.stdout;
  }

  get stderr(): Log {
    return this.#output.stderr;
  }

  /** What the run has told about itself so far. */
  get report(): RunReport {
    return this.#output.report;
  }

  /** When output last came. */
  get grewAt(): number {
    return this.#output.grewAt;
  }

  /**
   * Makes the marks by which the process, and whatever it starts, can be found again. To be called before
   * {@link launch}.
   *
   * @returns What must be noted for another sidecar to {@link adopt} the process.
   * @throws Error when there is no mark to be had.
   */
  mark(markers: readonly Marker[], executionId: string): MarkStates {
    this.#marked = ProcessTree.mark(markers, executionId);
    return this.#marked.states;
  }

  /**
   * Writes a line to the stdin of a process that has open input, whether or not it is started yet: what fits the pipe waits
   * there. Resolves when it is written.
   *
   * @throws Error when that cannot be done
   */
  async tell(line: string): Promise<void> {
    this.#input ??= new InputPipe(this.#stdin);
    await this.#input.write(line);
  }

  /** Starts the process. */
  launch(request: LaunchRequest): void {
    const tree = this.#takeMarked();
    this.#oomKillsBefore = oomKills();
    launch(
      { ...request, prefix: [...tree.prefix, ...request.prefix] },
      {
        onLaunched: (pid) => {
          const at = monotonicMs();
          this.#tree = tree;
          tree.onLaunched(pid);
          this.#output.begin(at);
          this.#hooks.onLaunched(at, tree.leader);
        },
        onFailed: (message) => {
          tree.release();
          this.#hooks.onLaunchFailed(monotonicMs(), message);
        },
        onExit: (exit) => {
          this.#tellExit({ ...exit, at: monotonicMs(), isOutOfMemory: this.#wasOutOfMemory(exit.signal) });
        },
      },
    );
  }

  /**
   * Takes over a process that another sidecar has started, or was about to. Of one that is found is told what is told of
   * one that is launched, the output from its beginning; how it exits is not known.
   *
   * @returns Resolves when it is known whether there is one, before anything but `onLaunched` is told.
   */
  async adopt(markers: readonly Marker[], { marks, leader: noted, since }: NotedProcess): Promise<Adoption> {
    const tree = ProcessTree.restore(markers, marks, noted);
    this.#tree = tree;
    const leader = noted ?? (await findLeader(tree, this.#closed.signal));
    if (leader === null) {
      tree.release();
      this.#tree = null;
      if (tree.hasAllMarks && !this.#closed.signal.aborted) return 'nothing_runs';
      this.#survivorsOfNobody = null;
      return 'nothing_found';
    }
    this.#hooks.onLaunched(noted === null ? Math.max(since, startedAt(leader, monotonicMs())) : since, leader);
    void this.#follow(leader, since);
    return 'adopted';
  }

  /**
   * The same for a process that is known not to live: it is told by its logs alone.
   *
   * @param isTreeDead Whether nothing that it started can live either.
   */
  adoptDead(since: number, { isTreeDead }: { isTreeDead: boolean }): void {
    this.#survivorsOfNobody = isTreeDead ? 0 : null;
    this.#hooks.onLaunched(since, null);
    void this.#follow(null, since);
  }

  /** Reads what is in the logs, then waits for the end of a process that is not our child. */
  async #follow(leader: ProcessName | null, since: number): Promise<void> {
    const wasAlive = leader !== null && isAlive(leader);
    const isRead = this.#output.takeOver(since);
    const lastWrittenAt = this.#output.grewAt;
    // The end of what is being read would be lost behind an exit that is told before.
    await isRead;
    if (!this.#closed.signal.aborted) this.#hooks.onCaughtUp();
    if (leader !== null) await waitForEnd(leader, this.#closed.signal);
    if (this.#closed.signal.aborted) return;
    // Nobody saw the end of one that was dead when it was found; what it wrote it has written before.
    this.#tellExit({ at: wasAlive ? monotonicMs() : lastWrittenAt, code: null, signal: null });
  }

  /** Fixes the logs' ends where another sidecar has fixed them. */
  fixEndsAt(ends: { readonly stdout: number; readonly stderr: number }): void {
    this.#output.fixEndsAt(ends);
  }

  /** Fixes the logs' ends as they are now. */
  fixEnds(): void {
    this.#output.fixEnds();
  }

  /** Resolves when everything up to the fixed ends has been read, or that has taken too long. */
  readToEnds(): Promise<{ stderrFailure: ReasonOf<'failed'> | null; lastWords: string | null }> {
    return this.#output.readToEnds();
  }

  /**
   * Ends every process of the attempt; see {@link killTree}. `graceMs` 0: without asking first. Called again it is the
   * same kill, and one with `graceMs` 0 cuts a grace short that is running.
   */
  kill(graceMs: number): Promise<number | null> {
    if (this.#tree === null) return Promise.resolve(this.#survivorsOfNobody);
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
    this.#closed.abort();
    this.#marked?.release();
    this.#marked = null;
    this.#input?.close();
    this.#output.close();
  }

  #takeMarked(): ProcessTree {
    const tree = this.#marked;
    if (tree === null) throw new Error('it is not marked');
    this.#marked = null;
    return tree;
  }

  #tellExit(exit: Exit): void {
    this.#hooks.onExit(exit);
    this.#exit.resolve();
  }

  /** Only what the kernel counted meanwhile tells a process killed for want of memory from one killed by somebody. */
  #wasOutOfMemory(signal: string | null): boolean {
    if (signal !== 'SIGKILL' || this.#killing !== null) return false;
    const now = oomKills();
    return now !== null && this.#oomKillsBefore !== null && now > this.#oomKillsBefore;
  }
}
