import { type Drain } from '@outrigger/protocol';

/** A drain that somebody waits for. */
export interface AwaitedDrain {
  readonly drainId: string;
  /** The sidecar process that stands for it. */
  readonly bootId: string;
}

/** What an agent says of itself. */
export interface AgentSeen {
  readonly bootId: string;
  /** Undefined: none stands. */
  readonly drain: Drain | undefined;
}

/** How a drain has ended that left something running, or may have. */
export type DrainFailure =
  /** Its deadline passed. */
  | 'deadline'
  /** Somebody resumed admission. */
  | 'resumed'
  /** Nobody renewed it. */
  | 'expired'
  /** The sidecar was started again; whether what ran has ended is not known. */
  | 'restarted';

/** How a drain is over: with nothing running, or why not. Null: it is not over. */
export function endOfDrain(awaited: AwaitedDrain, seen: AgentSeen): 'drained' | DrainFailure | null {
  if (seen.bootId !== awaited.bootId) return 'restarted';
  const { drain } = seen;
  if (drain === undefined) return 'resumed';
  // Another one has begun since, as it does when one has failed.
  if (drain.drainId !== awaited.drainId) return 'deadline';
  switch (drain.state) {
    case 'draining':
    case 'cancelling':
      return null;
    case 'failed':
      return 'deadline';
    case 'drained':
      return 'drained';
    case 'ended':
      return drain.cause ?? 'resumed';
  }
}
