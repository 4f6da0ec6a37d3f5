import { randomUUID } from 'node:crypto';
import { carries } from './core/placement.js';
import { type Ledger } from './ledger.js';

/** How a message is sent to many executions. */
export interface BroadcastOptions {
  /** Names the message, so that an execution is told it once, however often and by however many hosts it is sent. @default a random UUID */
  messageId?: string;
}

/** Who was told. */
export interface BroadcastReport {
  messageId: string;
  /** Executions whose agent has the message on its disk. */
  reached: string[];
  /** Executions that match and were not told: `not_interactive`, `input_ended`, `agent_unreachable`, … */
  failed: { executionId: string; agentId: string; error: unknown }[];
  /** Agents that are not reached now, so that it is not known what runs there. */
  unreached: string[];
}

/** Says something to every running execution that carries the labels, itself or through its agent. */
export async function broadcast(
  ledgers: Iterable<Ledger>,
  labels: Readonly<Record<string, string>>,
  text: string,
  { messageId = randomUUID() }: BroadcastOptions,
): Promise<BroadcastReport> {
  const report: BroadcastReport = { messageId, reached: [], failed: [], unreached: [] };
  const tell = async (ledger: Ledger, executionId: string): Promise<void> => {
    const { agentId } = ledger;
    try {
      const own = await ledger.labelsOf(executionId);
      // What an execution says of itself counts more than what its agent does.
      if (own === null || !carries({ ...ledger.labels, ...own }, labels)) return;
      await ledger.link.call('send_message', { executionId, messageId, text });
      report.reached.push(executionId);
    } catch (error) {
      report.failed.push({ executionId, agentId, error });
    }
  };
  const attached = [...ledgers].filter(({ isAttached }) => isAttached);
  report.unreached = attached.filter(({ isReady }) => !isReady).map(({ agentId }) => agentId);
  await Promise.all(
    attached
      .filter(({ isReady }) => isReady)
      .flatMap((ledger) => ledger.executions.running().map((executionId) => tell(ledger, executionId))),
  );
  return report;
}
