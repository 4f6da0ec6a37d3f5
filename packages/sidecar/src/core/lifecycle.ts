import {
  type ExecutionState,
  mergeObservations,
  type Observation,
  type ReasonOf,
  type Verdict,
} from '@outrigger/protocol';

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

/** Advances the execution by one event. An event that comes too late for its phase changes nothing. */
export function step(state: Lifecycle, event: LifecycleEvent): Step {
  switch (event.type) {
    case 'prepared':
      if (state.phase !== 'preparing') return unchanged(state);
      if (state.observations.length > 0) return endUnstarted(state, event.at);
      return { state: { ...state, phase: 'spawning' }, effects: [{ do: 'spawn' }] };

    case 'slot_free':
      return state.phase === 'queued'
        ? { state: { ...state, phase: 'preparing' }, effects: [{ do: 'prepare' }] }
        : unchanged(state);

    case 'queue_timeout':
      if (state.phase !== 'queued') return unchanged(state);
      return endUnstarted(observe(state, { kind: 'hard_timeout', reason: 'queue', at: event.at }), event.at);

    case 'refused':
      if (state.phase !== 'preparing' && state.phase !== 'queued') return unchanged(state);
      return endUnstarted(observe(state, { kind: 'refused', reason: event.reason, at: event.at }), event.at);

    case 'launched':
      return state.phase === 'spawning' ? onLaunched(state, event.at) : unchanged(state);

    case 'launch_failed': {
      if (state.phase !== 'preparing' && state.phase !== 'spawning') return unchanged(state);
      const failed = observe(state, { kind: 'failed', reason: 'spawn_failed', at: event.at });
      return endUnstarted({ ...failed, launchError: event.message }, event.at);
    }

    case 'turn_started':
      return onStream(state, { isTurnOpen: true });
    case 'result':
      return onStream(state, { isTurnOpen: false, result: event.result, taskEndedAt: null });
    case 'tasks':
      return onStream(state, {
        openTasks: event.open,
        taskEndedAt: event.open < state.openTasks ? event.at : state.taskEndedAt,
      });

    case 'exited':
      return state.phase === 'ended' ? unchanged(state) : close({ ...state, exit: event.exit });

    case 'cancel': {
      const cancelled = { kind: 'cancelled', reason: event.reason, at: event.at } as const;
      return state.phase === 'queued' ? endUnstarted(observe(state, cancelled), event.at) : onCause(state, cancelled);
    }
    case 'deadline':
      return onCause(state, { kind: 'hard_timeout', reason: 'deadline', at: event.at });
    case 'idle':
      return onCause(state, { kind: 'hard_timeout', reason: 'idle', at: event.at });
    case 'credential_failed':
      return onCause(state, { kind: 'failed', reason: event.reason, at: event.at });
    case 'output_limit':
      return onCause(state, { kind: 'failed', reason: 'output_limit', at: event.at });

    case 'grace_over':
      return onGraceOver(state);

    case 'logs_read':
      return state.phase === 'closing' ? decide(state, event.stderrFailure ?? null) : unchanged(state);

    case 'tree_dead':
      if (state.phase !== 'killing') return unchanged(state);
      return {
        state: { ...state, phase: 'ended', survivors: event.survivors, endedAt: event.at },
        effects: [{ do: 'announce_outcome' }],
      };
  }
}

function unchanged(state: Lifecycle): Step {
  return { state, effects: [] };
}

function observe(state: Lifecycle, observation: Observation): Lifecycle {
  return { ...state, observations: [...state.observations, observation] };
}

function onLaunched(state: Lifecycle, at: number): Step {
  const running: Lifecycle = { ...state, phase: 'running', startedAt: at };
  const effects: Effect[] = [{ do: 'announce_running' }, { do: 'set_deadline', at: at + state.limits.timeoutMs }];
  if (state.observations.length === 0 && state.exit === null) return { state: running, effects };
  const closing = close(running);
  return { state: closing.state, effects: [...effects, ...closing.effects] };
}

/** What the stream says can still change the verdict while the logs are read for the last time. */
function onStream(state: Lifecycle, change: Partial<Lifecycle>): Step {
  if (state.phase !== 'running' && state.phase !== 'closing') return unchanged(state);
  const changed = { ...state, ...change };
  const at = graceEnd(changed);
  const isNews = state.phase === 'running' && at !== graceEnd(state);
  return { state: changed, effects: isNews ? [{ do: 'set_grace', at }] : [] };
}

