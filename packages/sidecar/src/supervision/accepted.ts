import { randomUUID } from 'node:crypto';
import { type DispatchRequest, DURATIONS } from '@outrigger/protocol';
import { type Credential } from '../claude/environment.js';
import { monotonicMs } from '../clock.js';

type DurationName = keyof typeof DURATIONS;

/** A dispatch that was admitted. */
export interface RunInit {
  readonly id: string;
  /** Tells a repeated dispatch from another one under the same id. */
  readonly digest: string;
  readonly request: DispatchRequest;
  readonly credential: Credential | null;
  /** Whether it waits for a slot first. */
  readonly isQueued: boolean;
}

/** What is known of an execution from its acceptance on, and never changes. */
export interface Accepted {
  readonly executionId: string;
  readonly labels: DispatchRequest['labels'];
  readonly sessionId: string;
  readonly credentialId: string | null;
  /** Epoch ms at acceptance, and the monotonic ms of the same moment: every other time is derived from the two. */
  readonly acceptedAtEpochMs: number;
  readonly acceptedAtMs: number;
}

export function accept({ id, request, credential }: RunInit): Accepted {
  return {
    executionId: id,
    labels: request.labels,
    sessionId: request.resume ?? request.sessionId ?? randomUUID(),
    credentialId: credential?.id ?? null,
    acceptedAtEpochMs: Date.now(),
    acceptedAtMs: monotonicMs(),
  };
}

/** Every duration of an execution, in milliseconds: as the caller chose, or the default. */
export function durationsOf(request: DispatchRequest): Readonly<Record<DurationName, number>> {
  const names = Object.keys(DURATIONS) as DurationName[];
  const entries = names.map((name) => [name, request[name] ?? DURATIONS[name].defaultMs]);
  return Object.fromEntries(entries) as Record<DurationName, number>;
}
