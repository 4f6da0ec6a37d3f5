import { randomUUID } from 'node:crypto';
import { type DispatchRequest, DURATIONS, MAX_RESUMES_DEFAULT } from '@outrigger/protocol';
import { monotonicMs } from '../clock.js';
import { type JournalledExecution } from '../core/journal-state.js';
import { type LifecycleLimits } from '../core/lifecycle-state.js';

type DurationName = keyof typeof DURATIONS;

/** A dispatch that was admitted. */
export interface RunInit {
  readonly id: string;
  /** Tells a repeated dispatch from another one under the same id. */
  readonly digest: string;
  readonly request: DispatchRequest;
  /** Whether it waits for a slot first. */
  readonly isQueued: boolean;
}

/** What is known of an execution from its acceptance on, and never changes. */
export interface Accepted {
  readonly executionId: string;
  readonly labels: DispatchRequest['labels'];
  readonly sessionId: string;
  /** Epoch ms at acceptance, and the monotonic ms of the same moment: every other time is derived from the two. */
  readonly acceptedAtEpochMs: number;
  readonly acceptedAtMs: number;
}

export function accept({ id, request }: RunInit): Accepted {
  return {
    executionId: id,
    labels: request.labels,
    sessionId: request.resume ?? request.sessionId ?? randomUUID(),
    acceptedAtEpochMs: Date.now(),
    acceptedAtMs: monotonicMs(),
  };
}

/** What was noted of an acceptance. */
export function acceptedOf({ id, request, ...times }: JournalledExecution['accepted']): Accepted {
  const { sessionId, acceptedAtEpochMs, acceptedAtMs } = times;
  return { executionId: id, labels: request.labels, sessionId, acceptedAtEpochMs, acceptedAtMs };
}

/** Every duration of an execution, in milliseconds: as the caller chose, or the default. */
export function durationsOf(request: DispatchRequest): Readonly<Record<DurationName, number>> {
  const names = Object.keys(DURATIONS) as DurationName[];
  const entries = names.map((name) => [name, request[name] ?? DURATIONS[name].defaultMs]);
  return Object.fromEntries(entries) as Record<DurationName, number>;
}

/** What bounds the lifecycle of a dispatch. Without a gateway nothing can be held. */
export function lifecycleLimitsOf(request: DispatchRequest, mode: 'gateway' | 'env'): LifecycleLimits {
  const durations = durationsOf(request);
  return {
    ...durations,
    onCredentialFailure: request.onCredentialFailure ?? (mode === 'gateway' ? 'hold' : 'fail'),
    maxResumes: request.maxResumes ?? MAX_RESUMES_DEFAULT,
    interactiveIdleMs: request.interactive === true ? durations.interactiveIdleMs : null,
  };
}
