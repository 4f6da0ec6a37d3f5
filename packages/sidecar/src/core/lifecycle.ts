import { type Observation, type ReasonOf } from '@outrigger/protocol';
import { type Conversation, onResult, onTurnStarted, tellAgain, tellNext } from './conversation.js';
import { beginHold, endHold } from './hold.js';
import { type Effect, type Lifecycle, type LifecycleEvent, type Step } from './lifecycle-state.js';
import { findNextAttempt, nextAttempt, suspend, withoutAttempt } from './next-attempt.js';
import { canHear, doneAt, graceEnd, graceLeft, holdTimeout, verdictOn } from './verdict.js';

/** A run that reports the same trouble a million times is heard a hundred times. */
const OBSERVATIONS_MAX = 100;

/** Advances the execution by one event. An event that comes too late for its phase changes nothing. */
export function step(state: Lifecycle, event: LifecycleEvent): Step {
  const { state: advanced, effects } = advance(state, event);
  const told = (event.type === 'caught_up' ? tellAgain(advanced) : null) ?? tellNext(advanced);
  const after = told?.state ?? advanced;
  const at = graceEnd(after);
  const isMoved = after.phase === 'running' && at !== (state.phase === 'running' ? graceEnd(state) : null);
  return {
    state: after,
    effects: [
      ...effects,
      ...(told === null ? [] : [{ do: 'tell_message', message: told.message } as const]),
      ...(isMoved ? [{ do: 'set_grace', at } as const] : []),
    ],
  };
}

