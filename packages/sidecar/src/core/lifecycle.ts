import { type Observation, type ReasonOf } from '@outrigger/protocol';
import { type Effect, type Lifecycle, type LifecycleEvent, type Step } from './lifecycle-state.js';
import { doneAt, graceEnd, verdictOn } from './verdict.js';

/** A run that reports the same trouble a million times is heard a hundred times. */
const OBSERVATIONS_MAX = 100;

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
      // A process exits once.
      return state.phase === 'ended' || state.exit !== null ? unchanged(state) : close({ ...state, exit: event.exit });

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

function onGraceOver(state: Lifecycle): Step {
  const settledAt = doneAt(state);
  return settledAt === null || state.phase !== 'running' ? unchanged(state) : close({ ...state, settledAt });
}

/** Something from outside that ends the run, whatever it is doing. With the verdict the set of observations is closed. */
function onCause(state: Lifecycle, observation: Observation): Step {
  if (state.verdict !== null) return unchanged(state);
  return close(state.observations.length < OBSERVATIONS_MAX ? observe(state, observation) : state);
}

/** Only what runs has logs to be read; what was not started yet ends when its turn comes. */
function close(state: Lifecycle): Step {
  if (state.phase !== 'running') return unchanged(state);
  return { state: { ...state, phase: 'closing' }, effects: [{ do: 'read_logs' }] };
}

/**
 * Where nothing but the final result ended the run, the process has had its grace already. One that prints too much
 * would fill the disk meanwhile.
 */
function decide(state: Lifecycle, stderrFailure: ReasonOf<'failed'> | null): Step {
  const { exit, observations } = state;
  const isFlooding = observations.some((seen) => seen.kind === 'failed' && seen.reason === 'output_limit');
  const isToBeAsked = exit === null && observations.length > 0 && !isFlooding;
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
