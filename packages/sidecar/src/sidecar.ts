import { createHmac, randomUUID } from 'node:crypto';
import { type Credential, LIMITS, PROTOCOL_VERSIONS } from '@outrigger/protocol';
import { type Logger } from 'pino';
import { claudeVersion } from './claude/version.js';
import { latestStart } from './core/journal-state.js';
import { ExecutionJournal } from './journal/execution-journal.js';
import { fileTokens, fixedToken, type TokenSource } from './link/authenticate.js';
import { listen } from './link/server.js';
import { type WelcomeFactory } from './link/session.js';
import { Credentials } from './credentials/credentials.js';
import { type Generations } from './credentials/slot.js';
import { openAccess } from './open-access.js';
import { Opened } from './opened.js';
import { Metrics } from './metrics/metrics.js';
import { OptionError } from './options/option-error.js';
import { type SidecarOptions } from './options/options.js';
import { currentRedactor } from './redaction.js';
import { StateFolder } from './state/folder.js';
import { Supervisor } from './supervision/supervisor.js';
import { sweep } from './sweep.js';
import { type Marker } from './process/tree/marker.js';
import { probeMarkers } from './process/tree/tree.js';
import { StartError } from './start-error.js';
import { SIDECAR_VERSION } from './version.js';

/** What this sidecar can do that not every one of its version of the protocol can. */
const CAPABILITIES: readonly string[] = ['interactive'];

/** After the last outcome hosts get this long to acknowledge it before the sidecar stops. */
const LAST_ACK_MS = 2000;
const LAST_ACK_LOOK_MS = 20;

/** Where the doubling of the circuit breaker's cooldown ends. */
const BREAKER_COOLDOWN_MAX_MS = 15 * 60 * 1000;

/** A sidecar that takes connections. */
export interface Sidecar {
  /** Where hosts connect, e.g. `ws://127.0.0.1:7411`. */
  readonly url: string;
  /** The file with the control token, where the sidecar made it. */
  readonly tokenPath: string | null;
  /**
   * Admits nothing more, waits for what runs, cancels it (`drained`) after `timeoutMs`, then stops. Called again with
   * a shorter time it ends sooner. With 0 everything ends at once: no kill has a grace, not even one under way.
   */
  stop(timeoutMs: number): Promise<void>;
}

/** @throws OptionError when a token, the state folder, the gateway or the address cannot be used. */
export async function startSidecar(options: SidecarOptions, logger: Logger): Promise<Sidecar> {
  const opened = new Opened();
  try {
    return await start(options, logger, opened);
  } catch (error) {
    await opened.close();
    throw error;
  }
}

async function start(options: SidecarOptions, logger: Logger, opened: Opened): Promise<Sidecar> {
  const state = openState(options);
  opened.add(() => state.unlock());
  const journal = openJournal(state, logger);
  opened.add(() => journal.close());
  const tokens = openTokens(options, state, logger);
  const markers = openMarkers(options);
  const metrics = new Metrics();
  const { meter } = metrics;
  const credentials = new Credentials(options.credentialMode, options.credential, {
    generations: generationsOf(journal),
    fence: { highest: journal.state.fence, note: (fence) => journal.note({ is: 'fence', fence }) },
    onHoldEnded: (reason, afterMs) => meter.holdEnded(reason, afterMs),
  });
  credentials.on('notice', ({ type, ...notice }) => logger.info(notice, type.replaceAll('_', ' ')));
  const redactor = currentRedactor(() => [...credentials.slot.secrets, ...tokens.current()]);
  const isAwaited = hasRunsOfGateway(journal);
  const access = await openAccess(options, { isAwaited, state, credentials, redactor, meter, logger }).catch(
    (error: unknown) => {
      throw new OptionError(`the gateway cannot be opened: ${(error as Error).message}`);
    },
  );
  opened.add(() => access.close());
  const supervisor = new Supervisor({
    agentId: options.agentId,
    maxExecutions: options.maxExecutions,
    freeBytesMin: options.freeBytesMin,
    retention: { logBytesMax: options.logBytesMax, acknowledgedMs: options.outcomeRetentionMs },
    command: options.claude,
    passedVariables: options.passEnv,
    credentials,
    access: access.access,
    state,
    journal,
    markers,
    runUser: options.runAs,
    breaker: {
      failures: options.breakerFailures,
      youngMs: options.breakerYoungMs,
      cooldownMs: options.breakerCooldownMs,
      cooldownMaxMs: Math.max(BREAKER_COOLDOWN_MAX_MS, options.breakerCooldownMs),
    },
    redactor,
    meter,
    logger,
  });
  await supervisor.recover(() => sweep({ state, markers, supervisor, logger }));
  access.begin();

  const bootId = randomUUID();
  let cliVersion: string | null = null;
  const welcome: WelcomeFactory = (refused) => ({
    type: 'welcome',
    version: PROTOCOL_VERSIONS[0] ?? 1,
    agentId: options.agentId,
    journalId: journal.journalId,
    bootId,
    sidecarVersion: SIDECAR_VERSION,
    claudeVersion: cliVersion,
    capabilities: [...CAPABILITIES],
    killMethods: markers.map((marker) => marker.name),
    isolation: options.runAs === null ? 'none' : 'uid',
    limits: { ...LIMITS },
    ...credentials.identity,
    counts: supervisor.counts(),
    ...supervisor.obstacles,
    refused,
  });

  const link = await listen({
    listen: options.listen,
    tokens,
    allowedOrigins: options.allowOrigin,
    tls: options.tls,
    supervisor,
    credentials,
    welcome,
    redactor,
    meter,
    metrics: options.metrics === 'on' ? metrics : null,
    logger,
  }).catch((error: unknown) => {
    const { code, message } = error as NodeJS.ErrnoException;
    const address = `--listen ${options.listen.host}:${options.listen.port}`;
    if (code !== 'EADDRINUSE') throw new OptionError(`${address}: ${message}`);
    throw new StartError(`${address}: the port is taken (EADDRINUSE); give another one, or 0 for any that is free`);
  });
  opened.add(() => link.close());
  metrics.watch({ supervisor, credentials, journal, state, link, identity: () => welcome([]) });
  void claudeVersion(options.claude)
    .catch(() => null)
    .then((version) => {
      cliVersion = version;
      if (version === null)
        logger.warn({ claude: options.claude }, '--claude does not say its version; can it be started?');
    });

  let stopped: Promise<void> | null = null;
  return {
    url: link.url,
    tokenPath: options.token === null ? state.tokenPath : null,
    stop: (timeoutMs) => {
      const idle = supervisor.stop(timeoutMs);
      stopped ??= (async () => {
        await idle;
        await lastAcknowledgements(supervisor);
        await opened.close();
      })();
      return stopped;
    },
  };
}

