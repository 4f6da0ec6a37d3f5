import { setTimeout as delay } from 'node:timers/promises';
import { type Logger } from 'pino';
import { monotonicMs } from './clock.js';
import { type Credentials } from './credentials/credentials.js';
import { type GatewayContext } from './gateway/context.js';
import { Gateway } from './gateway/gateway.js';
import { openProvider } from './gateway/provider.js';
import { type SidecarOptions } from './options/options.js';
import { type Meter } from './metrics/meter.js';
import { type CurrentRedactor } from './redaction.js';
import { type StateFolder } from './state/folder.js';
import { type Access, environmentAccess, gatewayAccess } from './supervision/access.js';

const OVERLOAD_BACKOFF = { overloadBackoffMs: 1000, overloadBackoffMaxMs: 16_000 };

/** How often a port that is taken is tried again. */
const REBIND_LOOK_MS = 100;

export interface OpenedAccess {
  readonly access: Access;
  /** Serves what runs ask for; called once what another sidecar has started is known. */
  begin(): void;
  close(): Promise<void>;
}

export interface AccessContext {
  /** Whether runs may live that call the gateway where it was. */
  readonly isAwaited: boolean;
  readonly state: StateFolder;
  readonly credentials: Credentials;
  readonly redactor: CurrentRedactor;
  readonly meter: Meter;
  readonly logger: Logger;
}

/** Opens the way by which runs reach their provider. */
export async function openAccess(
  options: SidecarOptions,
  { isAwaited, state, credentials, redactor, meter, logger }: AccessContext,
): Promise<OpenedAccess> {
  const provider = openProvider({
    url: options.upstream,
    options: { ...options, ...OVERLOAD_BACKOFF, allowedPaths: options.gatewayPath },
    credentials,
    redactor,
    meter,
    logger,
  });
  const { slot } = credentials;
  if (options.credentialMode === 'env') {
    const access = environmentAccess(slot, options.upstream);
    return { access, begin: () => undefined, close: () => provider.upstream.close() };
  }
  const gateway = await startGateway(provider, state, isAwaited ? options.gatewayRebindMs : 0);
  try {
    state.keepGatewayPort(gateway.port);
  } catch (error) {
    logger.warn({ err: error }, "the gateway's port cannot be kept; runs of now are lost with this process");
  }
  return {
    access: gatewayAccess(gateway, slot),
    begin: () => gateway.begin(),
    close: async () => {
      await gateway.close();
      await provider.upstream.close();
    },
  };
}

/** On the port of the last time, for which it waits a while: it is what runs of a sidecar that was killed still call. */
async function startGateway(provider: GatewayContext, state: StateFolder, rebindMs: number): Promise<Gateway> {
  const bodyFolder = state.bodiesPath;
  const port = state.gatewayPort;
  const until = monotonicMs() + rebindMs;
  for (let tries = 0; port !== null; tries++) {
    try {
      return await Gateway.start({ ...provider, port, bodyFolder });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      if (tries === 0) provider.logger.warn({ port, rebindMs }, "the gateway's port is taken");
      if (monotonicMs() >= until) break;
      await delay(REBIND_LOOK_MS);
    }
  }
  return Gateway.start({ ...provider, port: null, bodyFolder });
}
