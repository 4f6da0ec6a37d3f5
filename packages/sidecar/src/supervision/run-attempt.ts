import { type Cursor, type DispatchRequest, MAX_OUTPUT_BYTES_DEFAULT } from '@outrigger/protocol';
import { type Logger } from 'pino';
import { type Reading } from '../claude/interpret.js';
import { userLine } from '../claude/user-line.js';
import { monotonicMs } from '../clock.js';
import { type Asked, type Message } from '../core/conversation.js';
import { type SignsOfLife } from '../core/idle.js';
import { type JournalledAttempt } from '../core/journal-state.js';
import { type LifecycleEvent } from '../core/lifecycle-state.js';
import { EMPTY_REPORT, type RunReport } from '../core/outcome.js';
import { type ProcessName } from '../core/sweep.js';
import { type GateUser } from '../gateway/gate.js';
import { type Meter } from '../metrics/meter.js';
import { Attempt } from '../process/attempt.js';
import { type Log } from '../process/log.js';
import { type Marker } from '../process/tree/marker.js';
import { type AttemptFiles, type StateFolder } from '../state/folder.js';
import { type Access, type AttemptAccess, type AttemptWay } from './access.js';
import { adoptAttempt, type Adopted } from './adopt-attempt.js';
import { buildLaunchRequest, environmentOf, type LaunchInput, type LaunchSetup, settingsOf } from './launch-request.js';
import { type Notes } from './notes.js';
import { type AttemptView, endOfLogs } from './past-attempt.js';
import { prepareFiles } from './prepare.js';

export interface RunAttemptContext extends LaunchSetup {
  readonly state: StateFolder;
  readonly markers: readonly Marker[];
  readonly logger: Logger;
  readonly access: Access;
  readonly notes: Notes;
  readonly meter?: Meter;
  /** What happens to the attempt, in the words of the execution's lifecycle. */
  readonly tell: (event: LifecycleEvent) => void;
  /** There is more to read for whoever follows the logs. */
  readonly onGrowth: () => void;
}

export interface AttemptInit extends LaunchInput {
  /** Counts from 1; part of every cursor. */
  readonly number: number;
  /** What it is told first, where it is interactive; null: nothing. */
  readonly opening: Asked | null;
  /** What the attempt's way to the provider tells of it. */
  readonly user: Omit<GateUser, 'executionId' | 'model'>;
}

/** An attempt that another sidecar has written down. */
export interface NotedAttempt {
  readonly attempt: JournalledAttempt;
  /** Whether it has asked the provider for anything. */
  readonly hasAsked: boolean;
  /** Where its logs end; null: they can still grow. */
  readonly ends: { readonly stdout: number; readonly stderr: number } | null;
  /** A moment before its process was started. */
  readonly since: number;
  /** Whether the machine is the same, so that its process can live. */
  readonly canLive: boolean;
}

interface AttemptParts {
  readonly way: AttemptWay | null;
  /** Only what is to be launched needs it. */
  readonly access: AttemptAccess | null;
  readonly files: AttemptFiles;
  readonly noted: NotedAttempt | null;
}

/** What a process is told that goes on with a session. It wants to be told something. */
const RESUME_PROMPT = 'Go on with what you were doing.';

function resumePromptOf({ resumePrompt }: DispatchRequest): string {
  return resumePrompt ?? RESUME_PROMPT;
}

/** One attempt at an execution: its files, its process with the logs, and what that has said so far. */
export class RunAttempt implements AttemptView {
  readonly number: number;
  /** What only an attempt that goes on needs; a prompt alone can be megabytes. */
  #init: AttemptInit | null;
  readonly #context: RunAttemptContext;
  readonly #parts: AttemptParts;
  readonly stdout: Log;
  readonly stderr: Log;
  #process: Attempt | null;
  #isReleased = false;
  #toolSince: number | null = null;
  #toldAt = 0;
  #lastWords: string | null = null;

