import { type Logger, pino } from 'pino';
import { forgetSecrets, harden, type Hardening } from './hardening.js';
import { LogOutput } from './log-output.js';
import { OptionError } from './options/option-error.js';
import { helpText, readOptions, type SidecarOptions } from './options/options.js';
import { type Sidecar, startSidecar } from './sidecar.js';
import { StartError } from './start-error.js';
import { SIDECAR_VERSION } from './version.js';

const EXIT_BAD_OPTION = 2;

async function main(): Promise<void> {
  const hardening = harden();
  const options = readOptions(process.argv.slice(2), process.env);
  forgetSecrets(process.env);
  if (options === 'help') console.log(helpText());
  else if (options === 'version') console.log(SIDECAR_VERSION);
  else await run(options, hardening);
}

async function run(options: SidecarOptions, { coreDumps, warnings }: Hardening): Promise<void> {
  const output = new LogOutput(process.stderr, (lines) =>
    logger.warn({ lines }, 'log lines were dropped: they were not read in time'),
  );
  const logger = pino({ level: options.logLevel, base: { agentId: options.agentId } }, output);
  const starting = startSidecar(options, logger);
  stopOnSignals(starting, { logger, output, drainTimeoutMs: options.drainTimeoutMs });
  const sidecar = await starting;
  [...warnings, ...options.warnings].forEach((warning) => logger.warn(warning));
  logger.debug({ coreDumps }, 'hardened');
  const token = sidecar.tokenPath === null ? '' : ` token-file=${sidecar.tokenPath}`;
  logger.info({ version: SIDECAR_VERSION, url: sidecar.url, stateDir: options.stateDir }, 'ready');
  console.log(`outrigger-sidecar ready: ${sidecar.url} agent=${options.agentId}${token}`);
}

/** A signal that comes while it still starts is heeded once it has: what it takes over is to be ended as asked for. */
function stopOnSignals(
  starting: Promise<Sidecar>,
  { logger, output, drainTimeoutMs }: { logger: Logger; output: LogOutput; drainTimeoutMs: number },
): void {
  let isStopping = false;
  const onSignal = (signal: string) => {
    const timeoutMs = isStopping ? 0 : drainTimeoutMs;
    logger.info({ signal, timeoutMs }, isStopping ? 'ending every run' : 'draining');
    isStopping = true;
    starting
      .then((sidecar) => sidecar.stop(timeoutMs))
      .then(() => logger.info('stopped'))
      .then(() => output.flush())
      .then(() => process.exit(0))
      // Why it did not start is told by whoever has started it.
      .catch(() => undefined);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  process.on('SIGHUP', onSignal);
  process.on('SIGUSR1', () => logger.warn('SIGUSR1 does not open the inspector; start Node with --inspect for that'));
}

main().catch((error: unknown) => {
  console.error(`outrigger-sidecar: ${describe(error)}`);
  process.exit(error instanceof OptionError ? EXIT_BAD_OPTION : 1);
});

function describe(error: unknown): string {
  if (error instanceof OptionError) return `${error.message}; see --help`;
  if (error instanceof StartError) return error.message;
  return (error as Error).stack ?? String(error);
}
