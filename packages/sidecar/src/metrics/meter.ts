import { type HoldReason, type Log, type Outcome } from '@outrigger/protocol';
import { type DispatchAnswer, type SwapResult } from '../core/measures.js';

/** Why the gateway does not take a request, whatever the provider would say. */
export const DENIALS = ['route', 'placeholder', 'too_many_open', 'too_large'] as const;
export type Denial = (typeof DENIALS)[number];

/**
 * What has happened, for whoever counts it. Never an id and never a word of a run: only what is of a small closed set.
 * Whoever tells need not care what becomes of it: none of these throws.
 */
export interface Meter {
  dispatchAnswered(answer: DispatchAnswer): void;
  swapAnswered(result: SwapResult): void;
  /** An execution has its outcome. */
  ended(outcome: Outcome): void;
  /** A process that another sidecar has started is looked after by this one. */
  adopted(): void;
  /** A run has printed. */
  printed(log: Log, bytes: number): void;
  /** A request of a run is over. @param status What it was told; null: nothing. */
  requestEnded(status: number | null): void;
  /** A request was refused by the gateway itself. */
  requestDenied(why: Denial): void;
  /** The provider has begun to answer. */
  answerBegan(afterMs: number): void;
  /** A request could not be sent on, or its answer broke off, and the run was told nothing more. */
  providerFailed(): void;
  /** A request waits out a throttle or an overload in place. */
  throttled(): void;
  /** The provider has refused the credential that a request went with. */
  credentialRefused(reason: HoldReason): void;
  /** What waited for another credential does not any more. */
  holdEnded(reason: HoldReason, afterMs: number): void;
}
