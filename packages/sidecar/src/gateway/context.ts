import { type Logger } from 'pino';
import { type Holds } from '../credentials/holds.js';
import { type CredentialSlot } from '../credentials/slot.js';
import { type Meter } from '../metrics/meter.js';
import { type CurrentRedactor } from '../redaction.js';
import { type Upstream } from './upstream.js';
import { type Witness } from './witness.js';

/** How the gateway deals with the provider. Durations in milliseconds. */
export interface GatewayOptions {
  /** Paths that are sent on besides those Claude Code needs. */
  readonly allowedPaths: readonly string[];
  readonly firstByteTimeoutMs: number;
  /** Silence within an answer after which it is cut, so that the CLI tries again. */
  readonly upstreamIdleTimeoutMs: number;
  /** How long a client that waits may hear nothing. */
  readonly holdSilentMs: number;
  /** The longest wait a provider may ask for before its answer counts as a refusal. */
  readonly retryAfterMaxMs: number;
  /** How often a request waits in place before the CLI is told. */
  readonly waitsMax: number;
  readonly overloadBackoffMs: number;
  readonly overloadBackoffMaxMs: number;
  /** Whether answers beyond what the credential includes are taken. */
  readonly overage: 'allow' | 'avoid';
}

/** What every request of one gateway is dealt with by. */
export interface GatewayContext {
  readonly options: GatewayOptions;
  readonly slot: CredentialSlot;
  readonly holds: Holds;
  readonly upstream: Upstream;
  readonly witness: Witness;
  readonly redactor: CurrentRedactor;
  readonly meter: Meter;
  readonly logger: Logger;
}
