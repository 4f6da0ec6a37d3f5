import { randomUUID } from 'node:crypto';
import {
  type Cursor,
  CURSOR_START,
  type DispatchRequest,
  DURATIONS,
  type ExecutionSummary,
  MAX_OUTPUT_BYTES_DEFAULT,
  type Outcome,
  type ReasonOf,
  type Verdict,
} from '@outrigger/protocol';
import { type Logger } from 'pino';
import { type Credential } from '../claude/environment.js';
import { type Reading } from '../claude/interpret.js';
import { monotonicMs } from '../clock.js';
import { idleDeadline } from '../core/idle.js';
import { type Effect, type Lifecycle, type LifecycleEvent, newLifecycle, stateOf } from '../core/lifecycle-state.js';
import { step } from '../core/lifecycle.js';
import { buildOutcome, describe, EMPTY_REPORT, redactMessage, redactOutcome, type RunReport } from '../core/outcome.js';
import { Attempt } from '../process/attempt.js';
import { type Marker } from '../process/tree/marker.js';
import { type CurrentRedactor } from '../redaction.js';
import { type AttemptFiles, type StateFolder } from '../state/folder.js';
import { buildLaunchRequest, type LaunchSetup } from './launch-request.js';
import { Timers } from './timers.js';

/** What every run of one sidecar has in common. */
export interface RunContext extends LaunchSetup {
  readonly state: StateFolder;
  readonly markers: readonly Marker[];
  readonly redactor: CurrentRedactor;
  readonly logger: Logger;
  readonly onState: (run: Run) => void;
  readonly onOutcome: (run: Run, outcome: Outcome) => void;
}

export interface RunInit {
  readonly id: string;
  readonly digest: string;
  readonly request: DispatchRequest;
  readonly credential: Credential | null;
  /** Whether it waits for a slot first. */
  readonly isQueued: boolean;
}

/**
 * One execution: carries out what its lifecycle decides, and tells the lifecycle what happens. Every callback of a
 * process, file or timer ends in `#tell`, which alone changes the state.
 */
export class Run {
  readonly id: string;
  readonly digest: string;
  readonly #request: DispatchRequest;
  readonly #credential: Credential | null;
  readonly #context: RunContext;
  readonly #logger: Logger;
  readonly #acceptedAtMs = monotonicMs();
  readonly #acceptedAtEpochMs = Date.now();
  readonly #sessionId: string;
  readonly #growthListeners = new Set<() => void>();
  readonly #timers = new Timers<'queue' | 'deadline' | 'grace' | 'idle'>();
  readonly #events: LifecycleEvent[] = [];
  #isTelling = false;
  #lifecycle: Lifecycle;
  #files: AttemptFiles | null = null;
  #attempt: Attempt | null = null;
  #toolSince: number | null = null;
  #lastWords: string | null = null;
  #outcome: Outcome | null = null;

