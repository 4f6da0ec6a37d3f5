import { type ExecutionSummary, LIMITS } from '@outrigger/protocol';
import { type Channel } from './channel.js';

/** Sends executions in pages. Their outcomes follow in frames of their own. */
export function sendSnapshot(executions: readonly ExecutionSummary[], channel: Channel): void {
  const summaries = executions.map(({ outcome: _sentByItself, ...summary }) => summary);
  do {
    const page = summaries.splice(0, LIMITS.snapshotPageSize);
    channel.send({ type: 'snapshot', executions: page, more: summaries.length > 0 });
  } while (summaries.length > 0);
}
