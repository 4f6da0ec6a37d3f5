import { type Cursor, MAX_OUTPUT_BYTES_DEFAULT } from '@outrigger/protocol';
import { type Logger } from 'pino';
import { type Reading } from '../claude/interpret.js';
import { monotonicMs } from '../clock.js';
import { type SignsOfLife } from '../core/idle.js';
import { type LifecycleEvent } from '../core/lifecycle-state.js';
import { EMPTY_REPORT, type RunReport } from '../core/outcome.js';
import { Attempt } from '../process/attempt.js';
import { type Log } from '../process/log.js';
import { type Marker } from '../process/tree/marker.js';
import { type AttemptFiles, type StateFolder } from '../state/folder.js';
import { type GateUser } from '../gateway/gate.js';
import { type Access, type AttemptAccess } from './access.js';
import { buildLaunchRequest, environmentOf, type LaunchInput, type LaunchSetup, settingsOf } from './launch-request.js';
import { prepareFiles } from './prepare.js';

export interface RunAttemptContext extends LaunchSetup {
  readonly state: StateFolder;
  readonly markers: readonly Marker[];
  readonly logger: Logger;
  readonly access: Access;
  /** What happens to the attempt, in the words of the execution's lifecycle. */
  readonly tell: (event: LifecycleEvent) => void;
  /** There is more to read for whoever follows the logs. */
  readonly onGrowth: () => void;
}

export interface AttemptInit extends LaunchInput {
  /** Counts from 1; part of every cursor. */
  readonly number: number;
  /** What the attempt's way to the provider tells of it. */
  readonly user: Omit<GateUser, 'executionId' | 'model'>;
}

/** What a process is told that goes on with a session. It wants to be told something. */
const RESUME_PROMPT = 'Go on with what you were doing.';

/** One attempt at an execution: its files, its process with the logs, and what that has said so far. */
export class RunAttempt {
  /** Counts from 1; part of every cursor. */
  readonly number: number;
  /** What only an attempt that goes on needs; a prompt alone can be megabytes. */
  #init: AttemptInit | null;
  readonly #context: RunAttemptContext;
  readonly #access: AttemptAccess;
  readonly #files: AttemptFiles;
  readonly stdout: Log;
  readonly stderr: Log;
  #process: Attempt | null;
  #isReleased = false;
  #toolSince: number | null = null;
  #lastWords: string | null = null;

  private constructor(
    init: AttemptInit,
    context: RunAttemptContext,
    { access, files }: { readonly access: AttemptAccess; readonly files: AttemptFiles },
  ) {
    this.number = init.number;
    this.#init = init;
    this.#context = context;
    this.#access = access;
    this.#files = files;
    const maxOutputBytes = init.request.maxOutputBytes ?? MAX_OUTPUT_BYTES_DEFAULT;
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

  /** Opens the attempt's way to the provider, makes its files and opens its logs; nothing is started yet. */
  static async prepare(init: AttemptInit, context: RunAttemptContext): Promise<RunAttempt> {
    const { executionId, number, request, session } = init;
    const made: { attempt?: RunAttempt } = {};
    const model = () => made.attempt?.report.model ?? null;
    const access = context.access.open({ ...init.user, executionId, model });
    try {
      const prompt = session === 'resume' ? (request.resumePrompt ?? RESUME_PROMPT) : request.prompt;
      const environment = environmentOf(context, init, access);
      const settings = settingsOf(init, access, environment);
      const files = await prepareFiles(context.state, { executionId, number }, { prompt, settings });
      made.attempt = new RunAttempt(init, context, { access, files });
      return made.attempt;
    } catch (error) {
      access.close();
      throw error;
    }
  }

  /** Where the logs end; null for one that has printed nothing, or whose logs can still grow. */
  get end(): Cursor | null {
    const end = { attempt: this.number, stdout: this.stdout.end ?? 0, stderr: this.stderr.end ?? 0 };
    return end.stdout + end.stderr === 0 ? null : end;
  }

  /** What the process has told about itself so far. */
  get report(): RunReport {
    return { ...(this.#process?.report ?? EMPTY_REPORT), lastWords: this.#lastWords };
  }

  get signsOfLife(): SignsOfLife {
    const lastOutputAt = Math.max(this.#process?.grewAt ?? 0, this.#access.lastTrafficAt());
    return { lastOutputAt, toolSince: this.#toolSince };
  }

  /** Starts the process. Tells `launched` or `launch_failed`. */
  launch(): void {
    if (this.#init === null || this.#process === null) throw new Error('it has ended');
    const environment = environmentOf(this.#context, this.#init, this.#access);
    const request = buildLaunchRequest(this.#context, this.#init, { files: this.#files, environment });
    this.#process.mark(this.#context.markers, this.#init.executionId);
    this.#process.launch(request);
  }

  /** Fixes the logs' ends as they are now and reads up to there. Tells `logs_read`. */
  async readLogs(): Promise<void> {
    this.#process?.fixEnds();
    const read = await this.#process?.readToEnds();
    this.#lastWords = read?.lastWords ?? null;
    this.#context.tell({ type: 'logs_read', stderrFailure: read?.stderrFailure ?? null });
  }

  /** Ends every process of the attempt, and its logs with it. Tells `tree_dead`. */
  async kill(graceMs: number): Promise<void> {
    const survivors = this.#process === null ? 0 : await this.#process.kill(graceMs);
    this.#release();
    this.#context.tell({ type: 'tree_dead', at: monotonicMs(), survivors });
  }

  /** Ends the grace of a kill that is under way. */
  async hurry(): Promise<void> {
    await this.#process?.kill(0);
  }

  /** Lets go of everything but the logs, of what the process has told as well. */
  async close(): Promise<void> {
    this.#release();
    this.#process = null;
    this.#init = null;
    await this.#context.state.removeHanded(this.#files);
  }

  /** Lets go of files, timers and the way to the provider: another attempt may be a day away. The report stays. */
  #release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#access.close();
    this.#process?.close();
  }

  #onReading(reading: Reading, at: number): void {
    const { tell } = this.#context;
    switch (reading.kind) {
      case 'turn_started':
        tell({ type: 'turn_started' });
        break;
      case 'answered':
        if (!this.#access.canHaveAnswer()) tell({ type: 'bypassed', at });
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
