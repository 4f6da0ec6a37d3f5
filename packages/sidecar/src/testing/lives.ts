/** Words for telling the lives of executions in tests. */
import { type HoldReason, type ReasonOf } from '@outrigger/protocol';
import {
  type Effect,
  type Exit,
  type Lifecycle,
  type LifecycleEvent,
  type LifecycleLimits,
  newLifecycle,
  type Phase,
  type Refusal,
} from '../core/lifecycle-state.js';
import { step } from '../core/lifecycle.js';

/** A deadline at 200 for what was started at 0. */
export const LIMITS: LifecycleLimits = {
  timeoutMs: 200,
  graceMs: 20,
  backgroundTimeoutMs: 60,
  holdTimeoutMs: 1000,
  onCredentialFailure: 'fail',
  maxResumes: 0,
  interactiveIdleMs: null,
};
/** Another credential is waited for, the process alive; one budget of 100 for all holds. */
export const HOLD_LIMITS: LifecycleLimits = {
  ...LIMITS,
  timeoutMs: 500,
  holdTimeoutMs: 100,
  onCredentialFailure: 'hold',
};
/** At most two further attempts. */
export const RESUME_LIMITS: LifecycleLimits = { ...HOLD_LIMITS, onCredentialFailure: 'resume', maxResumes: 2 };

/** Talked to, and waits for 50 for another message. */
export const INTERACTIVE_LIMITS: LifecycleLimits = { ...LIMITS, timeoutMs: 500, interactiveIdleMs: 50 };

/** In the order of a life that has one attempt; between two it is `suspending`, then `waiting`. */
export const PHASES: Phase[] = ['queued', 'preparing', 'spawning', 'running', 'closing', 'killing', 'ended'];
export const BETWEEN_ATTEMPTS: Phase[] = ['suspending', 'waiting'];

export const slotFree: LifecycleEvent = { type: 'slot_free' };
export const queueTimeout = (at: number): LifecycleEvent => ({ type: 'queue_timeout', at });
export const prepared = (at = 0): LifecycleEvent => ({ type: 'prepared', at });
export const credentialMissing = (at: number): LifecycleEvent => ({ type: 'credential_missing', at });
export const launched = (at = 0): LifecycleEvent => ({ type: 'launched', at });
export const launchFailed = (at: number): LifecycleEvent => ({
  type: 'launch_failed',
  at,
  message: 'no such file: claude',
});
export const neverStarted = (at: number): LifecycleEvent => ({ type: 'never_started', at });
export const adopted = (at: number): LifecycleEvent => ({ type: 'adopted', at });
export const adoptionFailed = (at: number, survivors: number | null = null): LifecycleEvent => ({
  type: 'adoption_failed',
  at,
  message: 'no such file: stdout',
  survivors,
});
export const gatewayLost = (at: number): LifecycleEvent => ({ type: 'gateway_lost', at });
export const refused = (at: number, reason: ReasonOf<'skipped'> = 'at_capacity'): LifecycleEvent => ({
  type: 'refused',
  at,
  reason,
});
export const cancel = (at: number, reason: 'requested' | 'drained' = 'requested'): LifecycleEvent => ({
  type: 'cancel',
  at,
  reason,
});
export const deadline = (at = LIMITS.timeoutMs): LifecycleEvent => ({ type: 'deadline', at });
export const idle = (at: number): LifecycleEvent => ({ type: 'idle', at });
export const outputLimit = (at: number): LifecycleEvent => ({ type: 'output_limit', at });
export const credentialFailed = (
  at: number,
  reason: ReasonOf<'failed'> = 'auth_invalid',
  refusal?: Refusal,
): LifecycleEvent => ({
  type: 'credential_failed',
  at,
  reason,
  ...(refusal === undefined ? {} : { refusal }),
});
export const refusalFor = (reason: HoldReason = 'auth_expired', generation: number | null = 1): Refusal => ({
  reason,
  message: `the provider's words for ${reason}`,
  generation,
});
export const held = (at: number, reason?: HoldReason): LifecycleEvent => ({
  type: 'held',
  at,
  refusal: refusalFor(reason),
});
export const released = (at: number): LifecycleEvent => ({ type: 'released', at });
export const holdTimeout = (at: number): LifecycleEvent => ({ type: 'hold_timeout', at });
export const credentialReady = (at: number): LifecycleEvent => ({ type: 'credential_ready', at });
export const bypassed = (at: number): LifecycleEvent => ({ type: 'bypassed', at });
export const turnStarted: LifecycleEvent = { type: 'turn_started' };
export const result = (at: number): LifecycleEvent => ({ type: 'result', result: { at, failure: null } });
export const badResult = (at: number, failure: ReasonOf<'failed'> = 'agent_error'): LifecycleEvent => ({
  type: 'result',
  result: { at, failure },
});
/** Of a turn that the run has begun by itself. */
export const ownResult = (at: number): LifecycleEvent => ({ ...result(at), isOwnTurn: true }) as LifecycleEvent;
export const message = (at: number, messageId = 'm', text = messageId): LifecycleEvent => ({
  type: 'message',
  at,
  message: { messageId, text },
});
export const inputEnded = (at: number): LifecycleEvent => ({ type: 'input_ended', at });
export const inputFailed = (at: number): LifecycleEvent => ({
  type: 'input_failed',
  at,
  message: 'no such file: stdin',
});
export const caughtUp: LifecycleEvent = { type: 'caught_up' };
export const tasks = (at: number, open: number): LifecycleEvent => ({ type: 'tasks', at, open });
export const exited = (at: number, code: number | null = 0, more: Partial<Exit> = {}): LifecycleEvent => ({
  type: 'exited',
  exit: { at, code, signal: null, ...more },
});
export const killed = (at: number, more: Partial<Exit> = {}): LifecycleEvent =>
  exited(at, null, { signal: 'SIGKILL', ...more });
