import { type Cursor, type ExecutionSummary, type Outcome } from '@outrigger/protocol';
import { type Message } from '../core/conversation.js';
import { type Inbox } from '../core/inbox.js';
import { type AttemptView } from './past-attempt.js';

/** An execution as it is known to others, whether it goes on or has ended. */
export interface KnownRun {
  readonly id: string;
  /** Tells a repeated dispatch from another one under the same id. */
  readonly digest: string;
  /** Null: it goes on. */
  readonly outcome: Outcome | null;
  /** Whether it may be started: its acceptance is on the disk. */
  readonly hasBegun: boolean;
  /** Every attempt with its logs, in their order; none before the first is prepared. */
  readonly attempts: readonly AttemptView[];
  /** Where the logs end; null while they can still grow. */
  readonly end: Cursor | null;
  summary(): ExecutionSummary;
  /** What has ended is not cancelled any more. */
  cancel(reason: 'requested' | 'drained'): void;
  /** What was said to it by that moment. */
  inbox(at: number): Inbox;
  /** Takes a message in that its inbox has room for. */
  hear(message: Message, received: { readonly digest: string; readonly at: number }): void;
  /** Nothing more is to be said to it. */
  endInput(at: number): void;
  /** Calls `listener` when there may be more output or its end is fixed. Returns how to stop that. */
  onGrowth(listener: () => void): () => void;
}
