/**
 * A whole life of an execution in simulated time: every effect is carried out, every timer fires, however late. A sidecar that
 * crashes forgets all but its journal, while the process goes on; the next one takes over.
 */
import { foldJournal } from '../core/journal-fold.js';
import { notesOf } from '../core/journal-notes.js';
import { restoreLife } from '../core/journal-restore.js';
import { type JournalRecord } from '../core/journal-state.js';
import {
  type Effect,
  type Lifecycle,
  type LifecycleEvent,
  type LifecycleLimits,
  newLifecycle,
} from '../core/lifecycle-state.js';
import { step } from '../core/lifecycle.js';
import { accepted, outcomeOf } from './journal-records.js';

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
  /** The sidecar is killed at that time, and started again so much later. */
  readonly crashes?: readonly { readonly atMs: number; readonly downMs: number }[];
}

export interface Moment {
  readonly nowMs: number;
  readonly event: LifecycleEvent;
  readonly before: Lifecycle;
  readonly after: Lifecycle;
  readonly effects: readonly Effect[];
  /** How many crashes came before. */
  readonly boot: number;
}

/** What a process does, whoever watches it. */
interface SimulatedProcess {
  readonly launchedAt: number;
  readonly deeds: readonly { readonly at: number; readonly event: LifecycleEvent }[];
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
  const processes = new Map<number, SimulatedProcess>();
  const records: JournalRecord[] = [accepted(ID)];
  const crashes = [...(world.crashes ?? [])].sort((a, b) => a.atMs - b.atMs);
  let boot = 0;
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
      case 'spawn': {
        if (processes.has(state.attempt)) throw new Error(`attempt ${state.attempt} has a process already`);
        records.push(startingOf(state));
        tell(later, { type: 'launched', at: later });
        const deeds = world.deeds
          .filter((deed) => deed.attempt === state.attempt)
          .map(({ afterMs, event }) => ({ at: later + afterMs, event: event(later + afterMs) }));
        processes.set(state.attempt, { launchedAt: later, deeds });
        deeds.forEach(({ at, event }) => tell(at, event));
        break;
      }
      case 'adopt':
        adopt(later);
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
      case 'announce_outcome':
        records.push({ is: 'ended', id: ID, outcome: outcomeOf(ID), ends: null });
        break;
      case 'tell_message':
      case 'announce_running':
      case 'announce_state':
      case 'announce_ending':
        break;
    }
  };

  const adopt = (at: number) => {
    const process = processes.get(state.attempt);
    if (state.phase !== 'spawning') {
      tell(at, { type: 'adopted', at });
    } else if (process === undefined) {
      tell(at, { type: 'never_started', at });
    } else {
      tell(at, { type: 'launched', at: process.launchedAt });
      process.deeds.forEach((deed) => tell(Math.max(at, deed.at), deed.event));
    }
  };

  /** What the sidecar knew and was about to do is gone; who cancels comes again. */
  const crash = (atMs: number, downMs: number) => {
    const upAt = atMs + downMs;
    boot++;
    due = due.filter(({ event, at, timer }) => event.type === 'cancel' && timer === undefined && at > atMs);
    due.forEach((cancel, index) => (due[index] = { ...cancel, at: Math.max(cancel.at, upAt) }));
    for (const [attempt, { launchedAt }] of processes) if (launchedAt > atMs) processes.delete(attempt);
    const execution = foldJournal(records).executions.get(ID);
    if (execution === undefined) throw new Error('it was accepted, and is not known');
    const { state: after, effects } = restoreLife(execution, {
      limits: world.limits,
      queueTimeoutMs: Infinity,
      nowMs: upAt,
    });
    const before = state;
    state = after;
    moments.push({ nowMs: upAt, event: RESTORED, before, after, effects, boot });
    effects.forEach((effect) => carryOut(effect, upAt));
  };

  carryOut({ do: 'prepare' }, 0);
  while (state.phase !== 'ended') {
    if (moments.length > MOMENTS_MAX) throw new Error('it goes on for ever');
    due.sort((a, b) => a.at - b.at);
    const nextCrash = crashes[0];
    if (nextCrash !== undefined && nextCrash.atMs < (due[0]?.at ?? Infinity)) {
      crashes.shift();
      crash(Math.max(nextCrash.atMs, moments.at(-1)?.nowMs ?? 0), nextCrash.downMs);
      continue;
    }
    const first = due.shift();
    if (first === undefined) throw new Error(`nothing is to come any more while ${state.phase}`);
    if (first.attempt !== null && first.attempt !== state.attempt) continue;
    const before = state;
    const { state: after, effects } = step(before, first.event);
    state = after;
    if (first.event.type === 'launched' && before.phase === 'spawning') records.push(launchedOf(after, first.event.at));
    records.push(...notesOf({ id: ID, before, after, ends: () => [] }));
    moments.push({ nowMs: first.at, event: first.event, before, after, effects, boot });
    effects.forEach((effect) => carryOut(effect, first.at));
  }
  return moments;
}

const ID = 'a';
/** Stands for the start of another sidecar; it is no event of the lifecycle's. */
const RESTORED: LifecycleEvent = { type: 'grace_over' };

function startingOf({ attempt, session }: Lifecycle): JournalRecord {
  const start = { marks: {}, placeholderHash: null, gatewayPort: null, settings: null };
  return { is: 'starting', id: ID, attempt, session, sessionId: 's', start };
}

function launchedOf({ attempt }: Lifecycle, at: number): JournalRecord {
  return { is: 'launched', id: ID, attempt, at, pid: 1, startTime: '1' };
}

/** One value after the other, then from the first again. */
function cycle<T>(values: readonly T[]): () => T {
  let index = 0;
  return () => values[index++ % values.length] as T;
}
