import { type Logger } from 'pino';
import { type Credentials } from './credentials/credentials.js';
import { type GatewayContext } from './gateway/context.js';
import { Gateway } from './gateway/gateway.js';
import { openProvider } from './gateway/provider.js';
import { type SidecarOptions } from './options/options.js';
import { type CurrentRedactor } from './redaction.js';
import { type StateFolder } from './state/folder.js';
import { type Access, environmentAccess, gatewayAccess } from './supervision/access.js';

const OVERLOAD_BACKOFF = { overloadBackoffMs: 1000, overloadBackoffMaxMs: 16_000 };

export interface AccessContext {
  readonly state: StateFolder;
  readonly credentials: Credentials;
  readonly redactor: CurrentRedactor;
  readonly logger: Logger;
}

/** Opens the way by which runs reach their provider. @throws Error `EADDRINUSE` when the gateway's port is taken */
export async function openAccess(
  options: SidecarOptions,
  { state, credentials, redactor, logger }: AccessContext,
): Promise<{ access: Access; closeAccess: () => Promise<void> }> {
  const provider = openProvider({
    url: options.upstream,
    options: { ...options, ...OVERLOAD_BACKOFF, allowedPaths: options.gatewayPath },
    credentials,
    redactor,
    logger,
  });
  const { slot } = credentials;
  if (options.credentialMode === 'env') {
    return { access: environmentAccess(slot, options.upstream), closeAccess: () => provider.upstream.close() };
  }
  const gateway = await startGateway(provider, state);
  return {
    access: gatewayAccess(gateway, slot),
    closeAccess: async () => {
      await gateway.close();
      await provider.upstream.close();
    },
  };
}

/** On the port of the last time where that is free: it is what runs of a sidecar that was restarted still call. */
async function startGateway(provider: GatewayContext, state: StateFolder): Promise<Gateway> {
  const bodyFolder = state.bodiesPath;
  const port = state.gatewayPort;
  const gateway = await Gateway.start({ ...provider, port, bodyFolder }).catch((error: unknown) => {
    if (port === null || (error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    provider.logger.warn({ port }, "the gateway's port is taken; taking another one");
    return Gateway.start({ ...provider, port: null, bodyFolder });
  });
  state.keepGatewayPort(gateway.port);
  return gateway;
}
