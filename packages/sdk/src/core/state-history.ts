import { type ExecutionState, type ExecutionSummary, type Hold } from '@outrigger/protocol';
import { type Decision, type HoldEvent, type ReleasedEvent, type StateEvent } from '../events.js';

/** A step in an execution's life, as a notice or a summary tells of it. */
export interface StateStep {
  readonly attempt: number;
  readonly state: ExecutionState;
  /** Epoch ms. */
  readonly at: number;
  readonly hold?: Hold | undefined;
  readonly verdict?: Decision | undefined;
}

/** How far an execution was followed. */
export interface Progress {
  readonly last?: StateStep;
  /** The last step that was no hold. */
  readonly state?: StateStep;
}

/** Within an attempt no phase comes again, but `held` and `running` alternate within theirs. */
const PHASE: Record<ExecutionState, number> = { queued: 0, starting: 1, held: 2, running: 2, ending: 3, ended: 4 };

/**
 * Whether a step is news. What is told again, after a reconnect or by an answer that was overtaken, is not.
 *
 * An order of all steps an execution can take, so it does not matter on which way and when they are heard of.
 */
export function isLater(step: StateStep, last: StateStep | undefined): boolean {
  if (last === undefined) return true;
  const phases = PHASE[step.state] - PHASE[last.state];
  if (isDecided(step) || isDecided(last)) return phases > 0;
  const difference = step.attempt - last.attempt || phases || step.at - last.at || rankOf(step) - rankOf(last);
  return difference > 0;
}

/** Takes a step. @returns what it tells to whoever follows the execution; nothing if it is no news */
export function advance(
  progress: Progress,
  step: StateStep,
  generation: number | null,
): { progress: Progress; events: (StateEvent | HoldEvent | ReleasedEvent)[] } {
  const { last, state: previous } = progress;
  if (!isLater(step, last)) return { progress, events: [] };
  const { attempt, state, at, hold, verdict } = step;
  if (state === 'held') {
    return { progress: { ...progress, last: step }, events: hold ? [{ type: 'hold', ...hold, at, attempt }] : [] };
  }
  const events: (StateEvent | ReleasedEvent)[] = [];
  if (last?.state === 'held' && !isDecided(step)) {
    events.push({ type: 'released', at, attempt, ...(generation !== null && { generation }) });
  }
  // After a hold the run is where it was.
  if (state !== previous?.state || attempt !== previous.attempt) {
    events.push({ type: 'state', state, at, attempt, ...(verdict && { verdict }) });
  }
  return { progress: { last: step, state: step }, events };
}

/** Whether the execution's verdict is known with this step. */
export function isDecided({ state }: StateStep): boolean {
  return state === 'ending' || state === 'ended';
}

/** The step a summary implies. */
export function stepOf({ attempt, state, since, hold, verdict }: ExecutionSummary): StateStep {
  return { attempt, state, at: since, hold, verdict };
}

/**
 * Among steps of one millisecond: a hold can end in the one it began in, or go on for another credential, but none
 * begins in the one the last ended in.
 */
function rankOf({ state, hold }: StateStep): number {
  return state === 'running' ? Number.MAX_VALUE : (hold?.generation ?? -1);
}
