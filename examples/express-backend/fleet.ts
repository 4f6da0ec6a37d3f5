import { setTimeout as sleep } from 'node:timers/promises';
import { createFleet, type Fleet, type FleetEvents, type FleetOptions, OutriggerError } from '@outrigger/sdk';
import { redisStore } from '@outrigger/sdk/redis';
import { type Logger } from 'pino';
import { type AgentConfig, type Config, ConfigError } from './config.js';
import { type Outcomes } from './outcomes.js';

const RETRY_MS = { first: 250, max: 30_000 };

/** What no other try makes better. */
const MISCONFIGURED = ['invalid', 'insecure_url'];

/** What somebody may have to look at, and how urgently. None of it holds a secret. */
const LOGGED = {
  agentUnreachable: 'warn',
  agentBack: 'info',
  credentialSwitched: 'info',
  credentialExpiring: 'warn',
  credentialsExhausted: 'error',
  circuitOpened: 'warn',
  circuitClosed: 'info',
  outcomeCorrected: 'warn',
  outcomeHandlerFailed: 'error',
  splitStore: 'error',
} as const satisfies Partial<Record<keyof FleetEvents, 'info' | 'warn' | 'error'>>;

export interface RunningFleet {
  readonly fleet: Fleet;
  /** Ids of the agents that can be reached now. */
  readonly reachable: ReadonlySet<string>;
  /** Rejects with what is wrong with the configuration; resolves once every agent was reached, or at the end. */
  readonly connecting: Promise<unknown>;
}

/** @throws ConfigError */
export function startFleet(config: Config, outcomes: Outcomes, logger: Logger, stopping: AbortSignal): RunningFleet {
  const fleet = create({
    credentials: config.credentials,
    store: redisStore({ url: config.redisUrl, logger }),
    clientName: 'express-backend',
    logger,
    // Of every task, whichever process has dispatched it. Its agent keeps the outcome until this has resolved.
    onOutcome: async (outcome) => {
      await outcomes.put(outcome);
      const { executionId: id, status, reason } = outcome;
      logger.info({ id, status, reason }, 'outcome stored');
    },
  });
  const reachable = new Set<string>();
  fleet.on('agentUnreachable', ({ agentId }) => reachable.delete(agentId));
  fleet.on('agentBack', ({ agentId }) => reachable.add(agentId));
  logEvents(fleet, logger);
  const connecting = Promise.all(
    config.agents.map(async (agent) => {
      if (await keepConnecting(fleet, agent, logger, stopping)) reachable.add(agent.id);
    }),
  );
  return { fleet, reachable, connecting };
}

/** Everything else was checked before. */
function create(options: FleetOptions): Fleet {
  try {
    return createFleet(options);
  } catch (error) {
    throw new ConfigError(`CREDENTIALS_FILE: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/**
 * Connects to an agent, however long it takes until it is there for the first time; from then on the fleet looks after the
 * connection. The other agents serve meanwhile.
 *
 * @returns whether it is connected; not if `stopping` came first
 */
async function keepConnecting(
  fleet: Fleet,
  agent: AgentConfig,
  logger: Logger,
  stopping: AbortSignal,
): Promise<boolean> {
  for (let failures = 0; !stopping.aborted; failures++) {
    try {
      await fleet.connect(agent);
      logger.info({ agentId: agent.id }, 'agent connected');
      return true;
    } catch (error) {
      if (!(error instanceof OutriggerError)) throw error;
      if (MISCONFIGURED.includes(error.code)) throw new ConfigError(`OUTRIGGER_AGENTS: ${agent.id}: ${error.message}`);
      if (error.code === 'fleet_closed') return false;
      const delayMs = Math.min(RETRY_MS.max, RETRY_MS.first * 2 ** failures) * (0.5 + Math.random() / 2);
      logger.warn({ agentId: agent.id, code: error.code, delayMs }, 'agent cannot be reached yet');
      await sleep(delayMs, undefined, { signal: stopping }).catch(() => undefined);
    }
  }
  return false;
}

function logEvents(fleet: Fleet, logger: Logger): void {
  for (const [name, level] of Object.entries(LOGGED)) {
    const log = (event: FleetEvents[keyof typeof LOGGED][0]) => {
      const { error: err, ...rest } = { error: undefined, ...event };
      logger[level]({ ...rest, ...(err !== undefined && { err }) }, name);
    };
    fleet.on(name as keyof typeof LOGGED, log);
  }
}
