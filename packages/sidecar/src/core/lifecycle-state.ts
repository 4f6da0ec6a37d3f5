import { type ExecutionState, type Observation, type ReasonOf, type Verdict } from '@outrigger/protocol';

/**
 * The life of one execution, as a state machine without I/O. Times are monotonic milliseconds.
 *
 * ```
 *  queued ──slot_free──► preparing …
 *
 *  preparing ──prepared──► spawning ──launched──► running ──cause──► closing ──logs_read──► killing ──tree_dead──► ended
 *      │                      │                                                                                    ▲
 *      └── cancelled before ──┴── launch_failed ───────────────────────────────────────────────────────────────────┘
 * ```
 *
 * A *cause* is whatever ends the run: exit, cancel, a deadline, a limit, or the grace after the final result. It fixes
 * the logs' sizes. Once they are read up to there the set of observations is closed and the verdict stands; whatever
 * the kill brings to light later changes nothing.
 *
 * A result is *final* when no further turn has begun and every background task that was announced has ended. A task
 * that ends makes the CLI begin another turn, with another result; a process that crashes before that has failed.
 */
export interface Lifecycle {
  readonly phase: Phase;
  readonly limits: LifecycleLimits;
  /** Causes from outside; what the run itself says about its end is in `result` and `exit`. */
  readonly observations: readonly Observation[];
  readonly result: Result | null;
  /** A turn has begun that has no result yet. */
  readonly isTurnOpen: boolean;
  readonly openTasks: number;
  /** When a task last ended that was open at the result. */
  readonly taskEndedAt: number | null;
  /** Since when the result counts whatever follows: it has had its grace, or its tasks all the time they get. */
  readonly settledAt: number | null;
  readonly exit: Exit | null;
  readonly startedAt: number | null;
  readonly launchError: string | null;
  readonly verdict: Verdict | null;
  readonly survivors: number | null;
  readonly endedAt: number | null;
}

export type Phase = 'queued' | 'preparing' | 'spawning' | 'running' | 'closing' | 'killing' | 'ended';

const STATE_OF_PHASE = {
  queued: 'queued',
  preparing: 'starting',
  spawning: 'starting',
  running: 'running',
  closing: 'running',
  killing: 'ending',
  ended: 'ended',
} as const satisfies Record<Phase, ExecutionState>;

/** The state others are told. */
export function stateOf(lifecycle: Lifecycle): ExecutionState {
  return STATE_OF_PHASE[lifecycle.phase];
}

export interface LifecycleLimits {
  readonly timeoutMs: number;
  readonly graceMs: number;
  /** How long a result waits for background tasks. */
  readonly backgroundTimeoutMs: number;
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
  | { type: 'launched'; at: number }
  | { type: 'launch_failed'; at: number; message: string }
  | { type: 'turn_started' }
  | { type: 'result'; result: Result }
  /** How many background tasks are announced and have not ended. */
  | { type: 'tasks'; at: number; open: number }
  /** The run says that its credential was refused; its own further tries are in vain. */
  | { type: 'credential_failed'; at: number; reason: ReasonOf<'failed'> }
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
  | { do: 'announce_running' }
  | { do: 'set_deadline'; at: number }
  /** Replaces one that was set before; null takes it back. */
  | { do: 'set_grace'; at: number | null }
  /** Fix the logs' sizes as they are now, read up to there, then report `logs_read`. */
  | { do: 'read_logs' }
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
    openTasks: 0,
    taskEndedAt: null,
    settledAt: null,
    exit: null,
    startedAt: null,
    launchError: null,
    verdict: null,
    survivors: null,
    endedAt: null,
  };
}
