import { type Observation } from '@outrigger/protocol';
import { withoutHold } from './hold.js';
import { restoreConversation } from './journal-input.js';
import { type JournalledExecution } from './journal-state.js';
import { type Effect, type Lifecycle, type LifecycleLimits, newLifecycle, type Step } from './lifecycle-state.js';
import { step } from './lifecycle.js';
import { holdTimeout } from './verdict.js';

/**
 * Where an execution goes on that another sidecar has written down and that has not ended, and what is to be done first.
 *
 * ```
 *   written down                              goes on as    with
 *   accepted                                  queued        nothing: it waits for a slot
 *                                             preparing     prepare
 *   starting, launched or not                 spawning      adopt: is there a process?
 *   suspended                                 suspending    adopt, then the kill
 *   decided                                   killing       adopt, then the kill
 * ```
 */
export function restoreLife(
  execution: JournalledExecution,
  { limits, queueTimeoutMs, nowMs }: { limits: LifecycleLimits; queueTimeoutMs: number; nowMs: number },
): Step {
  const { verdict, suspended, attempts, accepted, cancelled, startedAt, resumesLeft, refusal } = execution;
  const latest = attempts.at(-1);
  const life: Lifecycle = {
    ...newLifecycle(limits, accepted.isQueued && latest === undefined ? 'queued' : 'preparing'),
    observations: cancelled === null ? [] : [{ kind: 'cancelled', ...cancelled }],
    ...restoreConversation(execution),
    attempt: latest?.number ?? 1,
    session: latest?.session ?? 'start',
    resumesLeft: resumesLeft ?? limits.maxResumes,
    heldMs: execution.heldMs,
    hold: execution.hold,
    refusal: execution.hold?.refusal ?? refusal,
    startedAt,
    since: latest?.launched?.at ?? null,
  };
  if (latest === undefined) return goOnUnstarted(life, accepted, { queueTimeoutMs, nowMs });
  if (verdict !== null) return { state: { ...life, phase: 'killing', verdict, since: verdict.at }, effects: [ADOPT] };
  if (suspended !== null) {
    const { next: session, failure } = suspended;
    return { state: { ...life, phase: 'suspending', session, failure }, effects: [...clocksOf(life), ADOPT] };
  }
  // Each further attempt begins with a suspension, and one that goes on with the session costs one.
  const spent = resumesLeft !== null && latest.session === 'resume' ? 1 : 0;
  const spawning: Lifecycle = {
    ...withoutPassedHold(life, nowMs),
    phase: 'spawning',
    resumesLeft: life.resumesLeft - spent,
    isAttemptDue: latest.number > 1 && latest.launched === null,
  };
  return { state: spawning, effects: [ADOPT] };
}

const ADOPT: Effect = { do: 'adopt' };

/** One that was refused, cancelled, or has waited for too long before anything was started is not started any more. */
function goOnUnstarted(
  life: Lifecycle,
  { refused, acceptedAtMs }: JournalledExecution['accepted'],
  { queueTimeoutMs, nowMs }: { queueTimeoutMs: number; nowMs: number },
): Step {
  if (refused !== undefined) return step(life, { type: 'refused', at: acceptedAtMs, reason: refused });
  const [cancel] = life.observations;
  if (cancel !== undefined) {
    return step({ ...life, phase: 'preparing' }, { type: 'prepared', at: Math.max(nowMs, cancel.at) });
  }
  if (life.phase !== 'queued') return { state: life, effects: [{ do: 'prepare' }] };
  const waitsUntil = acceptedAtMs + queueTimeoutMs;
  return waitsUntil > nowMs ? { state: life, effects: [] } : step(life, { type: 'queue_timeout', at: waitsUntil });
}

/** What runs sets them again when it is found. */
function clocksOf({ startedAt, limits, hold }: Lifecycle): Effect[] {
  const deadline: Effect[] = startedAt === null ? [] : [{ do: 'set_deadline', at: startedAt + limits.timeoutMs }];
  return hold === null ? deadline : [...deadline, { do: 'set_hold', at: hold.until }];
}

/**
 * The connection of a request that was held has ended with the sidecar. It is sent again, and held again where it must be;
 * until then the run is not held. But while nobody could release it the time that it had went on.
 */
function withoutPassedHold(life: Lifecycle, nowMs: number): Lifecycle {
  const { hold } = life;
  if (hold === null) return life;
  if (nowMs < hold.until) return withoutHold(life, nowMs);
  const passed: Observation = holdTimeout(hold);
  return { ...life, observations: [...life.observations, passed] };
}
