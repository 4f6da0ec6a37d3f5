import { type EventEmitter } from 'node:events';
import { Cluster, type ClusterNode, Redis, type RedisOptions } from 'ioredis';
import { sdkError } from '../../errors.js';
import { type Logger } from '../../logger.js';
import { type ScriptName, SCRIPTS } from './scripts.js';

/** Where Redis is, and how it is asked. */
export interface RedisClientOptions {
  /** One server, e.g. `redis://127.0.0.1:6379/0`, or some nodes of a cluster. */
  readonly url: string | readonly string[];
  /** Further options of ioredis, such as `tls` or `password`. */
  readonly redis: RedisOptions;
  readonly deadlineMs: number;
  readonly logger: Logger;
  /**
   * Whether what was asked may be carried out after its caller has given up: it is in a queue while the connection is down, and
   * sent again by the next one. Otherwise it is asked once there is a connection, and fails with that.
   */
  readonly isPatient: boolean;
}

/** How long a polite end may take. */
const QUIT_MS = 1000;

/** A connection to Redis on which every call has a deadline. */
export class RedisClient {
  readonly #client: Redis | Cluster;
  readonly #deadlineMs: number;
  readonly #isPatient: boolean;

  constructor({ url, redis, deadlineMs, logger, isPatient }: RedisClientOptions) {
    this.#deadlineMs = deadlineMs;
    this.#isPatient = isPatient;
    const common = {
      enableOfflineQueue: isPatient,
      autoResendUnfulfilledCommands: isPatient,
      maxRetriesPerRequest: isPatient ? null : 0,
    };
    const options: RedisOptions = { ...redis, ...common, connectTimeout: deadlineMs };
    if (typeof url === 'string') this.#client = new Redis(url, options);
    else {
      const { enableOfflineQueue } = common;
      this.#client = new Cluster(url.map(readNode), { enableOfflineQueue, redisOptions: options });
    }
    for (const [name, { lua, numberOfKeys }] of Object.entries(SCRIPTS)) {
      this.#client.defineCommand(name, { lua, numberOfKeys });
    }
    // The caller of each command is told; here it is for the log.
    this.#client.on('error', (error: Error) => logger.warn({ err: withoutCommand(error) }, 'redis connection'));
  }

  /** @throws `store_unavailable` */
  async run(name: ScriptName, keys: readonly string[], args: readonly (string | number)[] = []): Promise<unknown> {
    const commands = this.#client as unknown as Record<ScriptName, (...args: unknown[]) => Promise<unknown>>;
    return this.call(() => commands[name](...keys, ...args));
  }

  /** @throws `store_unavailable` */
  async call<T>(ask: (client: Redis | Cluster) => Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const over = new AbortController();
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${this.#deadlineMs} ms`)), this.#deadlineMs);
    });
    try {
      if (!this.#isPatient) await Promise.race([this.#connected(over.signal), late]);
      return await Promise.race([ask(this.#client), late]);
    } catch (error) {
      const { message } = error as Error;
      throw sdkError('store_unavailable', `redis: ${message}`, { cause: withoutCommand(error) });
    } finally {
      clearTimeout(timer);
      over.abort();
    }
  }

  /** Resolves when there is a connection; never after `signal`. */
  async #connected(signal: AbortSignal): Promise<void> {
    const client: EventEmitter = this.#client;
    if (this.#client.status === 'ready') return;
    await new Promise<void>((resolve) => {
      const onReady = () => resolve();
      client.once('ready', onReady);
      signal.addEventListener('abort', () => client.off('ready', onReady));
    });
  }

  async close(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, QUIT_MS)));
    await Promise.race([this.#client.quit().catch(() => undefined), late]);
    clearTimeout(timer);
    this.#client.disconnect();
  }
}

/** What ioredis rejects with carries the command and its arguments, which for AUTH are the password. */
function withoutCommand(error: unknown): unknown {
  for (let each = error; each instanceof Error; each = (each as { lastNodeError?: unknown }).lastNodeError) {
    delete (each as { command?: unknown }).command;
  }
  return error;
}

function readNode(url: string): ClusterNode {
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port === '' ? 6379 : port) };
}
