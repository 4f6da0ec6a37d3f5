/** A whole life of an execution in simulated time: every effect is carried out, every timer fires, however late. */
import {
  type Effect,
  type Lifecycle,
  type LifecycleEvent,
  type LifecycleLimits,
  newLifecycle,
} from '../core/lifecycle-state.js';
import { step } from '../core/lifecycle.js';

/** Something that happens by itself, so long after the process of an attempt was started. */
export interface Deed {
  readonly afterMs: number;
  /** Counts from 1. */
  readonly attempt: number;
  readonly event: (at: number) => LifecycleEvent;
}

export interface World {
  readonly limits: LifecycleLimits;
  readonly deeds: readonly Deed[];
  /** Whoever cancels does so at these times. */
  readonly cancels: readonly number[];
  /** How long each thing takes that is asked for, one after the other and over again. */
  readonly delaysMs: readonly number[];
  /** After each wait for a credential; null: none ever comes. */
  readonly credentialsMs: readonly (number | null)[];
  /** After each kill. */
  readonly survivors: readonly (number | null)[];
  readonly stderr: readonly ('resume_not_found' | 'auth_invalid' | null)[];
}

export interface Moment {
  readonly nowMs: number;
  readonly event: LifecycleEvent;
  readonly before: Lifecycle;
  readonly after: Lifecycle;
  readonly effects: readonly Effect[];
}

interface Due {
  readonly at: number;
  /** Of the attempt it is about; null: of none. What is told of an old one is not heard. */
  readonly attempt: number | null;
  readonly timer?: string;
  readonly event: LifecycleEvent;
}

const MOMENTS_MAX = 10_000;

/** @throws Error for a life that does not end. */
export function live(world: World): Moment[] {
  const next = cycle(world.delaysMs);
  const nextCredential = cycle(world.credentialsMs);
  const nextSurvivors = cycle(world.survivors);
  const nextStderr = cycle(world.stderr);
  let state = newLifecycle(world.limits);
  let due: Due[] = world.cancels.map((at) => ({
    at,
    attempt: null,
    event: { type: 'cancel', at, reason: 'requested' },
  }));
  const moments: Moment[] = [];
  const tell = (at: number, event: LifecycleEvent) => due.push({ at, attempt: state.attempt, event });
  const setTimer = (timer: string, at: number | null, event: LifecycleEvent, nowMs: number) => {
    due = due.filter((other) => other.timer !== timer);
    if (at !== null) due.push({ at: Math.max(at, nowMs) + next(), attempt: null, timer, event });
  };

  const carryOut = (effect: Effect, nowMs: number) => {
    const later = nowMs + next();
    switch (effect.do) {
      case 'prepare':
        tell(later, { type: 'prepared', at: later });
        break;
      case 'spawn':
        tell(later, { type: 'launched', at: later });
        world.deeds
          .filter((deed) => deed.attempt === state.attempt)
          .forEach(({ afterMs, event }) => tell(later + afterMs, event(later + afterMs)));
        break;
      case 'set_deadline':
        setTimer('deadline', effect.at, { type: 'deadline', at: effect.at }, nowMs);
        break;
      case 'set_grace':
        setTimer('grace', effect.at, { type: 'grace_over' }, nowMs);
        break;
      case 'set_hold':
        setTimer('hold', effect.at, { type: 'hold_timeout', at: effect.at ?? 0 }, nowMs);
        break;
      case 'read_logs':
        tell(later, { type: 'logs_read', stderrFailure: nextStderr() });
        break;
      case 'kill':
        tell(later, { type: 'exited', exit: { at: later, code: 143, signal: null } });
        tell(later + 1, { type: 'tree_dead', at: later + 1, survivors: nextSurvivors() });
        break;
      case 'await_credential': {
        const afterMs = nextCredential();
        if (afterMs !== null) tell(nowMs + afterMs, { type: 'credential_ready', at: nowMs + afterMs });
        break;
      }
      case 'announce_running':
      case 'announce_state':
      case 'announce_ending':
      case 'announce_outcome':
        break;
    }
  };

  carryOut({ do: 'prepare' }, 0);
  while (state.phase !== 'ended') {
    if (moments.length > MOMENTS_MAX) throw new Error('it goes on for ever');
    due.sort((a, b) => a.at - b.at);
    const first = due.shift();
    if (first === undefined) throw new Error(`nothing is to come any more while ${state.phase}`);
    if (first.attempt !== null && first.attempt !== state.attempt) continue;
    const before = state;
    const { state: after, effects } = step(before, first.event);
    state = after;
    moments.push({ nowMs: first.at, event: first.event, before, after, effects });
    effects.forEach((effect) => carryOut(effect, first.at));
  }
  return moments;
}

/** One value after the other, then from the first again. */
function cycle<T>(values: readonly T[]): () => T {
  let index = 0;
  return () => values[index++ % values.length] as T;
}
