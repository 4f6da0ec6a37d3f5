import { type DispatchRequest, type Outcome, type ReasonOf, type Verdict } from '@outrigger/protocol';
import { type Asked } from './conversation.js';
import { type Hold, type Lifecycle, type Refusal, type Result, type SessionUse } from './lifecycle-state.js';

/** Raised when an older sidecar would misunderstand what a newer one writes. */
export const JOURNAL_VERSION = 1;

/**
 * What a sidecar writes down, so that the next one on the same state folder can go on where it was killed. Moments are
 * monotonic milliseconds of the machine's boot that the journal's header names.
 */
export type JournalRecord =
  /** The first record: which journal this is, and which boot of the machine its moments belong to. */
  | {
      is: 'journal';
      version: typeof JOURNAL_VERSION;
      journalId: string;
      machineBootId: string;
      /** Epoch ms of the zero of that boot's monotonic clock, as the wall clock had it then. */
      epochAtZeroMs: number;
    }
  | {
      is: 'accepted';
      id: string;
      digest: string;
      request: DispatchRequest;
      sessionId: string;
      acceptedAtEpochMs: number;
      acceptedAtMs: number;
      isQueued: boolean;
      /** Admission said no, and the caller wants that recorded: nothing is ever started for it. */
      refused?: ReasonOf<'skipped'>;
    }
  /** The acceptance could not be promised, so there was none. */
  | { is: 'withdrawn'; id: string }
  /** Before anything is started: how to find it again. */
  | { is: 'starting'; id: string; attempt: number; session: SessionUse; sessionId: string; start: AttemptStart }
  | { is: 'launched'; id: string; attempt: number; at: number; pid: number; startTime: string }
  | { is: 'cancelled'; id: string; at: number; reason: 'requested' | 'drained' }
  /** Milliseconds of all holds that are over. */
  /** Somebody says something to an interactive run. `text` is null where the run need not be told it any more. */
  | { is: 'message'; id: string; messageId: string; digest: string; text: string | null }
  /** Before it is written to the process. `after`: the results that had been printed. */
  | { is: 'told'; id: string; attempt: number; messageId: string; after: number }
  | { is: 'input_ended'; id: string; at: number }
  | { is: 'held'; id: string; heldMs: number; hold: Hold | null }
  /** The attempt is being ended for another one to follow. `failure`: what it failed of, which stands if none can. */
  | {
      is: 'suspended';
      id: string;
      next: SessionUse;
      failure: Lifecycle['failure'];
      resumesLeft: number;
      hold: Hold | null;
      heldMs: number;
      ends: LogEnds | null;
      /** Of an interactive run. */
      reopened?: Reopened;
    }
  /** The credential that a request of the run has used last. */
  | { is: 'used'; id: string; credential: CredentialName }
  | { is: 'decided'; id: string; verdict: Verdict; refusal: Refusal | null; ends: LogEnds | null }
  | { is: 'ended'; id: string; outcome: Outcome; ends: LogEnds | null }
  | { is: 'acknowledged'; id: string }
  /** The logs are gone; the id is still known. */
  | { is: 'forgotten'; id: string; digest: string; at: number }
  /** `credential`: by which it is known again, without telling what it is. */
  | { is: 'generation'; generation: number; credential: string | null }
  /** The highest one that a host has come with. */
  | { is: 'fence'; fence: number }
  | { is: 'cancel_remembered'; id: string; at: number };

/** Where the logs of an execution's attempts end, the first attempt first. */
export type LogEnds = readonly { readonly stdout: number; readonly stderr: number }[];

/** A credential, without its secret. */
export interface CredentialName {
  readonly id: string;
  readonly generation: number;
}

/** How a process is found again that was about to be started. */
export interface AttemptStart {
  /** What each marker needs, by its name. */
  readonly marks: Readonly<Record<string, string>>;
  /** By which its requests to the gateway are known; null: it has none. */
  readonly placeholderHash: string | null;
  /** Where they are sent to; null: to no gateway. */
  readonly gatewayPort: number | null;
  /** The file with its settings; null: it has none. */
  readonly settings: string | null;
}

export interface JournalledAttempt {
  readonly number: number;
  readonly session: SessionUse;
  readonly sessionId: string;
  readonly start: AttemptStart;
  readonly launched: { readonly at: number; readonly pid: number; readonly startTime: string } | null;
}

/** What another process goes on with: what it is told first, and the last result where it is told nothing. */
export interface Reopened {
  readonly asked: { readonly what: Asked['what']; readonly messageId: string | null } | null;
  readonly result: Result | null;
}

/** What was said to an interactive run. */
export interface JournalledInput {
  /** In their order, all that ever were, so that each is known again. */
  readonly messages: readonly { readonly messageId: string; readonly digest: string; readonly text: string | null }[];
  /** The last message that a process was told. */
  readonly told: { readonly attempt: number; readonly messageId: string; readonly after: number } | null;
  /** At the latest suspension. */
  readonly reopened: Reopened | null;
  readonly endAskedAt: number | null;
}

/** An execution as far as it was written down. */
export interface JournalledExecution {
  readonly accepted: Extract<JournalRecord, { is: 'accepted' }>;
  readonly attempts: readonly JournalledAttempt[];
  readonly startedAt: number | null;
  readonly cancelled: { readonly at: number; readonly reason: 'requested' | 'drained' } | null;
  /** Null: it is not interactive. */
  readonly input: JournalledInput | null;
  readonly hold: Hold | null;
  readonly heldMs: number;
  readonly suspended: { readonly next: SessionUse; readonly failure: Lifecycle['failure'] } | null;
  /** At the latest suspension; null: there was none. */
  readonly resumesLeft: number | null;
  readonly credential: CredentialName | null;
  readonly verdict: Verdict | null;
  readonly refusal: Refusal | null;
  /** Of as many attempts as have ended. */
  readonly ends: LogEnds | null;
  readonly outcome: Outcome | null;
  readonly isAcknowledged: boolean;
}

/** How the latest attempt was started, or is; null: none was, or what was written down makes no sense. */
export function latestStart({ attempts }: JournalledExecution): AttemptStart | null {
  const start = attempts.at(-1)?.start as AttemptStart | null | undefined;
  return start ?? null;
}

/** Everything a journal tells. */
export interface JournalState {
  readonly journalId: string | null;
  readonly machineBootId: string | null;
  readonly epochAtZeroMs: number | null;
  /** The last one that was given away, and to which credential. */
  readonly generation: { readonly number: number; readonly credential: string | null } | null;
  /** The highest fence that was seen; 0: none was. */
  readonly fence: number;
  /** In the order of acceptance. */
  readonly executions: ReadonlyMap<string, JournalledExecution>;
  /** Ids that are known though nothing else of them is kept: the digest of their dispatch, and since when. */
  readonly tombstones: ReadonlyMap<string, { readonly digest: string; readonly at: number }>;
  readonly rememberedCancels: ReadonlyMap<string, number>;
}
