import { type CredentialFailurePolicy } from '@outrigger/protocol';
import { monotonicMs } from '../clock.js';
import { type Refusal } from '../core/lifecycle-state.js';
import { type CredentialInForce } from '../credentials/slot.js';

/** The attempt a gate is for, and what it is told. Times are monotonic milliseconds. */
export interface GateUser {
  readonly executionId: string;
  readonly onCredentialFailure: CredentialFailurePolicy;
  readonly holdTimeoutMs: number;
  /** The run's model; null while it is not known. */
  readonly model: () => string | null;
  readonly onCredentialUsed: (used: CredentialInForce) => void;
  readonly onHeld: (at: number, refusal: Refusal) => void;
  readonly onReleased: (at: number) => void;
  /** The credential was refused, and the run does not want to wait for another one. */
  readonly onRefused: (at: number, refusal: Refusal) => void;
}

/** The way of one attempt through the gateway. It closes with the attempt. */
export class Gate {
  readonly #user: GateUser;
  /** Not an `AbortSignal`: to listen to one takes each request longer, and more than ten listeners draw a warning. */
  readonly #onClosed = new Set<() => void>();
  #isClosed = false;
  #heldCount = 0;
  #waitingCount = 0;
  #requestCount = 0;
  #openCount = 0;
  #lastTrafficAt: number;
  #lastFailure: string | null = null;

  /** @param since Nothing is known of what went through before; 0: nothing did. */
  constructor(user: GateUser, since = 0) {
    this.#user = user;
    this.#lastTrafficAt = since;
  }

  get user(): GateUser {
    return this.#user;
  }

  /** Whether the attempt is over: nothing of it is sent on any more. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Has `listener` called when the attempt is over. Returns how to say that it need not be any more. */
  onClosed(listener: () => void): () => void {
    this.#onClosed.add(listener);
    return () => void this.#onClosed.delete(listener);
  }

  /** How many requests of the attempt came. */
  get requestCount(): number {
    return this.#requestCount;
  }

  /** When something last went through. While a request waits here the run is not to blame for its silence. */
  get lastTrafficAt(): number {
    return this.#waitingCount > 0 ? monotonicMs() : this.#lastTrafficAt;
  }

  /** Why the last request to the provider failed; null: it did not. */
  get lastFailure(): string | null {
    return this.#lastFailure;
  }

  noteFailure(why: string | null): void {
    this.#lastFailure = why;
  }

  /** How many of them are not answered yet. */
  get openCount(): number {
    return this.#openCount;
  }

  /** A request comes in. Returns how to say that it is over. */
  begin(): () => void {
    this.#requestCount += 1;
    this.#openCount += 1;
    this.noteTraffic();
    return () => void (this.#openCount -= 1);
  }

  noteTraffic(): void {
    this.#lastTrafficAt = monotonicMs();
  }

  /** A request begins to wait for something that is not the run's affair. Returns how to say that it does not any longer. */
  wait(): () => void {
    this.#waitingCount += 1;
    return () => {
      this.#waitingCount -= 1;
      this.noteTraffic();
    };
  }

  /** A request begins to wait for a credential. Returns how to say that it does not any longer. */
  hold(refusal: Refusal): () => void {
    const stopWaiting = this.wait();
    this.#heldCount += 1;
    if (this.#heldCount === 1) this.#user.onHeld(monotonicMs(), refusal);
    return () => {
      this.#heldCount -= 1;
      stopWaiting();
      if (this.#heldCount === 0 && !this.#isClosed) this.#user.onReleased(monotonicMs());
    };
  }

  refuse(refusal: Refusal): void {
    if (!this.#isClosed) this.#user.onRefused(monotonicMs(), refusal);
  }

  close(): void {
    this.#isClosed = true;
    this.#onClosed.forEach((listener) => listener());
    this.#onClosed.clear();
  }
}
