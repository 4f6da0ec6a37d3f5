import { randomUUID } from 'node:crypto';
import { type DispatchRequest } from '@outrigger/protocol';
import { monotonicMs } from '../clock.js';
import { type Message } from '../core/conversation.js';
import {
  type CredentialName,
  type JournalledAttempt,
  type JournalledExecution,
  type LogEnds,
} from '../core/journal-state.js';
import { type LifecycleEvent, type Refusal, type SessionUse } from '../core/lifecycle-state.js';
import { type CredentialInForce } from '../credentials/slot.js';
import { type Accepted } from './accepted.js';
import { killNoted } from './adopt-attempt.js';
import { type LifecycleLoop } from './lifecycle-loop.js';
import { PastAttempt } from './past-attempt.js';
import { type AttemptInit, RunAttempt, type RunAttemptContext } from './run-attempt.js';
import { type RunFacts } from './run-view.js';

export type RunAttemptsContext = Omit<RunAttemptContext, 'tell' | 'onGrowth'>;

export interface RunAttemptsOptions {
  readonly accepted: Accepted;
  readonly loop: LifecycleLoop;
  readonly context: RunAttemptsContext;
}

/** The attempts at one execution, one after the other, and who follows their logs. */
export class RunAttempts {
  readonly #options: RunAttemptsOptions;
  /** What only a run that goes on needs; a prompt alone can be megabytes. */
  #request: DispatchRequest | null;
  /** Those of an earlier sidecar that are over. */
  #past: readonly PastAttempt[] = [];
  readonly #own: RunAttempt[] = [];
  readonly #growthListeners = new Set<() => void>();
  /** Of another sidecar: its attempts, and why the last one could not be restored, if it could not. */
  #noted: { readonly attempts: readonly JournalledAttempt[]; readonly canLive: boolean } | null = null;
  #unrestored: unknown = null;
  #isYetToStart = false;
  #sessionId: string;
  #credential: CredentialName | null = null;

  constructor(request: DispatchRequest, options: RunAttemptsOptions) {
    this.#options = options;
    this.#request = request;
    this.#sessionId = options.accepted.sessionId;
  }

  get latest(): RunAttempt | null {
    return this.#own.at(-1) ?? null;
  }

  /** Whether the latest process was started by another sidecar. */
  get isTakenOver(): boolean {
    return this.latest?.isTakenOver ?? false;
  }

  get facts(): Pick<RunFacts, 'attempts' | 'sessionId' | 'credential'> {
    return { attempts: [...this.#past, ...this.#own], sessionId: this.#sessionId, credential: this.#credential };
  }

  /** Where the logs of every attempt end. */
  get ends(): LogEnds {
    return this.facts.attempts.map(({ stdout, stderr }) => ({ stdout: stdout.end ?? 0, stderr: stderr.end ?? 0 }));
  }

  /** Calls `listener` when there may be more output or its end is fixed. Returns how to stop that. */
  onGrowth(listener: () => void): () => void {
    this.#growthListeners.add(listener);
    return () => this.#growthListeners.delete(listener);
  }

  /** Takes in the attempts that another sidecar has written down. @param canLive Whether a process of theirs can live. */
  restore(execution: JournalledExecution, { canLive }: { readonly canLive: boolean }): void {
    const { attempts, credential, ends } = execution;
    const { state } = this.#options.context;
    const { executionId } = this.#options.accepted;
    const latest = attempts.at(-1);
    this.#sessionId = latest?.sessionId ?? this.#sessionId;
    this.#credential = credential;
    const hasLogs = state.hasLogs(executionId);
    this.#past = attempts.slice(0, -1).map(({ number }, index) => {
      const files = state.logsOf({ executionId, number });
      return PastAttempt.restore({ number, files, ends: ends?.[index] ?? NO_LOGS, hasLogs });
    });
    if (latest !== undefined) this.#restoreLatest(latest, execution, canLive);
  }

