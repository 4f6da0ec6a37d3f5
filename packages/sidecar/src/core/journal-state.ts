import { type DispatchRequest, type Outcome, type Verdict } from '@outrigger/protocol';
import { type Hold, type SessionUse } from './lifecycle-state.js';

/** Raised when an older sidecar would misunderstand what a newer one writes. */
export const JOURNAL_VERSION = 1;

/**
 * What a sidecar writes down, so that the next one on the same state folder can go on where it was killed. Moments are
 * monotonic milliseconds of the machine's boot that the journal's header names.
 */
export type JournalRecord =
  /** The first record: which journal this is, and which boot of the machine its moments belong to. */
  | { is: 'journal'; version: typeof JOURNAL_VERSION; journalId: string; machineBootId: string }
  | {
      is: 'accepted';
      id: string;
      digest: string;
      request: DispatchRequest;
      sessionId: string;
      acceptedAtEpochMs: number;
      acceptedAtMs: number;
      isQueued: boolean;
    }
  /** Before anything is started: how to find it again. */
  | { is: 'starting'; id: string; attempt: number; session: SessionUse; start: AttemptStart }
  | { is: 'launched'; id: string; attempt: number; at: number; pid: number; startTime: string }
  | { is: 'cancelled'; id: string; at: number; reason: 'requested' | 'drained' }
  /** Milliseconds of all holds that are over. */
  | { is: 'held'; id: string; heldMs: number; hold: Hold | null }
  /** The attempt is being ended for another one to follow. */
  | { is: 'suspended'; id: string; next: SessionUse; resumesLeft: number; hold: Hold | null; heldMs: number }
  | { is: 'decided'; id: string; verdict: Verdict; ends: LogEnds | null }
  | { is: 'ended'; id: string; outcome: Outcome; ends: LogEnds | null }
  | { is: 'acknowledged'; id: string }
  /** The logs are gone; the id is still known. */
  | { is: 'forgotten'; id: string; digest: string; at: number }
  | { is: 'generation'; generation: number }
  | { is: 'cancel_remembered'; id: string; at: number };

/** Where the logs of an execution's attempts end, the first attempt first. */
export type LogEnds = readonly { readonly stdout: number; readonly stderr: number }[];

/** How a process is found again that was about to be started. */
export interface AttemptStart {
  /** What each marker needs, by its name. */
  readonly marks: Readonly<Record<string, string>>;
  /** By which its requests to the gateway are known; null: it has none. */
  readonly placeholderHash: string | null;
}

export interface JournalledAttempt {
  readonly number: number;
  readonly session: SessionUse;
  readonly start: AttemptStart;
  readonly launched: { readonly at: number; readonly pid: number; readonly startTime: string } | null;
}

/** An execution as far as it was written down. */
export interface JournalledExecution {
  readonly accepted: Extract<JournalRecord, { is: 'accepted' }>;
  readonly attempts: readonly JournalledAttempt[];
  readonly startedAt: number | null;
  readonly cancelled: { readonly at: number; readonly reason: 'requested' | 'drained' } | null;
  readonly hold: Hold | null;
  readonly heldMs: number;
  readonly suspended: { readonly next: SessionUse } | null;
  readonly resumesLeft: number | null;
  readonly verdict: Verdict | null;
  readonly ends: LogEnds | null;
  readonly outcome: Outcome | null;
  readonly isAcknowledged: boolean;
}

/** Everything a journal tells. */
export interface JournalState {
  readonly journalId: string | null;
  readonly machineBootId: string | null;
  readonly generation: number | null;
  /** In the order of acceptance. */
  readonly executions: ReadonlyMap<string, JournalledExecution>;
  /** Ids that are known though nothing else of them is kept: the digest of their dispatch, and since when. */
  readonly tombstones: ReadonlyMap<string, { readonly digest: string; readonly at: number }>;
  readonly rememberedCancels: ReadonlyMap<string, number>;
}
