import { sdkError } from '../../errors.js';
import {
  type Conclusion,
  type ExecutionKey,
  type ExecutionRecord,
  type ExecutionStore,
  type OpenExecutions,
} from '../store.js';
import { type Leases } from './leases.js';

interface Claim {
  readonly number: number;
  readonly holder: string;
  readonly untilMs: number;
}

interface Entry {
  record: ExecutionRecord;
  /** Dispatches of which it is not known that they were refused. */
  readonly dispatchIds: Set<string>;
  claim: Claim | null;
  /** Under which claim it was handled. */
  handledUnder: number | null;
}

/** Execution records within the process. */
export function memoryExecutions(leases: Leases, retainedMax: number): ExecutionStore {
  const entries = new Map<string, Entry>();
  /** Ids in the order they were handled. */
  const handled = new Set<string>();
  let lastClaim = 0;

  const ownedBy = (agentId: string, executionId: string): Entry | undefined => {
    const entry = entries.get(executionId);
    if (entry !== undefined && entry.record.agentId !== agentId) throw wrongAgent(executionId, entry.record.agentId);
    return entry;
  };
  const claimed = ({ executionId }: ExecutionKey, claim: number): Entry | undefined => {
    const entry = entries.get(executionId);
    return entry?.claim?.number === claim && entry.claim.untilMs > performance.now() ? entry : undefined;
  };
  const forget = (executionId: string) => {
    if (entries.get(executionId)?.record.conclusion === undefined) entries.delete(executionId);
  };
  const prune = () => {
    for (const oldest of handled) {
      if (handled.size <= retainedMax) break;
      handled.delete(oldest);
      entries.delete(oldest);
    }
  };

  // Promise.try is not in Node 20; a plain async function turns a throw into a rejection all the same.
  /* eslint-disable @typescript-eslint/require-await */
  return {
    async putExecution(record, dispatchId) {
      const entry = ownedBy(record.agentId, record.executionId);
      if (entry === undefined) {
        const dispatchIds = new Set([dispatchId]);
        entries.set(record.executionId, { record: { ...record }, dispatchIds, claim: null, handledUnder: null });
      } else if (entry.record.conclusion === undefined) {
        entry.record = { ...record };
        entry.dispatchIds.add(dispatchId);
      }
    },

    async withdrawExecution({ executionId }, dispatchId) {
      const entry = entries.get(executionId);
      if (entry?.dispatchIds.delete(dispatchId) === true && entry.dispatchIds.size === 0) forget(executionId);
    },

    async forgetExecution({ agentId, executionId, createdAt }, fence) {
      leases.check(agentId, fence);
      if (entries.get(executionId)?.record.createdAt === createdAt) forget(executionId);
    },

    async getExecution(executionId) {
      return entries.get(executionId)?.record;
    },

    async openExecutions(agentId): Promise<OpenExecutions> {
      const records = [...entries.values()]
        .map(({ record }) => record)
        .filter((record) => record.agentId === agentId && isOpen(record))
        .sort((a, b) => a.createdAt - b.createdAt);
      return { records, unreadable: [] };
    },

    async recordOutcome({ agentId, outcome, end, fence }, { holder, ttlMs }) {
      const { executionId } = outcome;
      if (fence !== undefined) leases.check(agentId, fence);
      const entry: Entry = ownedBy(agentId, executionId) ?? {
        record: { executionId, agentId, createdAt: outcome.acceptedAt },
        dispatchIds: new Set(),
        claim: null,
        handledUnder: null,
      };
      entries.set(executionId, entry);
      const conclusion = merge(entry.record.conclusion, { outcome, end });
      if (conclusion !== entry.record.conclusion) {
        entry.record = { ...entry.record, conclusion };
        entry.claim = null;
        entry.handledUnder = null;
        handled.delete(executionId);
      }
      const nowMs = performance.now();
      const { isHandled } = conclusion;
      const isFree = entry.claim === null || entry.claim.untilMs <= nowMs || entry.claim.holder === holder;
      if (!isHandled && isFree) {
        const isOwn = entry.claim !== null && entry.claim.untilMs > nowMs;
        const number = isOwn && entry.claim !== null ? entry.claim.number : ++lastClaim;
        entry.claim = { number, holder, untilMs: nowMs + ttlMs };
      }
      const claim = !isHandled && isFree ? (entry.claim?.number ?? null) : null;
      const claimedForMs = isHandled || isFree ? 0 : Math.max(0, (entry.claim?.untilMs ?? nowMs) - nowMs);
      return { ...conclusion, claim, claimedForMs, limits: entry.record.limits ?? [] };
    },

    async releaseClaim(key, claim) {
      const entry = claimed(key, claim);
      if (entry !== undefined) entry.claim = null;
    },

    async markHandled(key, claim) {
      const { executionId } = key;
      if (entries.get(executionId)?.handledUnder === claim) return true;
      const entry = claimed(key, claim);
      if (entry?.record.conclusion === undefined) return false;
      entry.record = { ...entry.record, conclusion: { ...entry.record.conclusion, isHandled: true } };
      entry.handledUnder = claim;
      entry.claim = null;
      handled.add(executionId);
      prune();
      return true;
    },
  };
}

function isOpen({ conclusion }: ExecutionRecord): boolean {
  return conclusion === undefined || (conclusion.outcome.status === 'lost' && !conclusion.isHandled);
}

/** The first outcome stays, but for one that was presumed. */
function merge(present: Conclusion | undefined, { outcome, end }: Omit<Conclusion, 'isHandled'>): Conclusion {
  const isCorrection = present?.outcome.status === 'lost' && outcome.status !== 'lost';
  if (present !== undefined && !isCorrection) return present;
  const kept = isCorrection ? { ...outcome, corrected: true as const } : outcome;
  return { outcome: Object.freeze(structuredClone(kept)), end: { ...end }, isHandled: false };
}

function wrongAgent(executionId: string, agentId: string): Error {
  return sdkError('wrong_agent', `execution ${executionId} belongs to agent ${agentId}`, { data: { agentId } });
}
