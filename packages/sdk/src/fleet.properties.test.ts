import { type Outcome } from '@outrigger/protocol';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { lostOutcome } from './core/lost-outcome.js';
import { type AgentView, type OpenExecution, reconcile } from './core/reconcile.js';
import { outcomeOf } from './store/contract-values.js';
import { memoryStore } from './store/memory/memory-store.js';
import { type Store } from './store/store.js';

/**
 * Random histories of hosts, agents, failures and time, over the store, the decisions and the order of steps that a fleet uses.
 * Agents are modelled as the protocol has them: one process for an id, an outcome until it is acknowledged, a journal that can be lost.
 */

const AGENTS = ['x', 'y'];
const HOSTS = ['h1', 'h2'];
const IDS = ['a', 'b'];
const END = { attempt: 1, stdout: 0, stderr: 0 };
const LIMITS = { lostAfterMs: 1000, settledAfterMs: 500 };
const LEASE_MS = 100;
const CLAIM_MS = 100;
const PERMITS_MAX = 1;
const LIMIT = 'fleet';

interface Agent {
  journalId: string;
  isReachable: boolean;
  /** Undefined: it runs; else how it has ended, and whether that was acknowledged. */
  readonly known: Map<string, { outcome?: Outcome; isAcknowledged?: boolean }>;
}

class World {
  readonly store: Store = memoryStore();
  readonly agents = new Map(
    AGENTS.map((agentId): [string, Agent] => [
      agentId,
      { journalId: `${agentId}0`, isReachable: true, known: new Map() },
    ]),
  );
  /** What each host took as handled, in the order in which the store took note of it. */
  readonly handled = new Map<string, Outcome[]>();
  /** The outcome of each execution that is no presumption, as it was stored first. */
  readonly final = new Map<string, Outcome>();
  readonly seenAtMs = new Map<string, number>();
  /** Outcomes that a host is about to handle, by host, agent and execution. */
  readonly #underWay = new Set<string>();
  dispatches = 0;
  journals = 0;
  ends = 0;

  agent(agentId: string): Agent {
    const agent = this.agents.get(agentId);
    if (agent === undefined) throw new Error(agentId);
    return agent;
  }

  /** As a host does it; it may die after each step. */
  async dispatch(
    { agentId, executionId, diesAfter, isRefused }: Extract<Step, { do: 'dispatch' }>,
    meanwhile: () => Promise<void>,
  ): Promise<void> {
    const agent = this.agent(agentId);
    const dispatchId = `d${this.dispatches++}`;
    const { journalId } = agent;
    let record = { executionId, agentId, createdAt: Date.now(), journalId, limits: [LIMIT] };
    const writeDown = async () => {
      record = { ...record, createdAt: Date.now() };
      return this.store.putExecution(record, dispatchId).then(
        () => true,
        (error: unknown) => {
          expect(error).toMatchObject({ code: 'wrong_agent' });
          return false;
        },
      );
    };
    if (!(await writeDown()) || diesAfter === 1) return;
    await meanwhile();
    const isTaken = await this.store.takePermit(LIMIT, executionId, PERMITS_MAX);
    if (diesAfter === 2 || (isTaken && !agent.isReachable)) return;
    while (Date.now() - record.createdAt >= LIMITS.settledAfterMs / 2) if (!(await writeDown())) return;
    if (isTaken && !isRefused) {
      if (!agent.known.has(executionId)) agent.known.set(executionId, {});
      return;
    }
    if (isTaken && agent.known.has(executionId)) return;
    await this.store.withdrawExecution(record, dispatchId);
    if (diesAfter === 3) return;
    if ((await this.store.getExecution(executionId)) === undefined) await this.store.returnPermit(LIMIT, executionId);
  }

  end(agentId: string, executionId: string): void {
    const run = this.agent(agentId).known.get(executionId);
    if (run !== undefined) run.outcome ??= outcomeOf(executionId, { message: `end ${this.ends++}` });
  }

  /** The agent sends its outcome to a host, which may die before it has handled or acknowledged it, or stand still. */
  async deliver(
    { host: holder, agentId, executionId, diesAfter, stillForMs }: Extract<Step, { do: 'deliver' }>,
    meanwhile: () => Promise<void>,
  ): Promise<void> {
    const agent = this.agent(agentId);
    const run = agent.known.get(executionId);
    if (run?.outcome === undefined || run.isAcknowledged === true || !agent.isReachable) return;
    if (await this.conclude(holder, agentId, run.outcome, { diesAfter, stillForMs, meanwhile }))
      run.isAcknowledged = true;
  }