/** When a process that has printed its result is not waited for any longer; null: it is not done yet. */
function graceEnd(state: Lifecycle): number | null {
  const at = doneAt(state);
  return at === null || state.openTasks > 0 ? at : at + state.limits.graceMs;
}

/** When the result stands, unless something happens before; null: there is none, or a further turn has begun. */
function doneAt(state: Lifecycle): number | null {
  const { result, isTurnOpen, openTasks, limits } = state;
  if (result === null || isTurnOpen) return null;
  return openTasks > 0 ? result.at + limits.backgroundTimeoutMs : Math.max(result.at, state.taskEndedAt ?? result.at);
}

function onGraceOver(state: Lifecycle): Step {
  const settledAt = doneAt(state);
  return settledAt === null || state.phase !== 'running' ? unchanged(state) : close({ ...state, settledAt });
}

/** Something from outside that ends the run, whatever it is doing. With the verdict the set of observations is closed. */
function onCause(state: Lifecycle, observation: Observation): Step {
  return state.verdict === null ? close(observe(state, observation)) : unchanged(state);
}

/** Only what runs has logs to be read; what was not started yet ends when its turn comes. */
function close(state: Lifecycle): Step {
  if (state.phase !== 'running') return unchanged(state);
  return { state: { ...state, phase: 'closing' }, effects: [{ do: 'read_logs' }] };
}

/**
 * What the run itself says about its end. A result counts as of the exit at the latest, since a process prints nothing
 * after it; an exit speaks only where there is no final result.
 */
function ownObservations(state: Lifecycle, stderrFailure: ReasonOf<'failed'> | null): Observation[] {
  const { exit } = state;
  const said = resultObservation(state);
  if (said !== null) return [{ ...said, at: Math.min(said.at, exit?.at ?? Infinity) }];
  return exit === null ? [] : [{ kind: 'failed', reason: exitReason(exit, stderrFailure), at: exit.at }];
}

/**
 * While tasks are open, the moment up to which they are waited for is still to come, and decides only what has no earlier
 * cause. Who crashes before that, or before the turn that a task's end leads to, has not finished.
 */
function resultObservation(state: Lifecycle): Observation | null {
  const { result, exit, settledAt } = state;
  const at = doneAt(state) ?? settledAt;
  if (result === null || at === null) return null;
  if (result.failure !== null) return { kind: 'failed', reason: result.failure, at: result.at };
  if (settledAt !== null) return { kind: 'completed', at: Math.min(at, Math.max(result.at, settledAt)) };
  const isAnotherDue = state.openTasks > 0 || state.taskEndedAt !== null;
  const hasCrashed = exit !== null && exit.code !== 0 && exit.at < (graceEnd(state) ?? Infinity);
  return isAnotherDue && hasCrashed ? null : { kind: 'completed', at };
}

/** Whoever was killed did not end for what stderr tells of. */
function exitReason(exit: Exit, stderrFailure: ReasonOf<'failed'> | null): ReasonOf<'failed'> {
  if (exit.code === 0) return 'no_result';
  if (exit.isOutOfMemory === true) return 'out_of_memory';
  return exit.code === null ? 'crashed' : (stderrFailure ?? 'crashed');
}

/**
 * The deadline, whether or not its timer was heard of: a timer that is late must not change the verdict. A deadline
 * still to come is later than whatever ended the run, and decides nothing.
 */
function deadlineObservation(state: Lifecycle): Observation[] {
  if (state.startedAt === null) return [];
  return [{ kind: 'hard_timeout', reason: 'deadline', at: state.startedAt + state.limits.timeoutMs }];
}

function verdictOn(state: Lifecycle, stderrFailure: ReasonOf<'failed'> | null = null): Verdict | null {
  const own = ownObservations(state, stderrFailure);
  return mergeObservations([...state.observations, ...own, ...deadlineObservation(state)]);
}

/** Where nothing but the final result ended the run, the process has had its grace already. */
function decide(state: Lifecycle, stderrFailure: ReasonOf<'failed'> | null): Step {
  const isToBeAsked = state.exit === null && state.observations.length > 0;
  return {
    state: { ...state, phase: 'killing', verdict: verdictOn(state, stderrFailure) },
    effects: [{ do: 'announce_ending' }, { do: 'kill', graceMs: isToBeAsked ? state.limits.graceMs : 0 }],
  };
}

/** The end of an execution that never had a process. */
function endUnstarted(state: Lifecycle, at: number): Step {
  return {
    state: { ...state, phase: 'ended', verdict: verdictOn(state), survivors: 0, endedAt: at },
    effects: [{ do: 'announce_ending' }, { do: 'announce_outcome' }],
  };
}