  constructor(init: RunInit, context: RunContext) {
    const { request } = init;
    this.id = init.id;
    this.digest = init.digest;
    this.#request = request;
    this.#credential = init.credential;
    this.#context = context;
    this.#logger = context.logger.child({ executionId: init.id });
    this.#sessionId = request.resume ?? request.sessionId ?? randomUUID();
    this.#lifecycle = newLifecycle(
      {
        timeoutMs: this.#duration('timeoutMs'),
        graceMs: this.#duration('graceMs'),
        backgroundTimeoutMs: this.#duration('backgroundTimeoutMs'),
      },
      init.isQueued ? 'queued' : 'preparing',
    );
  }

  /** Whether it holds a slot. */
  get isLive(): boolean {
    return !this.isQueued && this.#lifecycle.phase !== 'ended';
  }

  get isQueued(): boolean {
    return this.#lifecycle.phase === 'queued';
  }

  get outcome(): Outcome | null {
    return this.#outcome;
  }

  /** The process with its logs; null before there is one, and for an execution that never had any. */
  get attempt(): Attempt | null {
    return this.#attempt;
  }

  /** Begins: prepares and starts the process, or waits for a slot. */
  begin(): void {
    if (!this.isQueued) {
      void this.#prepare();
      return;
    }
    const at = this.#acceptedAtMs + this.#duration('queueTimeoutMs');
    this.#timers.set('queue', at, () => this.#tell({ type: 'queue_timeout', at }));
  }

  /** Ends the wait for a slot. */
  takeSlot(): void {
    this.#timers.set('queue', null, () => undefined);
    this.#tell({ type: 'slot_free' });
  }

  /** Ends an execution that was not prepared yet without starting anything. */
  skip(reason: ReasonOf<'skipped'>): void {
    this.#tell({ type: 'refused', at: monotonicMs(), reason });
  }

  /** The same, because it was cancelled before it was dispatched. */
  cancelUnstarted(): void {
    this.cancel('requested');
    this.#tell({ type: 'prepared', at: monotonicMs() });
  }

  cancel(reason: 'requested' | 'drained'): void {
    this.#tell({ type: 'cancel', at: monotonicMs(), reason });
  }

  /** Calls `listener` when there may be more output or its end is fixed. Returns how to stop that. */
  onGrowth(listener: () => void): () => void {
    this.#growthListeners.add(listener);
    return () => this.#growthListeners.delete(listener);
  }

  /** Where the logs end; null while they can still grow. */
  get end(): Cursor | null {
    if (this.#lifecycle.verdict === null) return null;
    return { attempt: 1, stdout: this.#attempt?.stdout.end ?? 0, stderr: this.#attempt?.stderr.end ?? 0 };
  }

  summary(): ExecutionSummary {
    const { verdict, startedAt } = this.#lifecycle;
    return {
      executionId: this.id,
      state: stateOf(this.#lifecycle),
      attempt: CURSOR_START.attempt,
      acceptedAt: Math.round(this.#acceptedAtEpochMs),
      ...(startedAt === null ? {} : { startedAt: this.#toEpoch(startedAt) }),
      ...(this.#request.labels === undefined ? {} : { labels: this.#request.labels }),
      ...(verdict === null ? {} : { verdict: this.#publicVerdict(verdict), end: this.end ?? CURSOR_START }),
      ...(this.#outcome === null ? {} : { outcome: this.#outcome }),
    };
  }

  #publicVerdict(verdict: Verdict) {
    const { status, reason, at } = verdict;
    const message = redactMessage(describe(verdict, this.#lifecycle, this.#report), this.#context.redactor());
    return { status, reason, at: this.#toEpoch(at), message };
  }

  get #report(): RunReport {
    const report = this.#attempt?.report ?? EMPTY_REPORT;
    return { ...report, sessionId: report.sessionId ?? this.#sessionId, lastWords: this.#lastWords };
  }

  #duration(name: keyof typeof DURATIONS): number {
    return this.#request[name] ?? DURATIONS[name].defaultMs;
  }

  #toEpoch(ms: number): number {
    return Math.round(this.#acceptedAtEpochMs + (ms - this.#acceptedAtMs));
  }

  /** Events that arise while one is being dealt with wait for their turn. */
  #tell(event: LifecycleEvent): void {
    this.#events.push(event);
    if (this.#isTelling) return;
    this.#isTelling = true;
    for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
      const { state, effects } = step(this.#lifecycle, next);
      this.#lifecycle = state;
      effects.forEach((effect) => this.#perform(effect));
    }
    this.#isTelling = false;
  }

  #perform(effect: Effect): void {
    switch (effect.do) {
      case 'prepare':
        this.#context.onState(this);
        void this.#prepare();
        break;
      case 'spawn':
        this.#spawn();
        break;
      case 'announce_running':
        this.#logger.info({ sessionId: this.#sessionId }, 'execution started');
        this.#context.onState(this);
        this.#watchIdle();
        break;
      case 'set_deadline':
        this.#timers.set('deadline', effect.at, () => this.#tell({ type: 'deadline', at: effect.at }));
        break;
      case 'set_grace':
        this.#timers.set('grace', effect.at, () => this.#tell({ type: 'grace_over' }));
        break;
      case 'read_logs':
        void this.#readLogs();
        break;
      case 'announce_ending':
        this.#logger.info(this.summary().verdict, 'execution decided');
        this.#context.onState(this);
        this.#notifyGrowth();
        break;
      case 'kill':
        void this.#kill(effect.graceMs);
        break;
      case 'announce_outcome':
        this.#end();
        break;
    }
  }

  async #prepare(): Promise<void> {
    try {
      this.#files = await this.#context.state.createAttempt(this.id, this.#request.prompt, this.#request.settings);
      this.#attempt = this.#createAttempt(this.#files);
    } catch (error) {
      const message = `cannot prepare the execution's files: ${(error as Error).message}`;
      this.#tell({ type: 'launch_failed', at: monotonicMs(), message });
      return;
    }
    this.#tell({ type: 'prepared', at: monotonicMs() });
  }

  #spawn(): void {
    if (this.#files === null || this.#credential === null) throw new Error(`execution ${this.id} is not prepared`);
    const launchRequest = buildLaunchRequest(this.#context, {
      executionId: this.id,
      request: this.#request,
      sessionId: this.#sessionId,
      files: this.#files,
      credential: this.#credential,
    });
    try {
      this.#attempt?.launch(launchRequest, this.#context.markers, this.id);
    } catch (error) {
      const message = `cannot start ${this.#context.command}: ${(error as Error).message}`;
      this.#tell({ type: 'launch_failed', at: monotonicMs(), message });
    }
  }

  async #readLogs(): Promise<void> {
    this.#attempt?.fixEnds();
    const read = await this.#attempt?.readToEnds().catch((error: unknown) => this.#warn(error, 'logs cannot be read'));
    this.#lastWords = read?.lastWords ?? null;
    this.#tell({ type: 'logs_read', stderrFailure: read?.stderrFailure ?? null });
  }

  async #kill(graceMs: number): Promise<void> {
    const killed = this.#attempt?.kill(graceMs).catch((error: unknown) => this.#warn(error, 'tree cannot be killed'));
    const survivors = (await killed) ?? null;
    this.#tell({ type: 'tree_dead', at: monotonicMs(), survivors });
  }

  /** What fails here must not take the other runs along. */
  #warn(error: unknown, message: string): null {
    this.#logger.error({ err: error }, message);
    return null;
  }

  #end(): void {
    this.#timers.clear();
    this.#attempt?.close();
    if (this.#files !== null) void this.#removeHanded(this.#files);
    const { verdict } = this.#lifecycle;
    if (verdict === null) throw new Error(`execution ${this.id} ended without a verdict`);
    const outcome = buildOutcome(
      {
        executionId: this.id,
        lifecycle: this.#lifecycle,
        report: this.#report,
        credentialId: this.#credential?.id ?? null,
        acceptedAtEpochMs: this.#acceptedAtEpochMs,
        acceptedAtMs: this.#acceptedAtMs,
      },
      verdict,
    );
    this.#outcome = redactOutcome(outcome, this.#context.redactor());
    const { status, reason, survivors } = this.#outcome;
    this.#logger.info({ status, reason, survivors }, 'execution ended');
    this.#context.onOutcome(this, this.#outcome);
  }

  async #removeHanded(files: AttemptFiles): Promise<void> {
    await this.#context.state
      .removeHanded(files)
      .catch((error: unknown) => this.#logger.warn({ err: error }, 'cannot remove settings'));
  }

  #createAttempt(files: AttemptFiles): Attempt {
    return new Attempt(files, this.#request.maxOutputBytes ?? MAX_OUTPUT_BYTES_DEFAULT, {
      onLaunched: (at) => this.#tell({ type: 'launched', at }),
      onLaunchFailed: (at, message) => this.#tell({ type: 'launch_failed', at, message }),
      onExit: (exit) => this.#tell({ type: 'exited', exit }),
      onReading: (reading, at) => this.#onReading(reading, at),
      onOutputLimit: (at) => this.#tell({ type: 'output_limit', at }),
      onGrowth: () => this.#notifyGrowth(),
      onDegraded: (error) => this.#logger.warn({ err: error }, 'no notices of file changes; polling instead'),
    });
  }

  #onReading(reading: Reading, at: number): void {
    switch (reading.kind) {
      case 'turn_started':
        this.#tell({ type: 'turn_started' });
        break;
      case 'result':
        this.#tell({ type: 'result', result: { at, failure: reading.failure } });
        break;
      case 'tasks':
        this.#tell({ type: 'tasks', at, open: reading.open });
        break;
      case 'tools':
        this.#toolSince = reading.open === 0 ? null : (this.#toolSince ?? at);
        break;
      case 'credential_failed':
        this.#tell({ type: 'credential_failed', at, reason: reading.reason });
        break;
    }
  }

  /** Output comes too often to move a timer each time: one that is due looks whether it still is. */
  #watchIdle(): void {
    const limits = { idleTimeoutMs: this.#duration('idleTimeoutMs'), toolStallMs: this.#duration('toolStallMs') };
    const at = idleDeadline({ lastOutputAt: this.#attempt?.grewAt ?? 0, toolSince: this.#toolSince }, limits);
    if (at <= monotonicMs()) this.#tell({ type: 'idle', at });
    else this.#timers.set('idle', at, () => this.#watchIdle());
  }

  #notifyGrowth(): void {
    this.#growthListeners.forEach((listener) => listener());
  }
}
