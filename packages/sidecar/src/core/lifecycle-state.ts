import {
  type CredentialFailurePolicy,
  type ExecutionState,
  type HoldReason,
  type Observation,
  type ReasonOf,
  type Verdict,
} from '@outrigger/protocol';
import { type Conversation, type Message, NEW_CONVERSATION } from './conversation.js';

/**
 * The life of one execution, as a state machine without I/O. Times are monotonic milliseconds.
 *
 * ```
 *  queued ──slot_free──► preparing …
 *
 *  preparing ──prepared──► spawning ──launched──► running ──cause──► closing ──logs_read──► killing ──tree_dead──► ended
 *      │                      │                                                                                    ▲
 *      ├── cancelled before ──┴── launch_failed ───────────────────────────────────────────────────────────────────┤
 *      │                                                                                                           │
 *      └◄─credential_ready── waiting ◄──tree_dead── suspending ◄──logs_read, and another credential may help       │
 *                               └── cause ─────────────┴───────────────────────────────────────────────────────────┘
 * ```
 *
 * A *cause* is whatever ends the run: exit, cancel, a deadline, a limit, or the grace after the final result. It fixes
 * the logs' sizes. Once they are read up to there the set of observations is closed and the verdict stands; whatever
 * the kill brings to light later changes nothing.
 *
 * A run is *held* while requests of it wait for another credential: within `running`, with its process alive, or between two
 * attempts, in `suspending` and `waiting`. All its holds share one budget.
 *
 * A result is *final* when no further turn has begun and every background task that was announced has ended. A task
 * that ends makes the CLI begin another turn, with another result; a process that crashes before that has failed. That of an
 * interactive run is final when besides everything said has been answered, and nobody has more to say; see `conversation.ts`.
 */
export interface Lifecycle {
  readonly phase: Phase;
  readonly limits: LifecycleLimits;
  /** Causes from outside; what the run itself says about its end is in `result` and `exit`. */
  readonly observations: readonly Observation[];
  readonly result: Result | null;
  /** A turn has begun that has no result yet. */
  readonly isTurnOpen: boolean;
  /** With whoever is on the other side of an interactive run; null: it is none. */
  readonly conversation: Conversation | null;
  readonly openTasks: number;
  /** When a task last ended that was open at the result. */
  readonly taskEndedAt: number | null;
  /** Since when the result counts whatever follows: it has had its grace, or its tasks all the time they get. */
  readonly settledAt: number | null;
  readonly exit: Exit | null;
  readonly startedAt: number | null;
  readonly launchError: string | null;
  /** Counts from 1. */
  readonly attempt: number;
  /** Whether the latest attempt is a further one that has no process yet. */
  readonly isAttemptDue: boolean;
  /** What the latest attempt does with the session, and what the next one would. */
  readonly session: SessionUse;
  readonly resumesLeft: number;
  /** What the attempt that is over failed of. It stands if none can follow. */
  readonly failure: Extract<Observation, { kind: 'failed' }> | null;
  readonly hold: Hold | null;
  /** Milliseconds of the holds that are over. */
  readonly heldMs: number;
  /** What the provider last said against the credential. */
  readonly refusal: Refusal | null;
  /** When the state that others are told began; null: at acceptance. */
  readonly since: number | null;
  readonly verdict: Verdict | null;
  readonly survivors: number | null;
  readonly endedAt: number | null;
}

export type Phase =
  'queued' | 'preparing' | 'spawning' | 'running' | 'closing' | 'suspending' | 'waiting' | 'killing' | 'ended';

/** `resume`: goes on with the session of the attempt before. */
export type SessionUse = 'start' | 'resume';

/** Why the provider does not take the credential. */
export interface Refusal {
  readonly reason: HoldReason;
  /** In the provider's words; empty where they were not heard. */
  readonly message: string;
  /** Epoch ms at which the provider says that it will take it again. */
  readonly retryAt?: number | undefined;
  /** Of the credential; null: there is none. */
  readonly generation: number | null;
}

/** The run waits for another credential. */
export interface Hold {
  readonly since: number;
  /** When the run gives up. */
  readonly until: number;
  readonly refusal: Refusal;
}

const STATE_OF_PHASE = {
  queued: 'queued',
  preparing: 'starting',
  spawning: 'starting',
  running: 'running',
  closing: 'running',
  suspending: 'running',
  waiting: 'running',
  killing: 'ending',
  ended: 'ended',
} as const satisfies Record<Phase, ExecutionState>;

/** The state others are told. */
export function stateOf(lifecycle: Lifecycle): ExecutionState {
  const state = STATE_OF_PHASE[lifecycle.phase];
  return state === 'running' && lifecycle.hold !== null ? 'held' : state;
}

export interface LifecycleLimits {
  readonly timeoutMs: number;
  readonly graceMs: number;
  /** How long a result waits for background tasks. */
  readonly backgroundTimeoutMs: number;
  /** For all holds together. */
  readonly holdTimeoutMs: number;
  readonly onCredentialFailure: CredentialFailurePolicy;
  readonly maxResumes: number;
  /** How long an interactive run waits for another message after a result; null: it is not interactive. */
  readonly interactiveIdleMs: number | null;
}

/** How and when the process ended. Both null: it could not be told. */
export interface Exit {
  readonly at: number;
  readonly code: number | null;
  readonly signal: string | null;
  /** The kernel says that it killed something for want of memory meanwhile. */
  readonly isOutOfMemory?: boolean;
}

