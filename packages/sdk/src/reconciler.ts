import { CURSOR_START } from '@outrigger/protocol';
import {
  type AgentAnswer,
  type AgentView,
  type OpenExecution,
  reconcile,
  type ReconcileAction,
} from './core/reconcile.js';
import { lostOutcome } from './core/lost-outcome.js';
import { type AgentLeases } from './leases.js';
import { type Ledger } from './ledger.js';
import { type Limits } from './limits.js';
import { type Logger } from './logger.js';
import { type ExecutionRecord, type Store } from './store/store.js';

/** What a pass over one agent has found and done. */
export interface AgentReport {
  agentId: string;
  /** Whether this host is connected to it. */
  isReached: boolean;
  /** Executions of which nobody knew how they ended. */
  open: number;
  /** Executions the agent runs that the store did not know. */
  adopted: string[];
  /** Executions that are presumed lost now. */
  lost: string[];
  /** Records that went, because the agent never accepted the execution or has long forgotten it. */
  forgotten: string[];
  /** Records that cannot be read. */
  unreadable: string[];
  /** What could not be done, and why. */
  failed: { executionId?: string; error: unknown }[];
  /** Something is left to do that another host is doing. */
  isLeftToAnother: boolean;
}

export interface ReconcilerOptions {
  readonly store: Store;
  readonly leases: AgentLeases;
  readonly limits: Limits;
  readonly lostAfterMs: number;
  /** Longer than a dispatch can be on its way. */
  readonly settledAfterMs: number;
  readonly onDone: (report: AgentReport) => void;
  readonly logger: Logger;
}

/** Executions an agent is asked about at the same time. */
const ASKED_AT_ONCE = 16;

