import { type Cursor, type DispatchRequest, MAX_OUTPUT_BYTES_DEFAULT } from '@outrigger/protocol';
import { type Logger } from 'pino';
import { type Reading } from '../claude/interpret.js';
import { monotonicMs } from '../clock.js';
import { type SignsOfLife } from '../core/idle.js';
import { type LifecycleEvent } from '../core/lifecycle-state.js';
import { EMPTY_REPORT, type RunReport } from '../core/outcome.js';
import { Attempt } from '../process/attempt.js';
import { type Log } from '../process/log.js';
import { type Marker } from '../process/tree/marker.js';
import { type AttemptFiles, type AttemptName, type StateFolder } from '../state/folder.js';
import { buildLaunchRequest, type LaunchInput, type LaunchSetup } from './launch-request.js';
import { prepareFiles } from './prepare.js';

export interface RunAttemptContext extends LaunchSetup {
  readonly state: StateFolder;
  readonly markers: readonly Marker[];
  readonly logger: Logger;
  /** What happens to the attempt, in the words of the execution's lifecycle. */
  readonly tell: (event: LifecycleEvent) => void;
  /** There is more to read for whoever follows the logs. */
  readonly onGrowth: () => void;
}

/** One attempt at an execution: its files, its process with the logs, and what that has said so far. */
export class RunAttempt {
  /** Counts from 1; part of every cursor. */
  readonly number: number;
  readonly #context: RunAttemptContext;
  readonly #files: AttemptFiles;
  readonly stdout: Log;
  readonly stderr: Log;
  #process: Attempt | null;
  #toolSince: number | null = null;
  #lastWords: string | null = null;

  private constructor(number: number, files: AttemptFiles, maxOutputBytes: number, context: RunAttemptContext) {
    this.number = number;
    this.#context = context;
    this.#files = files;
    const { tell, logger } = context;
    this.#process = new Attempt(files, maxOutputBytes, {
      onLaunched: (at) => tell({ type: 'launched', at }),
      onLaunchFailed: (at, message) => tell({ type: 'launch_failed', at, message }),
      onExit: (exit) => tell({ type: 'exited', exit }),
      onReading: (reading, at) => this.#onReading(reading, at),
      onOutputLimit: (at) => tell({ type: 'output_limit', at }),
      onGrowth: () => context.onGrowth(),
      onDegraded: (error) => logger.warn({ err: error }, 'no notices of file changes; polling instead'),
    });
    this.stdout = this.#process.stdout;
    this.stderr = this.#process.stderr;
  }

  /** Makes the attempt's files and opens its logs; nothing is started yet. */
  static async prepare(name: AttemptName, request: DispatchRequest, context: RunAttemptContext): Promise<RunAttempt> {
    const files = await prepareFiles(context.state, name, request);
    return new RunAttempt(name.number, files, request.maxOutputBytes ?? MAX_OUTPUT_BYTES_DEFAULT, context);
  }

  /** Where the logs end; 0 for one that can still grow. */
  get end(): Cursor {
    return { attempt: this.number, stdout: this.stdout.end ?? 0, stderr: this.stderr.end ?? 0 };
  }

  /** What the process has told about itself so far. */
  get report(): RunReport {
    return { ...(this.#process?.report ?? EMPTY_REPORT), lastWords: this.#lastWords };
  }

  get signsOfLife(): SignsOfLife {
    return { lastOutputAt: this.#process?.grewAt ?? 0, toolSince: this.#toolSince };
  }

  /** Starts the process. Tells `launched` or `launch_failed`. */
  launch(input: Omit<LaunchInput, 'files'>): void {
    const request = buildLaunchRequest(this.#context, { ...input, files: this.#files });
    this.#process?.launch(request, this.#context.markers, input.executionId);
  }

  /** Fixes the logs' ends as they are now and reads up to there. Tells `logs_read`. */
  async readLogs(): Promise<void> {
    this.#process?.fixEnds();
    const read = await this.#process?.readToEnds();
    this.#lastWords = read?.lastWords ?? null;
    this.#context.tell({ type: 'logs_read', stderrFailure: read?.stderrFailure ?? null });
  }

  /** Ends every process of the attempt. Tells `tree_dead`. */
  async kill(graceMs: number): Promise<void> {
    const survivors = this.#process === null ? 0 : await this.#process.kill(graceMs);
    this.#context.tell({ type: 'tree_dead', at: monotonicMs(), survivors });
  }

  /** Ends the grace of a kill that is under way. */
  async hurry(): Promise<void> {
    await this.#process?.kill(0);
  }

  /** Lets go of everything but the logs, of what the process has told as well. */
  async close(): Promise<void> {
    this.#process?.close();
    this.#process = null;
    await this.#context.state.removeHanded(this.#files);
  }

  #onReading(reading: Reading, at: number): void {
    const { tell } = this.#context;
    switch (reading.kind) {
      case 'turn_started':
        tell({ type: 'turn_started' });
        break;
      case 'result':
        tell({ type: 'result', result: { at, failure: reading.failure } });
        break;
      case 'tasks':
        tell({ type: 'tasks', at, open: reading.open });
        break;
      case 'tools':
        this.#toolSince = reading.open === 0 ? null : (this.#toolSince ?? at);
        break;
      case 'credential_failed':
        tell({ type: 'credential_failed', at, reason: reading.reason });
        break;
    }
  }
}
