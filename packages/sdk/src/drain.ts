import { type OutriggerError, type Request } from '@outrigger/protocol';
import { type AdmissionWatcher } from './admission.js';
import { type AwaitedDrain, type DrainFailure, endOfDrain } from './core/drain-end.js';
import { sdkError } from './errors.js';
import { type Ledger } from './ledger.js';

/** How long a drain waits, and what becomes of what it waits for. */
export interface DrainOptions {
  /** How long what runs may go on. Milliseconds, 0 to 24 h. */
  deadlineMs: number;
  /** What becomes of what still runs then: it goes on, and the drain has failed; or it is cancelled. @default 'leave' */
  atDeadline?: 'leave' | 'cancel';
  /** The drain ends by itself after this time, unless it is asked for again. Milliseconds. @default it does not */
  ttlMs?: number;
  /** Ends the wait, and not the drain: `agent.resumeAdmission()` does. */
  signal?: AbortSignal;
}

/** How a drain ended. */
export interface DrainResult {
  /** Nothing runs on the agent any more. */
  drained: boolean;
  /** Executions that still run, at most 100 of them. */
  remaining: string[];
  /** Why it is not drained. */
  cause?: DrainFailure;
}

/** A drain that was asked for. */
export interface BegunDrain extends AwaitedDrain {
  /** No other drain stood, so nobody else relies on it. */
  readonly isOwn: boolean;
}

/** @throws `invalid`, `agent_unreachable`, `agent_closed`, or the signal's reason */
export async function beginDrain({ link, admission }: Ledger, options: DrainOptions): Promise<BegunDrain> {
  const { signal, ...fields } = options;
  signal?.throwIfAborted();
  const request = link.prepare('drain', fields satisfies Omit<Request<'drain'>, 'id' | 'type'>);
  const { drainId, joined } = await link.request(request);
  // One that was sent twice has met itself.
  return { drainId, bootId: admission.seen.bootId, isOwn: !joined || request.timesSent > 1 };
}

/**
 * Resolves when a drain is over, however often the connection is made anew meanwhile.
 *
 * @throws `agent_unreachable` when the agent cannot be asked although the deadline has passed; `agent_closed`,
 * `fleet_closed`, or the signal's reason
 */
export async function drainOver(
  ledger: Ledger,
  begun: AwaitedDrain,
  { deadlineMs, signal }: DrainOptions,
): Promise<DrainResult> {
  const { admission, link } = ledger;
  let remaining: string[] = [];
  const end = await watchFor<'drained' | DrainFailure>(ledger, {
    find: () => {
      const { seen } = admission;
      if (seen.bootId === begun.bootId && seen.drain?.drainId === begun.drainId) remaining = seen.drain.remaining;
      return endOfDrain(begun, seen);
    },
    signal,
    // What is cancelled has its grace, so while the agent can be heard there is nothing to give up.
    lateAfterMs: deadlineMs + link.requestTimeoutMs,
    onLate: () =>
      link.isReady ? null : sdkError('agent_unreachable', `agent ${ledger.agentId} cannot say how its drain ended`),
  });
  return end === 'drained' ? { drained: true, remaining: [] } : { drained: false, remaining, cause: end };
}

interface Wait<T> {
  /** What is waited for; null: it is not there yet. */
  readonly find: () => T | null;
  readonly signal?: AbortSignal | undefined;
  readonly lateAfterMs: number;
  /** The error to end with; null: go on for as long again as a request may take. */
  readonly onLate: () => OutriggerError | null;
}

/** Waits for something that an agent says of its admission. */
export async function watchFor<T>({ admission, link }: Ledger, wait: Wait<T>): Promise<T> {
  const { find, signal, lateAfterMs, onLate } = wait;
  let timer: NodeJS.Timeout | undefined;
  let stop = (): void => undefined;
  try {
    return await new Promise<T>((resolve, reject) => {
      const watcher: AdmissionWatcher = {
        look: () => {
          const found = find();
          if (found !== null) resolve(found);
        },
        fail: reject,
      };
      const late = () => {
        const error = onLate();
        if (error === null) timer = setTimeout(late, link.requestTimeoutMs);
        else reject(error);
      };
      const abort = () => reject(signal?.reason as Error);
      timer = setTimeout(late, lateAfterMs);
      const unwatch = admission.watch(watcher);
      signal?.addEventListener('abort', abort);
      stop = () => {
        unwatch();
        signal?.removeEventListener('abort', abort);
      };
      if (signal?.aborted === true) abort();
      watcher.look();
    });
  } finally {
    clearTimeout(timer);
    stop();
  }
}