/** Makes the store and the agents agree, one agent at a time, and one host at a time for each. */
export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #underWay = new Map<string, Promise<AgentReport>>();

  constructor(options: ReconcilerOptions) {
    this.#options = options;
  }

  /** A pass over one agent; one that is under way serves who asks meanwhile. Never rejects. */
  run(ledger: Ledger): Promise<AgentReport> {
    const { agentId } = ledger;
    const present = this.#underWay.get(agentId);
    if (present !== undefined) return present;
    const pass = this.#run(ledger).finally(() => this.#underWay.delete(agentId));
    this.#underWay.set(agentId, pass);
    return pass;
  }

  async #run(ledger: Ledger): Promise<AgentReport> {
    const { store, logger } = this.#options;
    const report = newReport(ledger);
    try {
      const { records, unreadable } = await store.openExecutions(ledger.agentId);
      report.unreadable = unreadable;
      for (const executionId of unreadable) {
        logger.error({ agentId: ledger.agentId, executionId }, 'the store has something that is no record');
      }
      const recorded = new Set(records.map(({ executionId }) => executionId));
      const open = [...records.map(openOf), ...ledger.executions.unrecorded(recorded, ledger.isReady)].filter(
        ({ executionId }) => !ledger.executions.isDispatching(executionId),
      );
      report.open = open.length;
      const actions = await this.#decide(ledger, open, report);
      await this.#apply(ledger, actions, {
        report,
        records: new Map(records.map((record) => [record.executionId, record])),
      });
    } catch (error) {
      logger.warn({ agentId: ledger.agentId, err: error }, 'the agent was not reconciled');
      report.failed.push({ error });
    }
    this.#options.onDone(report);
    return report;
  }

  /** What is to be done, after the agent was asked what has to be asked. */
  async #decide(ledger: Ledger, open: readonly OpenExecution[], report: AgentReport): Promise<ReconcileAction[]> {
    const { lostAfterMs, settledAfterMs } = this.#options;
    const answers = new Map<string, AgentAnswer>();
    const concluded = new Set<string>();
    const decide = async () => {
      const left = open.filter(({ executionId }) => !concluded.has(executionId));
      return reconcile(left, await this.#view(ledger, answers), Date.now(), { lostAfterMs, settledAfterMs });
    };
    const asked = (await decide()).filter((action) => action.do === 'ask').map(({ executionId }) => executionId);
    await inParallel(asked, ASKED_AT_ONCE, async (executionId) => {
      try {
        const answer = await ledger.ask(executionId);
        if (answer === 'unknown' && (await this.#isConcluded(ledger, executionId))) concluded.add(executionId);
        answers.set(executionId, answer);
      } catch (error) {
        report.failed.push({ executionId, error });
      }
    });
    return (await decide()).filter((action) => action.do !== 'ask');
  }

  async #view(ledger: Ledger, answers: ReadonlyMap<string, AgentAnswer>): Promise<AgentView> {
    const { journalId, agentId, unseenForMs } = ledger;
    if (ledger.isReady && journalId !== undefined) {
      const limits = this.#options.limits.ofAgent(agentId);
      return { isReached: true, journalId, listed: ledger.executions.listed(), answers, limits };
    }
    if (unseenForMs < this.#options.lostAfterMs) return { isReached: false, unseenForMs };
    // Another host may see what this one does not.
    const byAnyone = (await this.#options.store.unseenForMs(agentId)) ?? Infinity;
    return { isReached: false, unseenForMs: Math.min(unseenForMs, byAnyone) };
  }

  async #apply(
    ledger: Ledger,
    actions: readonly ReconcileAction[],
    { report, records }: { report: AgentReport; records: ReadonlyMap<string, ExecutionRecord> },
  ): Promise<void> {
    if (actions.length === 0) return;
    const applied = await this.#options.leases.run(ledger.agentId, async (fence) => {
      for (const action of actions) await this.#applyOne(ledger, action, { fence, report, records });
    });
    report.isLeftToAnother = applied === null;
  }

  async #applyOne(
    ledger: Ledger,
    action: ReconcileAction,
    context: { fence: number; report: AgentReport; records: ReadonlyMap<string, ExecutionRecord> },
  ): Promise<void> {
    const { fence, report, records } = context;
    const { store, limits, logger } = this.#options;
    const { agentId } = ledger;
    const executionId = 'execution' in action ? action.execution.executionId : action.executionId;
    const record = records.get(executionId);
    try {
      switch (action.do) {
        case 'ask':
          return;
        case 'tell':
          if (record?.conclusion !== undefined) ledger.presume(record.conclusion.outcome, record.conclusion.end);
          return;
        case 'adopt':
          if (!(await this.#adopt(ledger, executionId))) return;
          report.adopted.push(executionId);
          break;
        case 'relimit':
          if (record !== undefined) await this.#relimit(record);
          break;
        case 'lose': {
          // Another host may have reached it since this one looked.
          if (action.reason === 'agent_gone' && !(await this.#isStillUnseen(agentId))) return;
          const known = { ...action.execution, dispatchedAt: action.execution.createdAt };
          const attempts = ledger.executions.find(executionId)?.attempts ?? 0;
          const outcome = lostOutcome({ ...known, attempts }, action.reason, Date.now());
          await ledger.presumeUnder(fence, outcome, CURSOR_START);
          report.lost.push(executionId);
          break;
        }
        case 'forget':
          await store.forgetExecution({ executionId, agentId, createdAt: action.execution.createdAt }, fence);
          await limits.giveBack(executionId, record?.limits ?? []);
          ledger.forget(executionId);
          report.forgotten.push(executionId);
      }
      logger.info({ agentId, executionId, ...action }, `reconciled: ${action.do}`);
    } catch (error) {
      logger.warn({ agentId, executionId, err: error }, `not reconciled: ${action.do}`);
      report.failed.push({ executionId, error });
    }
  }

  /** @returns false: it is known already, as one that was presumed lost */
  async #adopt(ledger: Ledger, executionId: string): Promise<boolean> {
    const { store, limits } = this.#options;
    const { agentId, journalId } = ledger;
    const held = limits.ofAgent(agentId);
    const isKnown = (await store.getExecution(executionId))?.conclusion !== undefined;
    const record = { executionId, agentId, createdAt: Date.now(), limits: held, ...(journalId && { journalId }) };
    if (!isKnown) await store.putExecution(record, 'adopted');
    // It runs already, so there may be more than the limit for a while, and nothing new until there are not.
    await limits.takeAnyway(executionId, held);
    return !isKnown;
  }

  async #isStillUnseen(agentId: string): Promise<boolean> {
    const unseenForMs = (await this.#options.store.unseenForMs(agentId)) ?? Infinity;
    return unseenForMs >= this.#options.lostAfterMs;
  }

  async #relimit({ conclusion: _none, ...record }: ExecutionRecord): Promise<void> {
    const { store, limits } = this.#options;
    const held = limits.ofAgent(record.agentId);
    await limits.takeAnyway(record.executionId, held);
    await store.putExecution({ ...record, limits: held }, 'adopted');
    const left = (record.limits ?? []).filter((name) => !held.includes(name));
    await limits.giveBack(record.executionId, left);
  }

  /** What only this host still waits for may have been concluded by another one. */
  async #isConcluded(ledger: Ledger, executionId: string): Promise<boolean> {
    const record = await this.#options.store.getExecution(executionId);
    if (record?.conclusion === undefined) return false;
    ledger.executions.find(executionId)?.conclude(record.conclusion.outcome, record.conclusion.end);
    return true;
  }
}

function newReport({ agentId, isReady }: Ledger): AgentReport {
  const found = { agentId, isReached: isReady, open: 0, isLeftToAnother: false };
  return { ...found, adopted: [], lost: [], forgotten: [], unreadable: [], failed: [] };
}

function openOf({ executionId, createdAt, journalId, limits = [], conclusion }: ExecutionRecord): OpenExecution {
  return { executionId, createdAt, journalId, limits, isPresumedLost: conclusion !== undefined };
}

async function inParallel<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<void>): Promise<void> {
  // Taken from by all workers. Shifting a long array would move all the others each time.
  const waiting = items.values();
  const worker = async () => {
    for (const item of waiting) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
}
