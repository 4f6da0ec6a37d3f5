import { type ExecutionSummary, WireError } from '@outrigger/protocol';
import { type Ledger } from './ledger.js';
import { type Tracker } from './tracker.js';

/** What runs is asked for anew; how the rest has ended is known. @throws `agent_unreachable` */
export async function listExecutions(ledger: Ledger): Promise<ExecutionSummary[]> {
  const summaries: ExecutionSummary[] = [];
  for (const tracker of ledger.executions.unacknowledged()) {
    const summary = endedOf(tracker) ?? (await ask(ledger, tracker.executionId));
    if (summary !== null) summaries.push(summary);
  }
  return summaries.sort((a, b) => a.acceptedAt - b.acceptedAt);
}

function endedOf({ executionId, outcome, labels }: Tracker): ExecutionSummary | null {
  if (outcome === undefined) return null;
  const { attempts: attempt, acceptedAt, startedAt, closedAt: since } = outcome;
  return {
    ...{ executionId, state: 'ended', since, attempt, acceptedAt, outcome },
    ...(startedAt !== undefined && { startedAt }),
    ...(labels !== undefined && { labels: { ...labels } }),
  };
}

/** Null: it was acknowledged and forgotten meanwhile. */
async function ask(ledger: Ledger, executionId: string): Promise<ExecutionSummary | null> {
  try {
    const { execution } = await ledger.link.call('status', { executionId });
    return execution ?? null;
  } catch (error) {
    if (error instanceof WireError && error.code === 'unknown_execution') return null;
    throw error;
  }
}
