import { type Outcome, OutriggerError } from '@outrigger/sdk';
import { Redis } from 'ioredis';
import { type Logger } from 'pino';

const KEPT_S = 7 * 24 * 60 * 60;

/** Beyond this a client has given up as well. */
const ANSWERED_WITHIN_MS = 5000;

/** How tasks ended, for every process of the backend. A database of yours would have the same two methods. */
export interface Outcomes {
  /** Resolves once it is stored. Again changes nothing; one that was corrected takes the place of the first. @throws `store_unavailable` */
  put(outcome: Outcome): Promise<void>;
  /** @throws `store_unavailable` */
  get(id: string): Promise<Outcome | null>;
  close(): void;
}

export function openOutcomes(redisUrl: string, logger: Logger): Outcomes {
  const redis = new Redis(redisUrl, { commandTimeout: ANSWERED_WITHIN_MS, maxRetriesPerRequest: null });
  // Its message alone: ioredis hangs the command on an error, and that of AUTH has the password.
  redis.on('error', ({ message }) => logger.warn({ reason: message }, 'redis cannot be reached'));
  const key = (id: string) => `backend:outcome:${id}`;
  return {
    async put(outcome) {
      await redis.set(key(outcome.executionId), JSON.stringify(outcome), 'EX', KEPT_S).catch(refuse);
    },
    async get(id) {
      const text = await redis.get(key(id)).catch(refuse);
      return text === null ? null : (JSON.parse(text) as Outcome);
    },
    close: () => redis.disconnect(),
  };
}

function refuse(error: Error): never {
  throw new OutriggerError('store_unavailable', `Redis: ${error.message}`);
}
