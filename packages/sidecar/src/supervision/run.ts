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
import { buildArgv } from '../claude/argv.js';
import { buildEnvironment, type Credential } from '../claude/environment.js';
import { type Reading } from '../claude/stream.js';
import { monotonicMs } from '../clock.js';
import { type Effect, type Lifecycle, type LifecycleEvent, newLifecycle, stateOf, step } from '../core/lifecycle.js';
import { buildOutcome, describe, EMPTY_REPORT, type RunReport } from '../core/outcome.js';
import { type RunUser } from '../options/user.js';
import { Attempt } from '../process/attempt.js';
import { userEnvironment, userPrefix } from '../process/run-as.js';
import { type Marker } from '../process/tree/marker.js';
import { type AttemptFiles, type StateFolder } from '../state/folder.js';

/** What every run of one sidecar has in common. */
export interface RunContext {
  readonly command: string;
  readonly upstream: string | null;
  readonly passedVariables: readonly string[];
  readonly state: StateFolder;
  readonly markers: readonly Marker[];
  readonly runUser: RunUser | null;
  readonly logger: Logger;
  readonly onState: (run: Run) => void;
  readonly onOutcome: (run: Run, outcome: Outcome) => void;
}

export interface RunInit {
  readonly id: string;
  readonly digest: string;
  readonly request: DispatchRequest;
  readonly credential: Credential | null;
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
  readonly #timers = new Map<'deadline' | 'grace', NodeJS.Timeout>();
  readonly #events: LifecycleEvent[] = [];
  #isTelling = false;
  #lifecycle: Lifecycle;
  #report: RunReport;
  #files: AttemptFiles | null = null;
  #attempt: Attempt | null = null;
  #outcome: Outcome | null = null;

  constructor(init: RunInit, context: RunContext) {
    this.id = init.id;
    this.digest = init.digest;
    this.#request = init.request;
    this.#credential = init.credential;
    this.#context = context;
    this.#logger = context.logger.child({ executionId: init.id });
    this.#sessionId = init.request.resume ?? init.request.sessionId ?? randomUUID();
    this.#report = { ...EMPTY_REPORT, sessionId: this.#sessionId };
    this.#lifecycle = newLifecycle({
      timeoutMs: init.request.timeoutMs ?? DURATIONS.timeoutMs.defaultMs,
      graceMs: init.request.graceMs ?? DURATIONS.graceMs.defaultMs,
    });
  }

  get isLive(): boolean {
    return this.#lifecycle.phase !== 'ended';
  }

  get outcome(): Outcome | null {
    return this.#outcome;
  }

  /** The process with its logs; null before there is one, and for an execution that never had any. */
  get attempt(): Attempt | null {
    return this.#attempt;
  }

  /** Prepares the execution's files and starts its process. */
  async start(): Promise<void> {
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

  /** Ends the execution without anything being prepared or started. */
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
    return { status, reason, at: this.#toEpoch(at), message: describe(verdict, this.#lifecycle, this.#report) };
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
      case 'spawn':
        this.#spawn();
        break;
      case 'announce_running':
        this.#logger.info({ sessionId: this.#sessionId }, 'execution started');
        this.#context.onState(this);
        break;
      case 'set_deadline':
        this.#setTimer('deadline', effect.at, { type: 'deadline', at: effect.at });
        break;
      case 'set_grace':
        this.#setTimer('grace', effect.at, { type: 'grace_over' });
        break;
      case 'read_logs':
        this.#attempt?.fixEnds();
        void this.#attempt?.readToEnds().then(() => this.#tell({ type: 'logs_read' }));
        break;
      case 'announce_ending':
        this.#logger.info({ verdict: this.#lifecycle.verdict }, 'execution decided');
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

  #spawn(): void {
    if (this.#files === null || this.#credential === null) throw new Error(`execution ${this.id} is not prepared`);
    const session = this.#request.resume === undefined ? { start: this.#sessionId } : { resume: this.#sessionId };
    const launchRequest = {
      prefix: userPrefix(this.#context.runUser),
      command: this.#context.command,
      argv: buildArgv(this.#request, session, this.#files.settings),
      environment: buildEnvironment({
        inherited: { ...process.env, ...userEnvironment(this.#context.runUser) },
        passed: this.#context.passedVariables,
        requested: this.#request.env ?? {},
        executionId: this.id,
        upstream: this.#context.upstream,
        credential: this.#credential,
      }),
      cwd: this.#request.cwd ?? process.cwd(),
      files: this.#files,
    };
    this.#attempt?.launch(launchRequest, this.#context.markers, this.id);
  }

  async #kill(graceMs: number): Promise<void> {
    const survivors = (await this.#attempt?.kill(graceMs)) ?? null;
    this.#tell({ type: 'tree_dead', at: monotonicMs(), survivors });
  }

  #end(): void {
    this.#timers.forEach((timer) => clearTimeout(timer));
    this.#attempt?.close();
    if (this.#files !== null) void this.#removeHanded(this.#files);
    const { verdict } = this.#lifecycle;
    if (verdict === null) throw new Error(`execution ${this.id} ended without a verdict`);
    this.#outcome = buildOutcome(
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
    this.#logger.info({ status: this.#outcome.status, reason: this.#outcome.reason }, 'execution ended');
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
    if (reading.kind === 'nothing') return;
    this.#report = { ...this.#report, ...withoutNulls(reading.report) };
    if (reading.kind === 'result') this.#tell({ type: 'result', result: { at, failure: reading.failure } });
  }

  #notifyGrowth(): void {
    this.#growthListeners.forEach((listener) => listener());
  }

  #setTimer(name: 'deadline' | 'grace', at: number, event: LifecycleEvent): void {
    clearTimeout(this.#timers.get(name));
    this.#timers.set(
      name,
      setTimeout(() => this.#tell(event), Math.max(0, at - monotonicMs())),
    );
  }
}

/** What a later event of the stream does not say, an earlier one still does. */
function withoutNulls<T extends object>(values: T): Partial<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null)) as Partial<T>;
}
