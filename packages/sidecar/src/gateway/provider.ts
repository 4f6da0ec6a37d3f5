import { type Logger } from 'pino';
import { type Credentials } from '../credentials/credentials.js';
import { type Meter } from '../metrics/meter.js';
import { type CurrentRedactor } from '../redaction.js';
import { type GatewayContext, type GatewayOptions } from './context.js';
import { Preflights } from './preflight.js';
import { Upstream } from './upstream.js';
import { Witness } from './witness.js';

/** Where Claude Code goes by itself. */
const PROVIDER_URL = 'https://api.anthropic.com';

export interface ProviderInit {
  readonly url: string | null;
  readonly options: GatewayOptions;
  readonly credentials: Credentials;
  readonly redactor: CurrentRedactor;
  readonly meter: Meter;
  readonly logger: Logger;
}

/** The way to the provider, with what its answers show of the agent's credential. */
export function openProvider({ url, options, credentials, redactor, meter, logger }: ProviderInit): GatewayContext {
  const { firstByteTimeoutMs } = options;
  const context: GatewayContext = {
    options,
    slot: credentials.slot,
    holds: credentials.holds,
    upstream: new Upstream({ url: url ?? PROVIDER_URL, firstByteTimeoutMs, environment: process.env }),
    witness: new Witness((notice) => credentials.emit('notice', notice)),
    redactor,
    meter,
    logger,
  };
  const preflights = new Preflights(context);
  credentials.onPreflight((maxAgeMs) => preflights.ask(maxAgeMs));
  return context;
}
