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
 *  preparing ──prepared──► spawning ──launched──► running ──cause──► closing ──logs_read──► killing ──tree_dead──► ended
 *      │                      │                                                                                    ▲
 *      └── cancelled before ──┴── launch_failed ───────────────────────────────────────────────────────────────────┘
 * ```
 *
 * A *cause* is whatever ends the run: exit, cancel, a deadline, a limit, or the grace after the final result. It fixes
 * the logs' sizes. Once they are read up to there the set of observations is closed and the verdict stands; whatever
 * the kill brings to light later changes nothing.
 */
export interface Lifecycle {
  readonly phase: Phase;
  readonly limits: LifecycleLimits;
  /** Causes from outside; what the run itself says about its end is in `result` and `exit`. */
  readonly observations: readonly Observation[];
  readonly result: FinalResult | null;
  readonly exit: Exit | null;
  readonly startedAt: number | null;
  readonly launchError: string | null;
  readonly verdict: Verdict | null;
  readonly survivors: number | null;
  readonly endedAt: number | null;
}

export type Phase = 'preparing' | 'spawning' | 'running' | 'closing' | 'killing' | 'ended';

const STATE_OF_PHASE = {
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
}

/** How and when the process ended. Both null: it could not be told. */
export interface Exit {
  readonly at: number;
  readonly code: number | null;
  readonly signal: string | null;
}

/** A `result` the run printed; the last one counts. */
export interface FinalResult {
  /** By when it was in the log. */
  readonly at: number;
  /** Null for a good one, else why it is none. */
  readonly failure: ReasonOf<'failed'> | null;
}

export type LifecycleEvent =
  /** The execution's files are there; nothing is started yet. */
  | { type: 'prepared'; at: number }
  /** Admission said no, and the caller wants that recorded. */
  | { type: 'refused'; at: number; reason: ReasonOf<'skipped'> }
  | { type: 'launched'; at: number }
  | { type: 'launch_failed'; at: number; message: string }
  | { type: 'result'; result: FinalResult }
  | { type: 'exited'; exit: Exit }
  | { type: 'cancel'; at: number; reason: Extract<Observation, { kind: 'cancelled' }>['reason'] }
  /** `at` is the deadline itself, however late its timer was. */
  | { type: 'deadline'; at: number }
  | { type: 'grace_over' }
  | { type: 'output_limit'; at: number }
  /** Everything up to the sizes fixed at the cause has been read. */
  | { type: 'logs_read' }
  | { type: 'tree_dead'; at: number; survivors: number | null };

/** What the caller is to do, in this order. */
export type Effect =
  | { do: 'spawn' }
  | { do: 'announce_running' }
  | { do: 'set_deadline'; at: number }
  | { do: 'set_grace'; at: number }
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

export function newLifecycle(limits: LifecycleLimits): Lifecycle {
  return {
    phase: 'preparing',
    limits,
    observations: [],
    result: null,
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

    case 'refused':
      if (state.phase !== 'preparing') return unchanged(state);
      return endUnstarted(observe(state, { kind: 'refused', reason: event.reason, at: event.at }), event.at);

    case 'launched':
      return state.phase === 'spawning' ? onLaunched(state, event.at) : unchanged(state);

    case 'launch_failed': {
      if (state.phase !== 'preparing' && state.phase !== 'spawning') return unchanged(state);
      const failed = observe(state, { kind: 'failed', reason: 'spawn_failed', at: event.at });
      return endUnstarted({ ...failed, launchError: event.message }, event.at);
    }

    case 'result':
      return onResult(state, event.result);

    case 'exited':
      return state.phase === 'ended' ? unchanged(state) : close({ ...state, exit: event.exit });

    case 'cancel':
      return onCause(state, { kind: 'cancelled', reason: event.reason, at: event.at });
    case 'deadline':
      return onCause(state, { kind: 'hard_timeout', reason: 'deadline', at: event.at });
    case 'output_limit':
      return onCause(state, { kind: 'failed', reason: 'output_limit', at: event.at });

    case 'grace_over':
      return state.result === null ? unchanged(state) : close(state);

    case 'logs_read':
      return state.phase === 'closing' ? decide(state) : unchanged(state);

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
  if (state.observations.length === 0) return { state: running, effects };
  const closing = close(running);
  return { state: closing.state, effects: [...effects, ...closing.effects] };
}

function onResult(state: Lifecycle, result: FinalResult): Step {
  if (state.phase !== 'running' && state.phase !== 'closing') return unchanged(state);
  const effects: Effect[] =
    state.phase === 'running' ? [{ do: 'set_grace', at: result.at + state.limits.graceMs }] : [];
  return { state: { ...state, result }, effects };
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
 * after it; an exit speaks only where there is no result.
 */
function ownObservations(state: Lifecycle): Observation[] {
  const { result, exit } = state;
  if (result !== null) {
    const at = Math.min(result.at, exit?.at ?? Infinity);
    return [result.failure === null ? { kind: 'completed', at } : { kind: 'failed', reason: result.failure, at }];
  }
  if (exit === null) return [];
  return [{ kind: 'failed', reason: exit.code === 0 ? 'no_result' : 'crashed', at: exit.at }];
}

/**
 * The deadline, whether or not its timer was heard of: a timer that is late must not change the verdict. A deadline
 * still to come is later than whatever ended the run, and decides nothing.
 */
function deadlineObservation(state: Lifecycle): Observation[] {
  if (state.startedAt === null) return [];
  return [{ kind: 'hard_timeout', reason: 'deadline', at: state.startedAt + state.limits.timeoutMs }];
}

function verdictOn(state: Lifecycle): Verdict | null {
  return mergeObservations([...state.observations, ...ownObservations(state), ...deadlineObservation(state)]);
}

/** Where nothing but the final result ended the run, the process has had its grace already. */
function decide(state: Lifecycle): Step {
  const isToBeAsked = state.exit === null && state.observations.length > 0;
  return {
    state: { ...state, phase: 'killing', verdict: verdictOn(state) },
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