  /** @returns whether it may be acknowledged */
  async conclude(
    ...[holder, agentId, outcome, options]: Parameters<World['concludeOnce']>
  ): ReturnType<World['concludeOnce']> {
    const key = `${holder} ${agentId} ${outcome.executionId}`;
    if (this.#underWay.has(key)) return false;
    this.#underWay.add(key);
    return this.concludeOnce(holder, agentId, outcome, options).finally(() => this.#underWay.delete(key));
  }

  async concludeOnce(
    holder: string,
    agentId: string,
    outcome: Outcome,
    {
      diesAfter = 0,
      stillForMs = 0,
      fence,
      meanwhile,
    }: { diesAfter?: number; stillForMs?: number; fence?: number; meanwhile?: () => Promise<void> },
  ): Promise<boolean> {
    const evidence = { agentId, outcome, end: END, ...(fence !== undefined && { fence }) };
    const recorded = await this.store.recordOutcome(evidence, { holder, ttlMs: CLAIM_MS }).catch((error: unknown) => {
      // An id of which the record was lost with its agent may have gone to another agent since.
      expect(error).toMatchObject({ code: expect.stringMatching(/wrong_agent|stale_fence/) as string });
      return null;
    });
    if (recorded === null || diesAfter === 1) return false;
    for (const limit of recorded.limits) await this.store.returnPermit(limit, outcome.executionId);
    if (recorded.isHandled) return true;
    if (recorded.claim === null) return false;
    pass(stillForMs);
    await meanwhile?.();
    if (diesAfter === 2) return false;
    const isNoted = await this.store.markHandled({ agentId, executionId: outcome.executionId }, recorded.claim);
    if (!isNoted) {
      return false;
    }
    const sofar = this.handled.get(outcome.executionId) ?? [];
    this.handled.set(outcome.executionId, [...sofar, recorded.outcome]);
    return true;
  }

  async reconcile(
    { host: holder, agentId, stillForMs }: Extract<Step, { do: 'reconcile' }>,
    meanwhile: () => Promise<void>,
  ): Promise<void> {
    const agent = this.agent(agentId);
    if (agent.isReachable) {
      await this.store.touchAgent(agentId);
      this.seenAtMs.set(agentId, performance.now());
    }
    const { records } = await this.store.openExecutions(agentId);
    const open = records.map(({ executionId, createdAt, journalId, conclusion, limits }): OpenExecution => ({
      ...{ executionId, createdAt, journalId, limits },
      isPresumedLost: conclusion !== undefined,
    }));
    const listed = [...agent.known].filter(([, run]) => run.isAcknowledged !== true).map(([id]) => id);
    const view: AgentView = agent.isReachable
      ? {
          ...{ isReached: true, journalId: agent.journalId, listed: new Set(listed), limits: [LIMIT] },
          answers: new Map(open.map(({ executionId: id }) => [id, agent.known.has(id) ? 'known' : 'unknown'])),
        }
      : { isReached: false, unseenForMs: (await this.store.unseenForMs(agentId)) ?? Infinity };
    const fence = await this.store.acquireLease(agentId, { holder, ttlMs: LEASE_MS });
    if (fence === null) return;
    const heldSince = performance.now();
    pass(stillForMs);
    await meanwhile();
    for (const action of reconcile(open, view, Date.now(), LIMITS)) {
      const isStale = performance.now() - heldSince >= LEASE_MS;
      switch (action.do) {
        case 'ask':
        case 'relimit':
          throw new Error(`${action.do}: all was asked, and there is one limit`);
        case 'adopt':
          await this.store
            .putExecution(
              { ...{ executionId: action.executionId, agentId, createdAt: Date.now(), limits: [LIMIT] } },
              'adopted',
            )
            .catch((error: unknown) => expect(error).toMatchObject({ code: 'wrong_agent' }));
          break;
        case 'lose': {
          const { executionId } = action.execution;
          if (action.reason === 'agent_gone') {
            if (((await this.store.unseenForMs(agentId)) ?? Infinity) < LIMITS.lostAfterMs) break;
            const unseenForMs = performance.now() - (this.seenAtMs.get(agentId) ?? -Infinity);
            expect(unseenForMs).toBeGreaterThanOrEqual(LIMITS.lostAfterMs);
          }
          const before = (await this.store.getExecution(executionId))?.conclusion;
          const lost = lostOutcome({ executionId, dispatchedAt: 0, attempts: 0 }, action.reason, Date.now());
          await this.conclude(holder, agentId, lost, { fence });
          // A write under a lease that has passed changes nothing.
          if (isStale) expect((await this.store.getExecution(executionId))?.conclusion).toEqual(before);
          break;
        }
        case 'forget':
          await this.store
            .forgetExecution(
              { executionId: action.execution.executionId, agentId, createdAt: action.execution.createdAt },
              fence,
            )
            .then(
              () => expect(isStale).toBe(false),
              (error: unknown) => expect(error).toMatchObject({ code: 'stale_fence' }),
            );
          break;
        case 'tell': {
          const told = records.find(({ executionId }) => executionId === action.executionId)?.conclusion;
          if (told !== undefined) await this.conclude(holder, agentId, told.outcome, {});
        }
      }
    }
    await this.store.releaseLease(agentId, fence);
  }

  /** What hosts do from time to time with permits that nobody seems to need. */
  async sweep(): Promise<void> {
    for (const { executionId } of await this.store.permits(LIMIT)) {
      const record = await this.store.getExecution(executionId);
      if (record === undefined || record.conclusion !== undefined) await this.store.returnPermit(LIMIT, executionId);
    }
  }

  loseJournal(agentId: string): void {
    const agent = this.agent(agentId);
    agent.known.clear();
    agent.journalId = `${agentId}${++this.journals}`;
  }
}

const pass = (ms: number) => void vi.advanceTimersByTime(ms);

const agentId = fc.constantFrom(...AGENTS);
const host = fc.constantFrom(...HOSTS);
const executionId = fc.constantFrom(...IDS);
const diesAfter = fc.nat(3);
const stillForMs = fc.constantFrom(0, 0, 0, 150);
const step = fc.oneof(
  fc.record({ do: fc.constant('dispatch' as const), agentId, executionId, diesAfter, isRefused: fc.boolean() }),
  fc.record({ do: fc.constant('end' as const), agentId, executionId }),
  fc.record({ do: fc.constant('deliver' as const), host, agentId, executionId, diesAfter, stillForMs }),
  fc.record({ do: fc.constant('reconcile' as const), host, agentId, stillForMs }),
  fc.record({ do: fc.constant('reach' as const), agentId, isReachable: fc.boolean() }),
  fc.record({ do: fc.constant('loseJournal' as const), agentId }),
  fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(50, 400, 1200) }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
/** A step, and what others do in the middle of it. */
const moment = fc.record({ step, meanwhile: fc.array(step, { maxLength: 3 }) });

async function take(world: World, next: Step, others: readonly Step[] = []): Promise<void> {
  const meanwhile = async () => {
    for (const other of others) await take(world, other);
  };
  switch (next.do) {
    case 'dispatch':
      return world.dispatch(next, meanwhile);
    case 'end':
      world.end(next.agentId, next.executionId);
      return;
    case 'deliver':
      return world.deliver(next, meanwhile);
    case 'reconcile':
      return world.reconcile(next, meanwhile);
    case 'reach':
      world.agent(next.agentId).isReachable = next.isReachable;
      return;
    case 'loseJournal':
      world.loseJournal(next.agentId);
      return;
    case 'pass':
      pass(next.ms);
  }
}

async function check(world: World): Promise<void> {
  for (const id of IDS) {
    // I1: one agent at most runs it.
    const running = AGENTS.filter((agent) => {
      const run = world.agent(agent).known.get(id);
      return run !== undefined && run.outcome === undefined;
    });
    expect(running.length).toBeLessThanOrEqual(1);
    const stored = (await world.store.getExecution(id))?.conclusion?.outcome;
    if (stored !== undefined && stored.status !== 'lost') {
      expect(stored).toEqual(world.final.get(id) ?? stored);
      world.final.set(id, stored);
    }
    // I2: one outcome, but for one that was presumed before it.
    const statuses = (world.handled.get(id) ?? []).map(
      ({ status, corrected }) => `${status}${corrected ? ', corrected' : ''}`,
    );
    expect([[], ['succeeded'], ['lost'], ['lost', 'succeeded, corrected'], ['succeeded, corrected']]).toContainEqual(
      statuses,
    );
  }
  // I11: never too many.
  expect((await world.store.permits(LIMIT)).length).toBeLessThanOrEqual(PERMITS_MAX);
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance', 'Date', 'setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

it('in every history one process and one outcome, no late write, never too many permits; in the end all agree (I1, I2, I6, I11)', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(moment, { minLength: 10, maxLength: 60, size: 'max' }), async (history) => {
      const world = new World();
      for (const next of history) {
        await take(world, next.step, next.meanwhile);
        await check(world);
      }
      // Everything heals, and everybody has time.
      for (const agent of AGENTS) {
        const { known } = world.agent(agent);
        world.agent(agent).isReachable = true;
        for (const id of known.keys()) world.end(agent, id);
      }
      for (let round = 0; round < 3; round++) {
        pass(2000);
        for (const agent of AGENTS) {
          await take(world, { do: 'reconcile', host: 'h1', agentId: agent, stillForMs: 0 });
          for (const id of IDS) {
            const now = { diesAfter: 0, stillForMs: 0 } as const;
            await take(world, { do: 'deliver', host: 'h2', agentId: agent, executionId: id, ...now });
          }
        }
      }
      await world.sweep();
      await check(world);
      for (const agent of AGENTS)
        expect(await world.store.openExecutions(agent)).toEqual({ records: [], unreadable: [] });
      expect(await world.store.permits(LIMIT)).toEqual([]);
    }),
    { numRuns: 1000 },
  );
});
