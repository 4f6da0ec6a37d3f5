import {
  CLOSE_CODES,
  closeMeaning,
  type OutriggerError,
  PROTOCOL_VERSIONS,
  type SidecarFrame,
  type Welcome,
} from '@outrigger/protocol';
import { sdkError } from '../errors.js';

const ADVICE_ON_STATUS: Readonly<Record<number, string>> = {
  404: 'the protocol is served at /, so leave the path out of the URL',
  429: 'too many attempts have failed from here; wait some seconds',
};

/** Names the far side of a connection in the errors it is the cause of. Never by its URL, which may hold a secret. */
export class Peer {
  readonly #agentId: string | undefined;
  readonly #name: string;

  constructor({ agentId, url }: { agentId: string | undefined; url: string }) {
    const { host } = new URL(url);
    this.#agentId = agentId;
    this.#name = agentId === undefined ? host : `agent ${agentId} at ${host}`;
  }

  unreachable(what: string, cause?: unknown): OutriggerError {
    if (what.includes('EPROTO')) what = 'it does not speak TLS; is its URL ws: and not wss:?';
    return sdkError('agent_unreachable', `${this.#name} cannot be reached: ${what}`, { cause });
  }

  broken(what: string): OutriggerError {
    return sdkError('protocol_error', `${this.#name} broke the protocol: ${what}`);
  }

  /** It answered the upgrade with an HTTP status. */
  refused(status: number): OutriggerError {
    if (status === 401) {
      return sdkError('unauthorized', `${this.#name} refused the control token; check that it is the agent's own`);
    }
    const advice = ADVICE_ON_STATUS[status] ?? 'look into its log';
    return sdkError('agent_unreachable', `${this.#name} answered with HTTP ${status}: ${advice}`);
  }

  /** It says what is wrong before it closes. */
  complained({ code, message }: SidecarFrame<'error'>): OutriggerError {
    const isVersion = code === 'unsupported_version';
    return sdkError(isVersion ? code : 'protocol_error', `${this.#name} closes the connection: ${code}: ${message}`);
  }

  closed(code: number): OutriggerError {
    if (code === CLOSE_CODES.unsupportedVersion.code) {
      return sdkError('unsupported_version', `${this.#name} speaks none of versions ${PROTOCOL_VERSIONS.join(', ')}`);
    }
    const meaning = closeMeaning(code)?.meaning ?? 'the connection broke';
    return this.unreachable(`closed the connection with code ${code}: ${meaning}`);
  }

  /** What is wrong with its welcome, or null. */
  findWelcomeFault({ version, agentId: actual }: Welcome): OutriggerError | null {
    const expected = this.#agentId;
    if (!PROTOCOL_VERSIONS.includes(version)) {
      return sdkError('unsupported_version', `${this.#name} chose version ${version}, which was not offered`);
    }
    if (expected === undefined || expected === actual) return null;
    const message = `${this.#name} is agent ${actual}, not ${expected}; nothing was reconciled`;
    return sdkError('agent_mismatch', message, { data: { expected, actual } });
  }
}