function advance(state: Lifecycle, event: LifecycleEvent): Step {
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

    case 'credential_missing':
      if (state.phase !== 'preparing') return unchanged(state);
      return endUnstarted(observe(state, { kind: 'hard_timeout', reason: 'hold', at: event.at }), event.at);

    case 'launched':
      return state.phase === 'spawning' ? onLaunched(state, event.at) : unchanged(state);

    case 'launch_failed': {
      if (state.phase !== 'preparing' && state.phase !== 'spawning') return unchanged(state);
      const failed = observe(state, { kind: 'failed', reason: 'spawn_failed', at: event.at });
      return endUnstarted({ ...failed, launchError: event.message }, event.at);
    }

    case 'never_started':
      if (state.phase !== 'spawning') return unchanged(state);
      if (state.observations.length > 0) return endUnstarted(state, event.at);
      return { state: { ...state, phase: 'preparing' }, effects: [{ do: 'prepare' }] };

    case 'adopted':
      if (state.phase === 'suspending') return { state, effects: [{ do: 'kill', graceMs: 0 }] };
      return state.phase === 'killing'
        ? { state, effects: [{ do: 'kill', graceMs: graceLeft(state, event.at) }] }
        : unchanged(state);

    case 'adoption_failed': {
      const { at, message, survivors } = event;
      if (state.phase !== 'spawning') return advance(state, { type: 'tree_dead', at, survivors });
      const reason = state.startedAt === null ? 'spawn_failed' : 'crashed';
      const failed = observe({ ...state, launchError: message }, { kind: 'failed', reason, at });
      const ended = endUnstarted(failed, at);
      // Whether or not it was noted that it was started, somebody may live.
      return { ...ended, state: { ...ended.state, survivors } };
    }

    case 'turn_started':
      return onStream(state, {
        isTurnOpen: true,
        conversation: state.conversation && onTurnStarted(state.conversation),
      });
    case 'result': {
      const { result, isOwnTurn = false } = event;
      const conversation = state.conversation && onResult(state.conversation, result, isOwnTurn);
      return onStream(state, { isTurnOpen: false, result, taskEndedAt: null, conversation });
    }
    case 'tasks':
      return onStream(state, {
        openTasks: event.open,
        taskEndedAt: event.open < state.openTasks ? event.at : state.taskEndedAt,
      });

    case 'exited':
      // A process exits once, and one that is ended for another to take its place has nothing to say.
      return state.exit === null && (hasProcess(state) || state.phase === 'spawning' || state.phase === 'killing')
        ? close({ ...state, exit: event.exit })
        : unchanged(state);

    case 'cancel': {
      const cancelled = { kind: 'cancelled', reason: event.reason, at: event.at } as const;
      return state.phase === 'queued' ? endUnstarted(observe(state, cancelled), event.at) : onCause(state, cancelled);
    }
    case 'deadline':
      return onCause(state, { kind: 'hard_timeout', reason: 'deadline', at: event.at });
    case 'idle':
      return onSelf(state, { kind: 'hard_timeout', reason: 'idle', at: event.at });
    case 'credential_failed': {
      // What the gateway holds is not refused; whoever still hears of a refusal has asked for something else.
      if (state.limits.onCredentialFailure === 'hold' || !hasProcess(state)) return unchanged(state);
      const told = { ...state, refusal: event.refusal ?? state.refusal };
      return onSelf(told, { kind: 'failed', reason: event.reason, at: event.at });
    }
    case 'held':
      return state.phase === 'running' && state.hold === null
        ? beginHold(state, event.at, event.refusal)
        : unchanged(state);
    case 'released':
      if (state.phase !== 'running' || state.hold === null) return unchanged(state);
      // A timer that is late must not change the verdict.
      return event.at < state.hold.until ? endHold(state, event.at) : onCause(state, holdTimeout(state.hold));
    case 'hold_timeout':
      // It may have been set for an earlier hold.
      return state.hold === null || event.at < state.hold.until
        ? unchanged(state)
        : onCause(state, holdTimeout(state.hold));
    case 'credential_ready':
      return state.phase === 'waiting' ? goOn(state, event.at) : unchanged(state);
    case 'gateway_lost':
      return onSelf(state, { kind: 'failed', reason: 'gateway_lost', at: event.at });
    case 'bypassed':
      return onSelf(state, { kind: 'failed', reason: 'gateway_bypassed', at: event.at });
    case 'message':
      return onInput(state, event.at, ({ pending }) => ({ pending: [...pending, event.message] }));
    case 'input_ended':
      return onInput(state, event.at, () => ({ endAskedAt: event.at }));
    case 'input_failed':
      return hasProcess(state)
        ? onCause({ ...state, launchError: event.message }, { kind: 'failed', reason: 'crashed', at: event.at })
        : unchanged(state);
    case 'caught_up':
      return unchanged(state);
    case 'output_limit':
      return onSelf(state, { kind: 'failed', reason: 'output_limit', at: event.at });

    case 'grace_over':
      return onGraceOver(state);

    case 'logs_read':
      return state.phase === 'closing' ? decide(state, event.stderrFailure ?? null) : unchanged(state);

    case 'tree_dead':
      if (state.phase === 'suspending') return onSuspended(state, event.at, event.survivors);
      if (state.phase !== 'killing') return unchanged(state);
      return {
        state: { ...state, phase: 'ended', survivors: event.survivors, endedAt: event.at, since: event.at },
        effects: [{ do: 'announce_outcome' }],
      };
  }
}

/** Whether there is a process whose doings decide something. */
function hasProcess({ phase }: Lifecycle): boolean {
  return phase === 'running' || phase === 'closing';
}

function unchanged(state: Lifecycle): Step {
  return { state, effects: [] };
}

function observe(state: Lifecycle, observation: Observation): Lifecycle {
  return { ...state, observations: [...state.observations, observation] };
}

function onLaunched(state: Lifecycle, at: number): Step {
  const startedAt = state.startedAt ?? at;
  // What is taken over was launched a while ago, and may have been something else to others since.
  const since = Math.max(at, state.since ?? at);
  const running: Lifecycle = { ...state, phase: 'running', isAttemptDue: false, startedAt, since };
  const effects: Effect[] = [
    { do: 'announce_running' },
    { do: 'set_deadline', at: startedAt + state.limits.timeoutMs },
  ];
  if (state.observations.length === 0 && state.exit === null) return { state: running, effects };
  const closing = close(running);
  return { state: closing.state, effects: [...effects, ...closing.effects] };
}

/** What the stream says can still change the verdict while the logs are read for the last time. */
function onStream(state: Lifecycle, change: Partial<Lifecycle>): Step {
  return unchanged(hasProcess(state) ? { ...state, ...change } : state);
}

