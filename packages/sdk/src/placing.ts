import {
  type DispatchRequest,
  DURATIONS,
  type Outcome,
  OUTCOME_REASONS,
  OutriggerError,
  WireError,
} from '@outrigger/protocol';
import { v7 as uuidv7 } from 'uuid';
import { hasRoom, type Place, rankPlaces } from './core/placement.js';
import { type DispatchContext, dispatchOn } from './dispatching.js';
import { sdkError } from './errors.js';
import { Execution } from './execution.js';
import { type Ledger } from './ledger.js';

/** A dispatch to whichever agent has room. */
export type FleetDispatch = DispatchRequest & {
  executionId?: string;
  /** Labels the agent has to carry. @default none: any agent */
  agentLabels?: Record<string, string>;
};

/** Refusals that another agent may not have. */
const ELSEWHERE = ['at_capacity', 'draining', 'circuit_open', 'credential_missing', 'credential_expired', 'disk_low'];

/** Between looks whether a limit has room again. Milliseconds. */
const LIMIT_AGAIN_MS = 500;

/**
 * Dispatches an execution on the agent that suits it best, or on the next one if that refuses it.
 *
 * @throws as `Fleet.dispatch` does
 */
export async function dispatchAnywhere(
  ledgers: ReadonlyMap<string, Ledger>,
  context: DispatchContext,
  { executionId = uuidv7(), agentLabels = {}, ...request }: FleetDispatch,
): Promise<Execution> {
  const known = await context.store.getExecution(executionId);
  if (known !== undefined) return onItsAgent(ledgers, context, known.agentId, { executionId, request });
  const queueUntilMs = performance.now() + (request.queueTimeoutMs ?? DURATIONS.queueTimeoutMs.defaultMs);
  for (;;) {
    const places = rankPlaces(placesOf(ledgers), agentLabels);
    const [best] = places;
    if (best === undefined) throw noPlace(`no agent is connected that carries ${JSON.stringify(agentLabels)}`, {});
    try {
      return await placeOn(places, ledgers, context, { executionId, request });
    } catch (error) {
      // Whoever dispatched it at the same time was first, and had other agents to choose from.
      const owner = ownerIn(error);
      if (owner !== null) return onItsAgent(ledgers, context, owner, { executionId, request });
      if (!isLimit(error)) throw error;
      const { whenBusy = 'refuse' } = request;
      const ledger = ledgers.get(best.agentId);
      if (whenBusy === 'skip' && ledger !== undefined) return skip(ledger, executionId, error);
      if (whenBusy !== 'queue' || performance.now() >= queueUntilMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, LIMIT_AGAIN_MS * (0.5 + Math.random())));
    }
  }
}

interface Wanted {
  readonly executionId: string;
  readonly request: DispatchRequest;
}

/** First wherever there seems to be room; then, where it may wait or is to be recorded, on the best of all. */
async function placeOn(
  places: readonly Place[],
  ledgers: ReadonlyMap<string, Ledger>,
  context: DispatchContext,
  { executionId, request }: Wanted,
): Promise<Execution> {
  const { whenBusy = 'refuse' } = request;
  const refusals: Record<string, string> = {};
  const tried = whenBusy === 'refuse' ? places : places.filter((place) => hasRoom(place) && !place.isClosed);
  for (const { agentId } of tried) {
    const ledger = ledgers.get(agentId);
    if (ledger?.isReady !== true) continue;
    try {
      return await dispatchOn(ledger, context, { executionId, request: { ...request, whenBusy: 'refuse' } });
    } catch (error) {
      if (!(error instanceof OutriggerError) || !ELSEWHERE.includes(error.code)) throw error;
      refusals[agentId] = error.code;
    }
  }
  const [best] = whenBusy === 'refuse' ? [] : places;
  const ledger = best && ledgers.get(best.agentId);
  if (ledger !== undefined) return dispatchOn(ledger, context, { executionId, request });
  throw noPlace('every agent that would do has refused it', refusals);
}

/** An id that was dispatched before stays where it is. */
async function onItsAgent(
  ledgers: ReadonlyMap<string, Ledger>,
  context: DispatchContext,
  agentId: string,
  wanted: Wanted,
): Promise<Execution> {
  const ledger = ledgers.get(agentId);
  if (ledger !== undefined) return dispatchOn(ledger, context, wanted);
  const message = `execution ${wanted.executionId} was dispatched to agent ${agentId}, which is not connected`;
  throw sdkError('agent_closed', message, { data: { agentId } });
}

/** No agent is asked, as it is a limit of the fleet that is used up. */
function skip(ledger: Ledger, executionId: string, { message }: Error): Execution {
  const nowMs = Date.now();
  const { status, retryable } = OUTCOME_REASONS.at_capacity;
  const outcome: Outcome = {
    ...{ executionId, status, reason: 'at_capacity', message, retryable, survivors: 0, attempts: 0, heldMs: 0 },
    exit: { code: null, signal: null },
    acceptedAt: nowMs,
    endedAt: nowMs,
    closedAt: nowMs,
  };
  return new Execution(ledger, ledger.skip(outcome));
}

function placesOf(ledgers: ReadonlyMap<string, Ledger>): Place[] {
  return [...ledgers.values()].filter(({ isReady }) => isReady).map((ledger) => ledger.place);
}

/** The agent that has the id already; null: the error says something else. */
function ownerIn(error: unknown): string | null {
  if (!(error instanceof OutriggerError) || error.code !== 'wrong_agent') return null;
  const { agentId } = error.data;
  return typeof agentId === 'string' ? agentId : null;
}

function isLimit(error: unknown): error is OutriggerError {
  return error instanceof OutriggerError && !(error instanceof WireError) && error.code === 'limit_reached';
}

function noPlace(why: string, refusals: Record<string, string>): OutriggerError {
  const told = Object.entries(refusals).map(([agentId, code]) => `${agentId}: ${code}`);
  return sdkError('no_place', [why, ...told].join('; '), { data: { refusals } });
}