  #restoreLatest(
    attempt: JournalledAttempt,
    { accepted, attempts, credential, ends, suspended, verdict }: JournalledExecution,
    canLive: boolean,
  ): void {
    const { number, session, sessionId } = attempt;
    const { tell, init, onGrowth } = this.#describe(number, session, sessionId);
    const before = attempts.findLast((other) => other.number < number)?.launched?.at;
    const noted = {
      attempt,
      hasAsked: credential !== null,
      ends: suspended === null && verdict === null ? null : (ends?.at(-1) ?? null),
      since: before ?? accepted.acceptedAtMs,
      canLive,
    };
    this.#noted = { attempts, canLive };
    try {
      this.#own.push(RunAttempt.restore(init, noted, { ...this.#options.context, tell, onGrowth }));
    } catch (error) {
      this.#unrestored = error;
    }
  }

  /** Makes the next attempt and lets go of the one before. Tells `prepared`. */
  async prepare(): Promise<void> {
    const { loop, context } = this.#options;
    const { attempt: number, session } = loop.state;
    const before = this.latest;
    // A CLI that was ended before it noted its session can still refuse to start another one under that id.
    const isAfresh = number > 1 && session === 'start' && this.#request?.resume === undefined;
    if (isAfresh) this.#sessionId = randomUUID();
    const { tell, init, onGrowth } = this.#describe(number, session, this.#sessionId);
    // One that was about to be started and never was leaves its place, before anybody reads in it.
    if (before?.number === number) {
      this.#own.pop();
      await before.close();
    }
    const next = await RunAttempt.prepare(init, { ...context, tell, onGrowth });
    this.#own.push(next);
    if (before?.number !== number) await before?.close();
    loop.tell({ type: 'prepared', at: monotonicMs() });
  }

  /** What an attempt is to do, and whom it tells of it. */
  #describe(number: number, session: SessionUse, sessionId: string) {
    const request = this.#request;
    if (request === null) throw new Error('it has ended');
    const { accepted, loop } = this.#options;
    const { executionId } = accepted;
    // What an attempt that is over still has to say is not about the one that takes its place.
    const tell = (event: LifecycleEvent) => {
      if (number === loop.state.attempt) loop.tell(event);
    };
    const user = {
      ...loop.state.limits,
      onCredentialUsed: (used: CredentialInForce) => this.#onCredentialUsed(used),
      onHeld: (at: number, refusal: Refusal) => tell({ type: 'held', at, refusal }),
      onReleased: (at: number) => tell({ type: 'released', at }),
      onRefused: (at: number, refusal: Refusal) => tellRefused(tell, at, refusal),
    };
    const opening = loop.state.conversation?.asked ?? null;
    const init: AttemptInit = { executionId, sessionId, session, request, number, opening, user };
    return { tell, init, onGrowth: () => this.#notifyGrowth() };
  }

  #onCredentialUsed({ credential: { id }, generation }: CredentialInForce): void {
    const before = this.#credential;
    if (before?.id === id && before.generation === generation) return;
    const credential = { id, generation };
    this.#credential = credential;
    this.#options.context.notes.note({ is: 'used', id: this.#options.accepted.executionId, credential });
  }

  /** Starts the latest attempt's process, unless the execution was called off before. */
  async launch(): Promise<void> {
    const { loop } = this.#options;
    if (this.latest === null) throw new Error('it is not prepared');
    await this.latest.mark();
    if (loop.state.observations.length > 0) loop.tell({ type: 'never_started', at: monotonicMs() });
    else this.latest.launch();
  }

  /** Says something to the latest attempt's process. Resolves when that is written. */
  async tell(message: Message): Promise<void> {
    if (this.latest === null) throw new Error('it is not prepared');
    await this.latest.tell(message);
  }

  /** Takes over the latest attempt's process from another sidecar, or ends it where that cannot be done. */
  async adopt(): Promise<void> {
    const { loop, context } = this.#options;
    const noted = this.#noted;
    if (noted === null) throw new Error('nothing was started');
    try {
      if (this.latest === null) throw this.#unrestored;
      await this.#adopt(this.latest);
    } catch (error) {
      context.logger.error({ err: error }, 'the process of another sidecar cannot be taken over, and is ended');
      const { attempts, canLive } = noted;
      const survivors = await killNoted(attempts, { canLive, markers: context.markers });
      const message = `it could not be taken over when the sidecar was started again: ${(error as Error).message}`;
      loop.tell({ type: 'adoption_failed', at: monotonicMs(), message, survivors });
    }
  }

  async #adopt(latest: RunAttempt): Promise<void> {
    const { loop } = this.#options;
    const isEnding = loop.state.phase !== 'spawning';
    const adopted = await latest.adopt();
    const at = monotonicMs();
    if (isEnding) loop.tell({ type: 'adopted', at });
    else if (adopted === 'never_started') this.#isYetToStart = true;
    else if (adopted === 'unknown') {
      loop.tell({ type: 'adoption_failed', at, message: UNKNOWN_START, survivors: null });
    }
  }

  /** Starts what another sidecar was about to start and never did, once whatever else was left is dealt with. */
  begin(): void {
    if (this.#isYetToStart) this.#options.loop.tell({ type: 'never_started', at: monotonicMs() });
    this.#isYetToStart = false;
  }

  /** Ends are fixed with that, so a line without an end can be told. */
  async readLogs(): Promise<void> {
    try {
      await this.latest?.readLogs();
    } finally {
      this.#notifyGrowth();
    }
  }

  /** Lets go of everything but the logs: no attempt follows. */
  async close(): Promise<void> {
    this.#request = null;
    await this.latest?.close();
  }

  #notifyGrowth(): void {
    this.#growthListeners.forEach((listener) => listener());
  }
}

const NO_LOGS = { stdout: 0, stderr: 0 };
const UNKNOWN_START =
  'the sidecar was killed while it started the process, and whether it was started cannot be told; it is not started again';

function tellRefused(tell: (event: LifecycleEvent) => void, at: number, refusal: Refusal): void {
  const { reason } = refusal;
  if (reason !== 'credential_missing') tell({ type: 'credential_failed', at, reason, refusal });
}