function onInput(state: Lifecycle, at: number, change: (before: Conversation) => Partial<Conversation>): Step {
  const { conversation } = state;
  if (conversation === null || !canHear(state, at)) return unchanged(state);
  return unchanged({ ...state, conversation: { ...conversation, ...change(conversation) } });
}

function onGraceOver(state: Lifecycle): Step {
  const settledAt = doneAt(state);
  return settledAt === null || state.phase !== 'running' ? unchanged(state) : close({ ...state, settledAt });
}

/** Something from outside that ends the run, whatever it is doing. With the verdict the set of observations is closed. */
function onCause(state: Lifecycle, observation: Observation): Step {
  if (state.verdict !== null) return unchanged(state);
  const observed = state.observations.length < OBSERVATIONS_MAX ? observe(state, observation) : state;
  return state.phase === 'waiting' ? endUnstarted(observed, observation.at) : close(observed);
}

/** Something the process does that ends the run. What one does that is being ended says nothing about the next one. */
function onSelf(state: Lifecycle, observation: Observation): Step {
  return hasProcess(state) ? onCause(state, observation) : unchanged(state);
}

/** Only what runs has logs to be read; what was not started yet ends when its turn comes. */
function close(state: Lifecycle): Step {
  if (state.phase !== 'running') return unchanged(state);
  return { state: { ...state, phase: 'closing' }, effects: [{ do: 'read_logs' }] };
}

/**
 * Where nothing but the final result ended the run, the process has had its grace already, unless somebody could still have
 * talked to it. One that prints too much would fill the disk meanwhile.
 */
function decide(state: Lifecycle, stderrFailure: ReasonOf<'failed'> | null): Step {
  const { exit, observations } = state;
  const isFlooding = observations.some((seen) => seen.kind === 'failed' && seen.reason === 'output_limit');
  const isAsked = exit === null && (observations.length > 0 || state.conversation !== null) && !isFlooding;
  const graceMs = isAsked ? state.limits.graceMs : 0;
  const verdict = verdictOn(state, stderrFailure);
  const next = findNextAttempt(state, verdict);
  if (next === null) return kill(state, verdict, graceMs);
  // A failure that another attempt can mend is none yet: what came besides decides, or nothing does.
  const cleared = withoutAttempt(state);
  if (cleared.observations.length === 0) return suspend(cleared, next, graceMs);
  return kill({ ...cleared, exit }, verdictOn(cleared), graceMs);
}

function kill(state: Lifecycle, verdict: Lifecycle['verdict'], graceMs: number): Step {
  return {
    state: { ...state, phase: 'killing', verdict, since: verdict?.at ?? state.since },
    effects: [{ do: 'announce_ending' }, { do: 'kill', graceMs }],
  };
}

/**
 * Two trees of one execution never live at the same time: unless it is known that nothing survives, there is no further
 * attempt, and the failure of this one stands. Survivors change no verdict that something else brought about.
 */
function onSuspended(state: Lifecycle, at: number, survivors: number | null): Step {
  const suspended: Lifecycle = { ...state, survivors };
  if (state.observations.length > 0) return endUnstarted(suspended, at);
  if (survivors !== 0) return endUnstarted(state.failure === null ? suspended : observe(suspended, state.failure), at);
  const waiting: Lifecycle = { ...suspended, phase: 'waiting' };
  if (waiting.hold === null) return goOn(waiting, at);
  return { state: waiting, effects: [{ do: 'await_credential', refusal: waiting.hold.refusal }] };
}

/** Nothing is started any more where a time is up, though its timer was not heard of yet. */
function goOn(state: Lifecycle, at: number): Step {
  const due = verdictOn(state);
  return due !== null && due.at <= at ? endUnstarted(state, at) : nextAttempt(state, at);
}

/** The end of an execution that has no process. */
function endUnstarted(state: Lifecycle, at: number): Step {
  return {
    state: {
      ...state,
      phase: 'ended',
      verdict: verdictOn(state),
      survivors: state.startedAt === null ? 0 : state.survivors,
      endedAt: at,
      since: at,
    },
    effects: [{ do: 'announce_ending' }, { do: 'announce_outcome' }],
  };
}
