import { type OutriggerError } from '@outrigger/protocol';
import { sdkError } from '../errors.js';

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;
const SECRET_NAME = /token|secret|auth|key|password/i;

/**
 * Why a URL must not be connected to, or `null`.
 *
 * The control token goes into a header of the upgrade, and a swap into a frame: `ws:` would send both in the clear, and a
 * secret within the URL ends up in the logs of every proxy. Messages name the host alone, as the URL may hold a secret.
 */
export function findAddressFault(url: string, { insecure }: { insecure: boolean }): OutriggerError | null {
  if (!URL.canParse(url)) return sdkError('invalid', 'url: not a URL; expected wss://host:port');
  const { protocol, hostname, host, username, password, searchParams } = new URL(url);
  if (protocol !== 'ws:' && protocol !== 'wss:') {
    return sdkError('invalid', `url: scheme "${protocol}" of ${host} is neither wss: nor ws:`);
  }
  if (username !== '' || password !== '' || [...searchParams.keys()].some((name) => SECRET_NAME.test(name))) {
    return sdkError('insecure_url', `the URL of ${host} carries a secret; pass it as \`token\` instead`);
  }
  if (protocol === 'ws:' && !LOOPBACK.test(hostname) && !insecure) {
    return sdkError(
      'insecure_url',
      `ws://${host} would send the token and every credential in the clear; use wss:, or \`insecure: true\` on a network that nobody else can read`,
    );
  }
  return null;
}