/** A `result` the run printed; the last one counts. */
export interface Result {
  /** By when it was in the log. */
  readonly at: number;
  /** Null for a good one, else why it is none. */
  readonly failure: ReasonOf<'failed'> | null;
}

export type LifecycleEvent =
  /** The turn of a queued execution has come. */
  | { type: 'slot_free' }
  /** `at` is the deadline itself. */
  | { type: 'queue_timeout'; at: number }
  /** The execution's files are there; nothing is started yet. */
  | { type: 'prepared'; at: number }
  /** Admission said no, and the caller wants that recorded. */
  | { type: 'refused'; at: number; reason: ReasonOf<'skipped'> }
  /** There was no credential to start it with, for as long as a hold may last. */
  | { type: 'credential_missing'; at: number }
  | { type: 'launched'; at: number }
  /** A process that another sidecar was about to start never was. */
  | { type: 'never_started'; at: number }
  /** The process of an execution that is being ended, or what is left of it, was taken over from another sidecar. */
  | { type: 'adopted'; at: number }
  /** It could not be taken over. What there was of it has been killed, as far as `survivors` says. */
  | { type: 'adoption_failed'; at: number; message: string; survivors: number | null }
  /** The gateway that the process calls is not there any more. */
  | { type: 'gateway_lost'; at: number }
  | { type: 'launch_failed'; at: number; message: string }
  | { type: 'turn_started' }
  /** `isOwnTurn`: of a turn that the run has begun by itself, when a background task had ended. */
  | { type: 'result'; result: Result; isOwnTurn?: boolean }
  /** Somebody says something to an interactive run. */
  | { type: 'message'; at: number; message: Message }
  /** Nothing more is to be said to it. */
  | { type: 'input_ended'; at: number }
  /** What it was to be told could not be written. */
  | { type: 'input_failed'; at: number; message: string }
  /** All has been read that a process had printed when it was taken over. */
  | { type: 'caught_up' }
  /** How many background tasks are announced and have not ended. */
  | { type: 'tasks'; at: number; open: number }
  /** The credential was refused for good, as far as this attempt is concerned. `refusal`: where the provider's own words are known. */
  | { type: 'credential_failed'; at: number; reason: ReasonOf<'failed'>; refusal?: Refusal }
  /** Requests of the run wait for another credential. */
  | { type: 'held'; at: number; refusal: Refusal }
  /** None does any longer. */
  | { type: 'released'; at: number }
  /** `at` is the deadline itself. */
  | { type: 'hold_timeout'; at: number }
  /** There is a credential to try the next attempt with. */
  | { type: 'credential_ready'; at: number }
  /** A model has answered, and the request for it did not come through the gateway. */
  | { type: 'bypassed'; at: number }
  | { type: 'exited'; exit: Exit }
  | { type: 'cancel'; at: number; reason: Extract<Observation, { kind: 'cancelled' }>['reason'] }
  /** `at` is the deadline itself, however late its timer was. */
  | { type: 'deadline'; at: number }
  | { type: 'idle'; at: number }
  | { type: 'grace_over' }
  | { type: 'output_limit'; at: number }
  /** Everything up to the sizes fixed at the cause has been read. `stderrFailure`: what stderr says went wrong. */
  | { type: 'logs_read'; stderrFailure?: ReasonOf<'failed'> | null }
  | { type: 'tree_dead'; at: number; survivors: number | null };

/** What the caller is to do, in this order. */
export type Effect =
  | { do: 'prepare' }
  | { do: 'spawn' }
  /**
   * Take over what another sidecar has started, or was about to. Report `launched` for what is found, dead or alive, else
   * `never_started`; then `adopted`.
   */
  | { do: 'adopt' }
  | { do: 'announce_running' }
  /** Write it to the process. Report `input_failed` if that cannot be done. */
  | { do: 'tell_message'; message: Message }
  | { do: 'set_deadline'; at: number }
  /** Replaces one that was set before; null takes it back. */
  | { do: 'set_grace'; at: number | null }
  /** Fix the logs' sizes as they are now, read up to there, then report `logs_read`. */
  | { do: 'read_logs' }
  /** Gives the run up at that moment; null takes it back. */
  | { do: 'set_hold'; at: number | null }
  /** Others are told of a state that an effect of its own does not announce. */
  | { do: 'announce_state' }
  /** Report `credential_ready` once there is a credential that was not refused. */
  | { do: 'await_credential'; refusal: Refusal }
  | { do: 'announce_ending' }
  /** End the tree: ask first and wait `graceMs`, or at once where there is nobody left to ask. */
  | { do: 'kill'; graceMs: number }
  | { do: 'announce_outcome' };

export interface Step {
  readonly state: Lifecycle;
  readonly effects: readonly Effect[];
}

/** @param phase `queued` for an execution that waits for a slot; it goes on with `slot_free`. */
export function newLifecycle(limits: LifecycleLimits, phase: 'queued' | 'preparing' = 'preparing'): Lifecycle {
  return {
    phase,
    limits,
    observations: [],
    result: null,
    isTurnOpen: false,
    conversation: limits.interactiveIdleMs === null ? null : NEW_CONVERSATION,
    openTasks: 0,
    taskEndedAt: null,
    settledAt: null,
    exit: null,
    startedAt: null,
    launchError: null,
    attempt: 1,
    isAttemptDue: false,
    session: 'start',
    resumesLeft: limits.maxResumes,
    failure: null,
    hold: null,
    heldMs: 0,
    refusal: null,
    since: null,
    verdict: null,
    survivors: null,
    endedAt: null,
  };
}
