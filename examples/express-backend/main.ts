/**
 * An HTTP backend for tasks on several agents. Any number of its processes share one Redis: each knows every task, and takes
 * over what another one that died has left.
 *
 *     REDIS_URL=redis://127.0.0.1:6379 OUTRIGGER_AGENTS=one=ws://127.0.0.1:7411 OUTRIGGER_TOKEN=… \
 *       CREDENTIALS_FILE=credentials.json npx tsx --tsconfig tsconfig.run.json examples/express-backend/main.ts
 */
import { once, setMaxListeners } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Logger, pino } from 'pino';
import { createApp } from './app.js';
import { type Config, ConfigError, readConfig } from './config.js';
import { startFleet } from './fleet.js';
import { openOutcomes } from './outcomes.js';

/** For how long requests that are under way may go on once the door is closed. */
const GRACE_MS = 5000;

async function serve(config: Config, logger: Logger): Promise<void> {
  const stopping = new AbortController();
  setMaxListeners(0, stopping.signal); // one for each stream
  let isStopping = false;

  const outcomes = openOutcomes(config.redisUrl, logger);
  const { fleet, reachable, connecting } = startFleet(config, outcomes, logger, stopping.signal);
  connecting.catch(refuseToRun);
  const isReady = () => !isStopping && reachable.size > 0;
  const { heartbeatMs } = config;
  const app = createApp({ fleet, outcomes, logger, isReady, heartbeatMs, stopping: stopping.signal });
  const server = createServer((request, response) => void app(request, response)).listen(config.port, config.host);
  await once(server, 'listening').catch((cause: unknown) => {
    throw new ConfigError(`PORT: cannot listen on ${config.host}:${config.port}`, { cause });
  });
  logger.info({ port: (server.address() as AddressInfo).port }, 'listening');

  // The same signal again ends it at once. Tasks go on at their agents either way.
  await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
  logger.info('stopping');
  isStopping = true;
  await sleep(config.shutdownDelayMs);
  const closed = once(server, 'close');
  server.close();
  stopping.abort();
  const timer = setTimeout(() => server.closeAllConnections(), GRACE_MS);
  await closed;
  clearTimeout(timer);
  await fleet.close(); // lets an outcome that is being stored be stored
  outcomes.close();
  logger.info('stopped');
}

/** Says in one line what is wrong with the configuration. */
function refuseToRun(error: unknown): void {
  if (!(error instanceof ConfigError)) throw error;
  process.stderr.write(`express-backend: ${error.message}\n`);
  process.exit(2);
}

try {
  await serve(readConfig(process.env), pino({ name: 'express-backend' }));
} catch (error) {
  refuseToRun(error);
}
