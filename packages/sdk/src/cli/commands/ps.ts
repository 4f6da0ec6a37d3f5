import { type ExecutionSummary } from '@outrigger/protocol';
import { type Context } from '../context.js';
import { type Column, layOut } from '../table.js';
import { formatDuration, formatLabels } from '../values.js';

/** An execution and where it is. */
export interface PlacedExecution extends ExecutionSummary {
  readonly agentId: string;
}

/** Lists what runs, and with `all` also what has ended and waits for a host to take its outcome. */
export async function ps(context: Context, { all = false }: { all?: boolean }): Promise<void> {
  await using session = await context.connect();
  const lists = await Promise.all(
    session.agents.map(async (agent) => (await agent.executions()).map((each) => ({ ...each, agentId: agent.id }))),
  );
  const listed = lists.flat().filter(({ state }) => all || state !== 'ended');
  if (context.isJson) {
    for (const execution of listed) context.printJson(execution);
    return;
  }
  const { terminal } = context;
  for (const line of layOut(executionColumns(listed, Date.now()), listed, terminal.columns)) terminal.print(line);
}

export function executionColumns(listed: readonly PlacedExecution[], nowMs: number): Column<PlacedExecution>[] {
  const left = ({ hold }: PlacedExecution) => (hold === undefined ? '' : formatDuration(hold.until - nowMs));
  return [
    { title: 'EXECUTION', value: ({ executionId }) => executionId },
    { title: 'STATE', value: stateOf, isKept: true },
    ...(listed.some(({ hold }) => hold !== undefined) ? [{ title: 'LEFT', value: left }] : []),
    { title: 'AGE', value: ({ acceptedAt }) => formatDuration(nowMs - acceptedAt) },
    { title: 'AGENT', value: ({ agentId }) => agentId },
    { title: 'ATTEMPT', value: ({ attempt }) => String(attempt) },
    { title: 'LABELS', value: ({ labels }) => formatLabels(labels), canBeCut: true },
  ];
}

function stateOf({ state, hold, verdict, outcome }: ExecutionSummary): string {
  const why = outcome ?? verdict ?? hold;
  if (why === undefined) return state;
  return 'status' in why ? `${state} ${why.status}:${why.reason}` : `${state} ${why.reason}`;
}
