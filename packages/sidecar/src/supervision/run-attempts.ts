import { randomUUID } from 'node:crypto';
import { type DispatchRequest } from '@outrigger/protocol';
import { monotonicMs } from '../clock.js';
import { type LifecycleEvent, type Refusal } from '../core/lifecycle-state.js';
import { type CredentialInForce } from '../credentials/slot.js';
import { type Accepted } from './accepted.js';
import { type LifecycleLoop } from './lifecycle-loop.js';
import { RunAttempt, type RunAttemptContext } from './run-attempt.js';
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
  readonly #attempts: RunAttempt[] = [];
  readonly #growthListeners = new Set<() => void>();
  #sessionId: string;
  #credentialUsed: CredentialInForce | null = null;

  constructor(request: DispatchRequest, options: RunAttemptsOptions) {
    this.#options = options;
    this.#request = request;
    this.#sessionId = options.accepted.sessionId;
  }

  get latest(): RunAttempt | null {
    return this.#attempts.at(-1) ?? null;
  }

  get facts(): Pick<RunFacts, 'attempts' | 'sessionId' | 'credential'> {
    const used = this.#credentialUsed;
    return {
      attempts: this.#attempts,
      sessionId: this.#sessionId,
      credential: used === null ? null : { id: used.credential.id, generation: used.generation },
    };
  }

  /** Calls `listener` when there may be more output or its end is fixed. Returns how to stop that. */
  onGrowth(listener: () => void): () => void {
    this.#growthListeners.add(listener);
    return () => this.#growthListeners.delete(listener);
  }

  /** Makes the next attempt and lets go of the one before. Tells `prepared`. */
  async prepare(): Promise<void> {
    const request = this.#request;
    if (request === null) throw new Error('it has ended');
    const { accepted, loop, context } = this.#options;
    const { attempt: number, session, limits } = loop.state;
    const before = this.latest;
    // A CLI that was ended before it noted its session can still refuse to start another one under that id.
    if (before !== null && session === 'start' && request.resume === undefined) this.#sessionId = randomUUID();
    // What an attempt that is over still has to say is not about the one that takes its place.
    const tell = (event: LifecycleEvent) => {
      if (number === loop.state.attempt) loop.tell(event);
    };
    const user = {
      ...limits,
      onCredentialUsed: (used: CredentialInForce) => void (this.#credentialUsed = used),
      onHeld: (at: number, refusal: Refusal) => tell({ type: 'held', at, refusal }),
      onReleased: (at: number) => tell({ type: 'released', at }),
      onRefused: (at: number, refusal: Refusal) => tellRefused(tell, at, refusal),
    };
    const init = { executionId: accepted.executionId, sessionId: this.#sessionId, session, request, number, user };
    const onGrowth = () => this.#notifyGrowth();
    this.#attempts.push(await RunAttempt.prepare(init, { ...context, tell, onGrowth }));
    await before?.close();
    loop.tell({ type: 'prepared', at: monotonicMs() });
  }

  /** Starts the latest attempt's process. */
  launch(): void {
    if (this.latest === null) throw new Error('it is not prepared');
    this.latest.launch();
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

function tellRefused(tell: (event: LifecycleEvent) => void, at: number, refusal: Refusal): void {
  const { reason } = refusal;
  if (reason !== 'credential_missing') tell({ type: 'credential_failed', at, reason, refusal });
}
