import { randomUUID } from 'node:crypto';
import { type Permit, type Store } from '../store.js';
import { memoryExecutions } from './executions.js';
import { Leases } from './leases.js';

/** What a store within the process keeps. */
export interface MemoryStoreOptions {
  /** Handled outcomes kept; the oldest go first. @default 10_000 */
  retainedMax?: number;
}

/** A store within the process, for one host. What it knew is rebuilt from the sidecars after a restart. */
export function memoryStore({ retainedMax = 10_000 }: MemoryStoreOptions = {}): Store {
  const id = randomUUID();
  const leases = new Leases();
  /** When each permit was taken, by limit and execution. */
  const permits = new Map<string, Map<string, number>>();
  const documents = new Map<string, { value: unknown; version: string }>();

  // Promise.try is not in Node 20; a plain async function turns a throw into a rejection all the same.
  /* eslint-disable @typescript-eslint/require-await */
  return {
    ...memoryExecutions(leases, retainedMax),

    async id() {
      return id;
    },

    touchAgent: (agentId) => leases.touchAgent(agentId),
    unseenForMs: (agentId) => leases.unseenForMs(agentId),
    agents: () => leases.agents(),
    dropAgent: (agentId) => leases.dropAgent(agentId),
    acquireLease: (agentId, claimant, above) => leases.acquireLease(agentId, claimant, above),
    releaseLease: (agentId, fence) => leases.releaseLease(agentId, fence),

    async takePermit(limit, executionId, max) {
      const taken = permits.get(limit) ?? new Map<string, number>();
      permits.set(limit, taken);
      if (taken.has(executionId)) return true;
      if (taken.size >= max) return false;
      taken.set(executionId, performance.now());
      return true;
    },

    async returnPermit(limit, executionId) {
      permits.get(limit)?.delete(executionId);
    },

    async permits(limit): Promise<Permit[]> {
      const nowMs = performance.now();
      return [...(permits.get(limit) ?? [])].map(([executionId, sinceMs]) => ({
        executionId,
        heldForMs: nowMs - sinceMs,
      }));
    },

    async readDocument(name) {
      const { value, version } = documents.get(name) ?? { value: undefined, version: null };
      return { value: structuredClone(value), version };
    },

    async writeDocument(name, { value, ifVersion, version }) {
      const present = documents.get(name)?.version ?? null;
      if (present === version) return true;
      if (present !== ifVersion) return false;
      documents.set(name, { value: structuredClone(value), version });
      return true;
    },

    async close() {
      // Nothing is held open; the records stay, so that a fleet made with the same store goes on.
    },
  };
}
