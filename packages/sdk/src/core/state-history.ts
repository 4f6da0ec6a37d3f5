import { type ExecutionState, type ExecutionSummary, type SidecarFrame } from '@outrigger/protocol';

type Decision = NonNullable<SidecarFrame<'state'>['verdict']>;

/** A step in an execution's life, as a notice or a summary tells of it. */
export interface StateStep {
  readonly attempt: number;
  readonly state: ExecutionState;
  /** Epoch ms. */
  readonly at: number;
  readonly verdict?: Decision | undefined;
}

const ORDER: Record<ExecutionState, number> = { queued: 0, starting: 1, running: 2, ending: 3, ended: 4 };

/** Whether a step is news. What is told again, after a reconnect or by an answer that was overtaken, is not. */
export function isLater(step: StateStep, last: StateStep | undefined): boolean {
  if (last === undefined) return true;
  if (ORDER[last.state] >= ORDER.ending) return ORDER[step.state] > ORDER[last.state];
  return step.attempt > last.attempt || (step.attempt === last.attempt && ORDER[step.state] > ORDER[last.state]);
}

/** The step a summary implies; it does not say when the state began, but what it says allows to tell. */
export function stepOf(summary: ExecutionSummary): StateStep {
  const { attempt, state, acceptedAt, startedAt, verdict, outcome } = summary;
  const at = {
    queued: acceptedAt,
    starting: acceptedAt,
    running: startedAt ?? acceptedAt,
    ending: verdict?.at ?? acceptedAt,
    ended: outcome?.closedAt ?? verdict?.at ?? acceptedAt,
  }[state];
  return { attempt, state, at, verdict };
}
