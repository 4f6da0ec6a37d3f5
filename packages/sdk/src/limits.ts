import { sdkError } from './errors.js';
import { type Logger } from './logger.js';
import { type Store } from './store/store.js';

/** How many executions there may be at the same time. */
export interface FleetLimits {
  /** On all agents together, counted over every host of the fleet. @default no limit */
  maxExecutions?: number;
}

/** A limit by name, and how many permits there are. */
interface Limit {
  readonly name: string;
  readonly max: number;
}

const FLEET = 'fleet';

/** A permit that is younger than this may be of a dispatch whose record is just being written. */
const FRESH_MS = 60_000;

export interface LimitsOptions {
  readonly store: Store;
  readonly fleet: FleetLimits;
  /** The credential in force on an agent and how many executions may use it; null: there is none, or no limit. */
  readonly ofCredential: (agentId: string) => { id: string; max: number } | null;
  /** Whether an agent has told of an execution that has not ended. */
  readonly isRunning: (executionId: string) => boolean;
  /** Ids of the credentials that have a limit. */
  readonly credentials: () => readonly string[];
  readonly logger: Logger;
}

/**
 * Limits over all hosts. Each execution holds a permit of each limit it counts for, by its id, from before it is dispatched
 * until after its outcome is stored. So there may be too few at times, and never too many.
 */
export class Limits {
  readonly #options: LimitsOptions;

  constructor(options: LimitsOptions) {
    this.#options = options;
  }

  /** Names of the limits that an execution on this agent counts for now. */
  ofAgent(agentId: string): string[] {
    return this.#limits(agentId).map(({ name }) => name);
  }

  /** @throws `limit_reached` with `data.limit`, after everything was given back */
  async take(executionId: string, agentId: string): Promise<void> {
    const taken: string[] = [];
    for (const { name, max } of this.#limits(agentId)) {
      if (await this.#options.store.takePermit(name, executionId, max)) {
        taken.push(name);
        continue;
      }
      await this.giveBack(executionId, taken);
      throw sdkError('limit_reached', `${max} executions count for the limit "${name}" already`, {
        data: { limit: name, max },
      });
    }
  }

  async takeAnyway(executionId: string, names: readonly string[]): Promise<void> {
    for (const name of names) await this.#options.store.takePermit(name, executionId, Number.MAX_SAFE_INTEGER);
  }

  /** What could not be given back now is swept later. */
  async giveBack(executionId: string, names: readonly string[]): Promise<void> {
    for (const name of names) {
      try {
        await this.#options.store.returnPermit(name, executionId);
      } catch (error) {
        this.#options.logger.warn({ executionId, limit: name, err: error }, 'a permit was not given back');
      }
    }
  }

  /** Gives back what is held by executions that have ended, or were never known. @returns how many there were */
  async sweep(): Promise<number> {
    const { store, logger, credentials, isRunning } = this.#options;
    let swept = 0;
    for (const name of [FLEET, ...credentials().map(nameOf)]) {
      for (const { executionId, heldForMs } of await store.permits(name)) {
        if (heldForMs < FRESH_MS) continue;
        const record = await store.getExecution(executionId);
        if (record !== undefined && record.conclusion === undefined) continue;
        // What was presumed lost and is back holds its permits again.
        if (record?.conclusion?.outcome.status === 'lost' && isRunning(executionId)) continue;
        await store.returnPermit(name, executionId);
        logger.info({ executionId, limit: name }, 'a permit was left behind, and is given back');
        swept += 1;
      }
    }
    return swept;
  }

  #limits(agentId: string): Limit[] {
    const { maxExecutions } = this.#options.fleet;
    const credential = this.#options.ofCredential(agentId);
    return [
      ...(maxExecutions === undefined ? [] : [{ name: FLEET, max: maxExecutions }]),
      ...(credential === null ? [] : [{ name: nameOf(credential.id), max: credential.max }]),
    ];
  }
}

function nameOf(credentialId: string): string {
  return `credential.${credentialId}`;
}