export const graceOver: LifecycleEvent = { type: 'grace_over' };
export const logsRead: LifecycleEvent = { type: 'logs_read' };
export const stderrSaid = (stderrFailure: ReasonOf<'failed'> | null): LifecycleEvent => ({
  type: 'logs_read',
  stderrFailure,
});
export const treeDead = (at = 1000, survivors: number | null = 0): LifecycleEvent => ({
  type: 'tree_dead',
  at,
  survivors,
});

/** Everything after the last event that can bear on the verdict. */
export const TO_THE_END = [logsRead, treeDead()];

export interface Told {
  readonly state: Lifecycle;
  readonly effects: Effect[];
}

export function tell(events: readonly LifecycleEvent[], from = newLifecycle(LIMITS)): Told {
  return events.reduce<Told>(
    (told, event) => {
      const { state, effects } = step(told.state, event);
      return { state, effects: [...told.effects, ...effects] };
    },
    { state: from, effects: [] },
  );
}

/** A run whose process was started at 0. */
export const tellRunning = (...events: LifecycleEvent[]) => tellRunningWith(LIMITS, ...events);
export const tellRunningWith = (limits: LifecycleLimits, ...events: LifecycleEvent[]) =>
  tell(events, tell([prepared(), launched()], newLifecycle(limits)).state);

export const tellQueued = (...events: LifecycleEvent[]) => tell(events, newLifecycle(LIMITS, 'queued'));

export const names = (effects: readonly Effect[]) => effects.map((effect) => effect.do);

/** What the run prints comes in its order; everything else can be heard of at any time. */
export function everyOrder(printed: readonly LifecycleEvent[], heard: readonly LifecycleEvent[]): LifecycleEvent[][] {
  const [next, ...rest] = printed;
  return [
    ...(next === undefined ? [] : everyOrder(rest, heard).map((order) => [next, ...order])),
    ...heard.flatMap((event, i) => everyOrder(printed, heard.toSpliced(i, 1)).map((order) => [event, ...order])),
    ...(next === undefined && heard.length === 0 ? [[]] : []),
  ];
}
