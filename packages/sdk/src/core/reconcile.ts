import { type ReasonOf } from '@outrigger/protocol';

/** An execution of which nobody knows yet how it ended. */
export interface OpenExecution {
  readonly executionId: string;
  /** Epoch ms. */
  readonly createdAt: number;
  /** What its agent remembered by then goes by this name; undefined: it had not said. */
  readonly journalId?: string | undefined;
  /** Limits of which it holds a permit; undefined: nobody has written that down. */
  readonly limits?: readonly string[] | undefined;
  /** How it ended is presumed already, and nobody has handled that yet. */
  readonly isPresumedLost?: boolean;
}

/** Whether an agent knows an execution that it has not listed. */
export type AgentAnswer = 'known' | 'unknown';

/** An agent, as this host sees it. */
export type AgentView =
  | {
      readonly isReached: true;
      /** What it remembers goes by this name. */
      readonly journalId: string;
      /** Executions that it has told of and whose outcome nobody has acknowledged. */
      readonly listed: ReadonlySet<string>;
      readonly answers: ReadonlyMap<string, AgentAnswer>;
      /** Limits that an execution on it counts for. */
      readonly limits: readonly string[];
    }
  | {
      readonly isReached: false;
      /** For how long neither this host nor any other has reached it. Milliseconds. */
      readonly unseenForMs: number;
    };

export interface ReconcileLimits {
  /** An agent that was not seen for so long is given up. Milliseconds. */
  readonly lostAfterMs: number;
  /** Longer than a dispatch can be on its way. Milliseconds. */
  readonly settledAfterMs: number;
}

export type ReconcileAction =
  /** The agent has to be asked. */
  | { readonly do: 'ask'; readonly executionId: string }
  /** It runs, and nobody has written it down. */
  | { readonly do: 'adopt'; readonly executionId: string }
  /** It was presumed lost, by a host that did not come to telling it. */
  | { readonly do: 'tell'; readonly executionId: string }
  /** It is presumed lost. */
  | { readonly do: 'lose'; readonly execution: OpenExecution; readonly reason: ReasonOf<'lost'> }
  /** The agent never accepted it, or did so long ago that it has forgotten it. */
  | { readonly do: 'forget'; readonly execution: OpenExecution }
  /** It counts for other limits now, as its agent has another credential. */
  | { readonly do: 'relimit'; readonly executionId: string };

/**
 * What is to be done so that the store and an agent agree. Empty when they do.
 *
 * Unreachable is not dead: what an agent had is lost when nobody has seen the agent for `lostAfterMs`, or when it is there with
 * another journal and knows nothing of it.
 */
export function reconcile(
  open: readonly OpenExecution[],
  agent: AgentView,
  nowMs: number,
  limits: ReconcileLimits,
): ReconcileAction[] {
  const untold = open.filter((execution) => execution.isPresumedLost === true);
  const unknown = open.filter((execution) => execution.isPresumedLost !== true);
  const told = untold.map(({ executionId }) => ({ do: 'tell' as const, executionId }));
  if (!agent.isReached) {
    if (agent.unseenForMs < limits.lostAfterMs) return told;
    return [
      ...told,
      ...unknown.map((execution) => ({ do: 'lose' as const, execution, reason: 'agent_gone' as const })),
    ];
  }
  const known = new Set(open.map(({ executionId }) => executionId));
  const adopted = [...agent.listed].filter((executionId) => !known.has(executionId));
  return [
    ...told,
    ...adopted.map((executionId) => ({ do: 'adopt' as const, executionId })),
    ...unknown.flatMap((execution) => actionFor(execution, agent, nowMs, limits) ?? []),
  ];
}

function actionFor(
  execution: OpenExecution,
  agent: AgentView & { isReached: true },
  nowMs: number,
  { settledAfterMs }: ReconcileLimits,
): ReconcileAction | null {
  const { executionId, journalId, createdAt } = execution;
  if (agent.listed.has(executionId)) {
    const isRight = execution.limits === undefined || sameSet(execution.limits, agent.limits);
    return isRight ? null : { do: 'relimit', executionId };
  }
  switch (agent.answers.get(executionId)) {
    case undefined:
      return { do: 'ask', executionId };
    case 'known':
      return null;
    case 'unknown':
      if (journalId !== undefined && journalId !== agent.journalId) {
        return { do: 'lose', execution, reason: 'sidecar_restarted' };
      }
      return nowMs - createdAt < settledAfterMs ? null : { do: 'forget', execution };
  }
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name) => b.includes(name));
}
