import { randomUUID } from 'node:crypto';
import { type DispatchRequest, WireError } from '@outrigger/protocol';
import { type CredentialPool } from './credentials/pool.js';
import { type Dispatched, type Dispatching } from './events.js';
import { Execution } from './execution.js';
import { type Ledger } from './ledger.js';
import { type Limits } from './limits.js';
import { type Logger } from './logger.js';
import { type Store } from './store/store.js';

/** What a dispatch needs of its fleet. */
export interface DispatchContext {
  readonly store: Store;
  readonly limits: Limits;
  readonly pool: CredentialPool;
  /** A record that is older than this, and that its agent does not know, is forgotten. Milliseconds. */
  readonly settledAfterMs: number;
  readonly onDispatching: (event: Dispatching) => void;
  readonly onDispatched: (event: Dispatched) => void;
  readonly logger: Logger;
}

/**
 * Dispatches an execution on one agent. It is written down, and holds its permits, before the agent is asked; a refusal undoes
 * that, and an answer that does not come does not.
 *
 * @throws as `Agent.dispatch` does
 */
export async function dispatchOn(ledger: Ledger, context: DispatchContext, wanted: Wanted): Promise<Execution> {
  const { onDispatching, onDispatched } = context;
  const begun = { agentId: ledger.agentId, executionId: wanted.executionId, at: Date.now() };
  const since = performance.now();
  const answered = () => ({ ...begun, afterMs: performance.now() - since });
  onDispatching(begun);
  try {
    const { execution, known } = await ask(ledger, context, wanted);
    onDispatched({ ...answered(), known, execution });
    return execution;
  } catch (error) {
    onDispatched({ ...answered(), known: false, error });
    throw error;
  }
}

interface Wanted {
  readonly executionId: string;
  readonly request: DispatchRequest;
}

async function ask(
  ledger: Ledger,
  { store, limits, pool, settledAfterMs, logger }: DispatchContext,
  { executionId, request }: Wanted,
): Promise<{ execution: Execution; known: boolean }> {
  const { link, agentId } = ledger;
  await pool.checkExpiry(ledger);
  const prepared = link.prepare('dispatch', { executionId, request });
  const dispatchId = randomUUID();
  return ledger.whileDispatching(executionId, async () => {
    const { journalId: before } = ledger;
    const held = limits.ofAgent(agentId);
    let record = { executionId, agentId, createdAt: Date.now(), limits: held };
    const undo = async () => {
      try {
        await store.withdrawExecution(record, dispatchId);
        if ((await store.getExecution(executionId)) === undefined) await limits.giveBack(executionId, held);
      } catch (error) {
        // It is found out later that the agent never had it.
        logger.warn({ agentId, executionId, err: error }, 'a dispatch that was refused was not taken back');
      }
    };
    const writeDown = async () => {
      record = { ...record, createdAt: Date.now() };
      await store.putExecution({ ...record, ...(before && { journalId: before }) }, dispatchId);
    };
    await writeDown();
    try {
      await limits.take(executionId, agentId).catch(async (error: unknown) => {
        // What has ended needs none: the agent says how, and starts nothing.
        if ((await store.getExecution(executionId))?.conclusion === undefined) throw error;
      });
      // A host that stood still may find that another one has forgotten the record, and given the id to another agent.
      while (Date.now() - record.createdAt >= settledAfterMs / 2) await writeDown();
      const summary = await link.request(prepared);
      const { journalId } = ledger;
      // Another sidecar than was asked first has it.
      if (journalId && journalId !== before) await store.putExecution({ ...record, journalId }, dispatchId);
      return { execution: new Execution(ledger, ledger.take(summary)), known: summary.known };
    } catch (error) {
      if (isRefusal(error)) await undo();
      throw error;
    }
  });
}

/** A conflict means that the id is in use, and `internal` that nobody knows; the record of either has to stay. */
function isRefusal(error: unknown): boolean {
  if (error instanceof WireError) return error.code !== 'execution_conflict' && error.code !== 'internal';
  return error instanceof Error && 'code' in error && error.code === 'limit_reached';
}
