import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo } from 'node:net';
import { type Duplex } from 'node:stream';
import { LIMITS, SUBPROTOCOL } from '@outrigger/protocol';
import { type Logger } from 'pino';
import { WebSocketServer } from 'ws';
import { type Credentials } from '../credentials/credentials.js';
import { type MetricsPage } from '../metrics/metrics.js';
import { type Meter } from '../metrics/meter.js';
import { type CurrentRedactor } from '../redaction.js';
import { type Supervisor } from '../supervision/supervisor.js';
import { Gatekeeper, type Refusal, type TokenSource } from './authenticate.js';
import { pagesHandler } from './pages.js';
import { keepAlive } from './liveness.js';
import { ClientStores } from './client-stores.js';
import { Session, type WelcomeFactory } from './session.js';

/** Sockets of any kind, authenticated or not. */
const CONNECTIONS_MAX = 256;
const HEADERS_TIMEOUT_MS = 10_000;
/** How long hosts get to answer the last close, before the sidecar stops without an answer. */
const GOODBYE_MS = 1000;

export interface LinkOptions {
  readonly listen: { readonly host: string; readonly port: number };
  readonly tokens: TokenSource;
  readonly allowedOrigins: readonly string[];
  readonly tls: { readonly certPath: string; readonly keyPath: string } | null;
  readonly supervisor: Supervisor;
  readonly credentials: Credentials;
  readonly welcome: WelcomeFactory;
  readonly redactor: CurrentRedactor;
  /** What requests are told to. */
  readonly meter?: Meter;
  /** Null: there is no such page. @default null */
  readonly metrics?: MetricsPage | null;
  readonly logger: Logger;
}

export interface Link {
  readonly url: string;
  /** How many hosts are connected. */
  readonly connections: number;
  /** Says goodbye to every host and stops listening. */
  close(): Promise<void>;
}

/** Serves the protocol and the pages for operators on one port. */
export async function listen(options: LinkOptions): Promise<Link> {
  const http = createHttpServer(options, pagesHandler(options.supervisor, options.metrics ?? null, options.logger));
  http.maxConnections = CONNECTIONS_MAX;
  http.headersTimeout = HEADERS_TIMEOUT_MS;

  const { supervisor, credentials, welcome, redactor, meter } = options;
  const gatekeeper = new Gatekeeper(options.tokens, options.allowedOrigins);
  const sessions = new Set<Session>();
  const stores = new ClientStores();
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: LIMITS.frameBytesMax,
    perMessageDeflate: false,
    handleProtocols: () => SUBPROTOCOL,
  });

  http.on('upgrade', (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    const refusal = gatekeeper.check(request);
    if (refusal !== null) {
      options.logger.warn({ code: refusal.code, address: request.socket.remoteAddress }, 'connection refused');
      refuse(stream, refusal);
      return;
    }
    sockets.handleUpgrade(request, stream, head, (socket) => {
      const { remoteAddress } = request.socket;
      const logger = options.logger.child({ host: `${remoteAddress ?? ''}:${request.socket.remotePort ?? 0}` });
      logger.info('host connected');
      keepAlive(
        socket,
        () => request.socket.bytesRead,
        () => logger.warn('host fell silent'),
      );
      const session = new Session({ socket, supervisor, credentials, welcome, stores, redactor, meter, logger });
      sessions.add(session);
      socket.on('close', () => sessions.delete(session));
    });
  });

  await new Promise<void>((resolve, reject) => {
    http.once('error', reject).listen(options.listen, () => resolve());
  });
  const { address, family, port } = http.address() as AddressInfo;
  const host = family === 'IPv6' ? `[${address}]` : address;
  return {
    url: `${options.tls === null ? 'ws' : 'wss'}://${host}:${port}`,
    get connections() {
      return sessions.size;
    },
    close: async () => {
      sessions.forEach((session) => session.close('goingAway'));
      const closed = new Promise((resolve) => http.close(resolve));
      // A peer that never ends its request, or never answers a close, must not keep the sidecar from stopping.
      http.closeAllConnections();
      const timer = setTimeout(() => sockets.clients.forEach((socket) => socket.terminate()), GOODBYE_MS);
      await closed;
      clearTimeout(timer);
    },
  };
}

function createHttpServer(options: LinkOptions, handler: RequestListener): Server {
  if (options.tls === null) return createServer(handler);
  const { certPath, keyPath } = options.tls;
  return createTlsServer({ cert: readFileSync(certPath), key: readFileSync(keyPath) }, handler);
}

function refuse(stream: Duplex, refusal: Refusal): void {
  const body = JSON.stringify({ error: { code: refusal.code, message: refusal.message } });
  stream.on('error', () => stream.destroy());
  // A peer that keeps its own side open would otherwise hold one of the sockets there are for all.
  stream.once('finish', () => stream.destroy());
  stream.end(
    [
      `HTTP/1.1 ${refusal.status} Refused`,
      'Connection: close',
      'Content-Type: application/json',
      ...Object.entries(refusal.headers ?? {}).map(([name, value]) => `${name}: ${value}`),
      `Content-Length: ${Buffer.byteLength(body)}`,
      '',
      body,
    ].join('\r\n'),
  );
}
