import { once } from 'node:events';
import { type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { LIMITS, SUBPROTOCOL } from '@outrigger/protocol';
import { WebSocket } from 'ws';
import { ANSWER_MS_MAX, RETRIES_MAX } from './limits.js';

/** Where the sidecar is, and what it wants to see. */
export interface ConformanceTarget {
  /** `wss://host:port`, or `ws://` on loopback. */
  readonly url: string;
  /** The control token. */
  readonly token: string;
  /** Certificate authorities to trust besides the usual ones, as PEM. */
  readonly ca?: string | undefined;
  /** Allows `ws:` off loopback, which sends the control token in the clear. @default false */
  readonly insecure?: boolean | undefined;
}

/** What is unusual about an upgrade. */
export interface Upgrade {
  readonly path?: string;
  /** null: none. @default the right one */
  readonly token?: string | null;
  readonly subprotocols?: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
}

function openSocket(target: ConformanceTarget, upgrade: Upgrade = {}): WebSocket {
  const { path = '/', token = target.token, subprotocols = [SUBPROTOCOL], headers } = upgrade;
  const socket = new WebSocket(new URL(path, target.url), [...subprotocols], {
    headers: { ...(token === null ? {} : { authorization: `Bearer ${token}` }), ...headers },
    ca: target.ca,
    maxPayload: LIMITS.frameBytesMax,
    // Offered, so that a sidecar that negotiates it can be told.
    perMessageDeflate: true,
    handshakeTimeout: ANSWER_MS_MAX,
  });
  // What breaks a connection is told by its close.
  return socket.on('error', () => undefined);
}

/** How the sidecar took an upgrade. `accepted` is an open socket. */
export type UpgradeResult =
  | { readonly accepted: WebSocket }
  | { readonly status: number; readonly wwwAuthenticate: string | undefined; readonly code: unknown };

/**
 * Asks for an upgrade. One that is refused because of earlier failures is asked for again when the sidecar says so: a suite
 * that tries wrong tokens must expect it.
 *
 * @throws Error when nothing answers
 */
export async function tryUpgrade(target: ConformanceTarget, upgrade: Upgrade = {}): Promise<UpgradeResult> {
  for (let tries = 1; ; tries++) {
    const socket = openSocket(target, upgrade);
    const controller = new AbortController();
    const { signal } = controller;
    const opened = once(socket, 'open', { signal }).then(() => ({ accepted: socket }));
    const refused = once(socket, 'unexpected-response', { signal }).then(([, response]) => response as IncomingMessage);
    const either = await Promise.race([opened, refused]);
    controller.abort();
    if ('accepted' in either) return either;
    const { statusCode: status = 0, headers } = either;
    const body = await text(either);
    if (status !== 429 || tries > RETRIES_MAX) {
      return { status, wwwAuthenticate: headers['www-authenticate'], code: codeIn(body) };
    }
    await waitSeconds(Number(headers['retry-after'] ?? 1));
  }
}

function codeIn(body: string): unknown {
  try {
    return (JSON.parse(body) as { error?: { code?: unknown } }).error?.code;
  } catch {
    return undefined;
  }
}

function waitSeconds(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.min(seconds, 10) * 1000));
}
