import { OutriggerError } from '@outrigger/protocol';
import { beginDrain, type DrainOptions, drainOver, type DrainResult, watchFor } from './drain.js';
import { sdkError } from './errors.js';
import { type Ledger } from './ledger.js';
import { type Logger } from './logger.js';

/** How long a replacement may take, and whether it waits for what runs. */
export interface WhileDrainedOptions extends DrainOptions {
  /** Runs the function although executions go on, or the agent cannot be heard. @default false */
  evenIfNotDrained?: boolean;
  /** How long the new sidecar may take to answer once the function is done. Milliseconds. @default 5 min */
  replacedWithinMs?: number;
}

const REPLACED_WITHIN_MS = 5 * 60_000;

/** Replaces an agent's container while nothing runs in it; see `Agent.whileDrained`. */
export async function whileDrained<T>(
  ledger: Ledger,
  { evenIfNotDrained = false, replacedWithinMs = REPLACED_WITHIN_MS, ...options }: WhileDrainedOptions,
  { replace, logger }: { replace: (drain: DrainResult) => T | Promise<T>; logger: Logger },
): Promise<T> {
  if (!(Number.isSafeInteger(replacedWithinMs) && replacedWithinMs > 0)) {
    throw sdkError('invalid', 'replacedWithinMs: expected a positive integer');
  }
  const begun = await beginDrain(ledger, options);
  const undo = async () => {
    if (begun.isOwn) await resumeUnlessReplaced(ledger, begun.bootId, logger);
  };
  let bootId: string;
  let result: T;
  try {
    const drain = await drainOver(ledger, begun, options).catch((error: unknown) => {
      if (evenIfNotDrained && isUnreachable(error)) return { drained: false, remaining: [] };
      throw error;
    });
    if (!drain.drained && !evenIfNotDrained) throw drainFailed(ledger.agentId, drain);
    bootId = ledger.admission.seen.bootId;
    result = await replace(drain);
  } catch (error) {
    await undo();
    throw error;
  }
  await watchFor(ledger, {
    find: () => (ledger.admission.seen.bootId === bootId ? null : true),
    lateAfterMs: replacedWithinMs,
    onLate: () =>
      sdkError('not_replaced', `no new sidecar of agent ${ledger.agentId} answered within ${replacedWithinMs} ms`),
  });
  return result;
}

function drainFailed(agentId: string, { remaining, cause }: DrainResult): OutriggerError {
  const named = remaining.length === 0 ? 'nobody knows what' : remaining.join(', ');
  const message = `agent ${agentId} is not drained (${cause ?? 'unknown'}): ${named} still runs; nothing was replaced`;
  return sdkError('drain_failed', message, { data: { remaining, cause } });
}

function isUnreachable(error: unknown): boolean {
  return error instanceof OutriggerError && error.code === 'agent_unreachable';
}

/** What went wrong before is what the caller has to hear of, so nothing here fails. */
async function resumeUnlessReplaced(ledger: Ledger, bootId: string, logger: Logger): Promise<void> {
  try {
    const status = await ledger.link.call('status', {});
    if (status.bootId === bootId && status.drain !== undefined) await ledger.link.call('resume_admission', {});
  } catch (error) {
    logger.warn({ agentId: ledger.agentId, err: error }, 'whether the agent admits again is not known');
  }
}