function openState({ stateDir: path, runAs }: SidecarOptions): StateFolder {
  try {
    return new StateFolder(path, runAs);
  } catch (error) {
    throw new OptionError(`--state-dir ${path}: ${(error as Error).message}`);
  }
}

/** Credentials are known again by a hash that is of no use elsewhere; they are too long to be guessed from it. */
function generationsOf(journal: ExecutionJournal): Generations {
  const nameOf = ({ secret }: Credential) => createHmac('sha256', journal.journalId).update(secret).digest('base64');
  const last = journal.state.generation;
  return {
    last: last?.number ?? 0,
    isLast: (credential) => last?.credential === nameOf(credential),
    note: (generation, credential) => journal.note({ is: 'generation', generation, credential: nameOf(credential) }),
  };
}

function openJournal(state: StateFolder, logger: Logger): ExecutionJournal {
  try {
    return ExecutionJournal.open(state.journalPath, { logger });
  } catch (error) {
    throw new OptionError(`--state-dir ${state.path}: ${(error as Error).message}`);
  }
}

function openTokens(options: SidecarOptions, state: StateFolder, logger: Logger): TokenSource {
  const { token } = options;
  const name = token === null ? state.tokenPath : 'path' in token ? `--token-file ${token.path}` : 'OUTRIGGER_TOKEN';
  try {
    if (token !== null && 'value' in token) return fixedToken(token.value);
    if (token === null) state.ensureToken();
    const path = token === null ? state.tokenPath : token.path;
    return fileTokens(path, {
      onBad: (error) => logger.error({ err: error }, 'control tokens cannot be read again'),
      onGoodAgain: () => logger.info('control tokens can be read again'),
    });
  } catch (error) {
    throw new OptionError(`${name}: ${(error as Error).message}`);
  }
}

function openMarkers(options: SidecarOptions): Marker[] {
  const markers = probeMarkers(options.killMethod);
  if (markers.length > 0) return markers;
  throw new OptionError(`--kill-method ${options.killMethod}: this machine does not offer it`);
}

/** Whether a run may live that calls the gateway of the last time. */
function hasRunsOfGateway({ state, isOfThisBoot }: ExecutionJournal): boolean {
  const unfinished = [...state.executions.values()].filter(({ outcome }) => outcome === null);
  return isOfThisBoot && unfinished.some((execution) => latestStart(execution)?.placeholderHash != null);
}

async function lastAcknowledgements(supervisor: Supervisor): Promise<void> {
  const until = performance.now() + LAST_ACK_MS;
  while (supervisor.hasHosts && supervisor.counts().unacknowledged > 0 && performance.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, LAST_ACK_LOOK_MS));
  }
}