  private constructor(init: AttemptInit, context: RunAttemptContext, parts: AttemptParts) {
    this.number = init.number;
    this.#init = init;
    this.#context = context;
    this.#parts = parts;
    const { executionId, request } = init;
    const maxOutputBytes = request.maxOutputBytes ?? MAX_OUTPUT_BYTES_DEFAULT;
    const { tell, logger } = context;
    this.#process = new Attempt(parts.files, maxOutputBytes, {
      onLaunched: (at, leader) => this.#onLaunched(executionId, at, leader),
      onLaunchFailed: (at, message) => tell({ type: 'launch_failed', at, message }),
      onExit: (exit) => tell({ type: 'exited', exit }),
      onCaughtUp: () => tell({ type: 'caught_up' }),
      onReading: (reading, at) => this.#onReading(reading, at),
      onOutputLimit: (at) => tell({ type: 'output_limit', at }),
      onPrinted: (log, bytes) => context.meter?.printed(log, bytes),
      onGrowth: () => context.onGrowth(),
      onDegraded: (error) => logger.warn({ err: error }, 'logs are polled for want of notices, or cannot be read'),
    });
    this.stdout = this.#process.stdout;
    this.stderr = this.#process.stderr;
  }

  /** Opens the attempt's way to the provider, makes its files and opens its logs; nothing is started yet. */
  static async prepare(init: AttemptInit, context: RunAttemptContext): Promise<RunAttempt> {
    const { executionId, number, request, session } = init;
    const made: { attempt?: RunAttempt } = {};
    const access = context.access.open(gateUser(init, made));
    try {
      const text = session === 'resume' ? resumePromptOf(request) : request.prompt;
      const prompt = request.interactive === true ? null : text;
      const environment = environmentOf(context, init, access);
      const settings = settingsOf(init, access, environment);
      const files = await prepareFiles(context.state, { executionId, number }, { prompt, settings });
      made.attempt = new RunAttempt(init, context, { way: access, access, files, noted: null });
      return made.attempt;
    } catch (error) {
      access.close();
      throw error;
    }
  }

  /** An attempt that another sidecar has begun; {@link adopt} takes its process over. */
  static restore(init: AttemptInit, noted: NotedAttempt, context: RunAttemptContext): RunAttempt {
    const { number, start } = noted.attempt;
    const made: { attempt?: RunAttempt } = {};
    const { placeholderHash, gatewayPort, settings } = start;
    const notedWay = { placeholderHash, gatewayPort, hasAsked: noted.hasAsked };
    const way = context.access.restore(notedWay, gateUser(init, made));
    const files = context.state.reopenAttempt({ executionId: init.executionId, number }, settings);
    made.attempt = new RunAttempt(init, context, { way, access: null, files, noted });
    return made.attempt;
  }

  get isTakenOver(): boolean {
    return this.#parts.noted !== null;
  }

  get end(): Cursor | null {
    return endOfLogs(this);
  }

  get report(): RunReport {
    const requestFailure = this.#parts.way?.lastFailure() ?? null;
    return { ...(this.#process?.report ?? EMPTY_REPORT), lastWords: this.#lastWords, requestFailure };
  }

  get signsOfLife(): SignsOfLife {
    const lastOutputAt = Math.max(this.#process?.grewAt ?? 0, this.#parts.way?.lastTrafficAt() ?? 0, this.#toldAt);
    return { lastOutputAt, toolSince: this.#toolSince };
  }

  /** Marks the process that is to be started, and notes how it is found again. @throws JournalError */
  async mark(): Promise<void> {
    const { init, process } = this.#open();
    const { files, access } = this.#parts;
    const { executionId: id, session, sessionId } = init;
    const marks = process.mark(this.#context.markers, id);
    const { notes } = this.#context;
    const { placeholderHash = null, gatewayPort = null } = access ?? {};
    const start = { marks, placeholderHash, gatewayPort, settings: files.settings };
    notes.promise({ is: 'starting', id, attempt: this.number, session, sessionId, start });
    await notes.commit();
  }

  /** Starts the process that was marked. Tells `launched` or `launch_failed`. */
  launch(): void {
    const { init, process } = this.#open();
    const { files, access } = this.#parts;
    if (access === null) throw new Error('it was started by another sidecar');
    const environment = environmentOf(this.#context, init, access);
    // It waits in the pipe: who is killed from here on has told it if there is a process, and else nobody.
    this.#tellFirst(init);
    process.launch(buildLaunchRequest(this.#context, init, { files, environment }));
  }

  /** Tells the process something. Resolves when that is written. @throws Error when it cannot be. */
  async tell({ messageId, text }: Message): Promise<void> {
    const { init, process } = this.#open();
    this.#toldAt = monotonicMs();
    await process.tell(userLine(text, this.#nameOf(init, 'message', messageId)));
  }

  #tellFirst(init: AttemptInit): void {
    const { opening, request } = init;
    if (opening === null) return;
    const { what, message } = opening;
    const texts = { prompt: request.prompt, resume_prompt: resumePromptOf(request), message: message?.text ?? '' };
    const line = userLine(texts[what], this.#nameOf(init, what, message?.messageId));
    const onFailed = (error: Error) =>
      this.#context.tell({ type: 'input_failed', at: monotonicMs(), message: error.message });
    this.#open().process.tell(line).catch(onFailed);
  }

  /** Tells what the process is told from all else that it is told, and from what another attempt is. */
  #nameOf({ executionId }: AttemptInit, what: Asked['what'], messageId = ''): string {
    return [executionId, this.number, what, messageId].join('/');
  }

  /** Takes over the process that another sidecar has started, or was about to. Tells `launched` if there is one. */
  async adopt(): Promise<Adopted> {
    const { process } = this.#open();
    const { noted, way } = this.#parts;
    if (noted === null) throw new Error('it is our own');
    const adopted = await adoptAttempt(process, noted, this.#context.markers);
    if (noted.ends !== null && adopted === 'adopted') this.#lastWords = (await process.readToEnds()).lastWords;
    if (way === null) this.#context.tell({ type: 'gateway_lost', at: monotonicMs() });
    return adopted;
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
    await this.#context.state.removeHanded(this.#parts.files);
  }

  /** Lets go of files, timers and the way to the provider: another attempt may be a day away. The report stays. */
  #release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#parts.way?.close();
    this.#process?.close();
  }

  #open(): { init: AttemptInit; process: Attempt } {
    if (this.#init === null || this.#process === null) throw new Error('it has ended');
    return { init: this.#init, process: this.#process };
  }

  #onLaunched(id: string, at: number, leader: ProcessName | null): void {
    const { tell, notes } = this.#context;
    if (leader !== null) notes.note({ is: 'launched', id, attempt: this.number, at, ...leader });
    tell({ type: 'launched', at });
  }

  #onReading(reading: Reading, at: number): void {
    const { tell } = this.#context;
    switch (reading.kind) {
      case 'turn_started':
        tell({ type: 'turn_started' });
        break;
      case 'answered':
        if (this.#parts.way?.canHaveAnswer() === false) tell({ type: 'bypassed', at });
        break;
      case 'result':
        tell({ type: 'result', result: { at, failure: reading.failure }, isOwnTurn: reading.isOwnTurn ?? false });
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

function gateUser({ executionId, user }: AttemptInit, made: { readonly attempt?: RunAttempt }): GateUser {
  return { ...user, executionId, model: () => made.attempt?.report.model ?? null };
}
