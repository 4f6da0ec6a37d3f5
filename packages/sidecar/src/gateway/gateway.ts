import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { monotonicMs } from '../clock.js';
import { credentialsOf } from '../core/gateway-headers.js';
import { routeOf } from '../core/gateway-route.js';
import { deferred } from '../deferred.js';
import { BodyStore, BodyTooLarge, type KeptBody } from './body-store.js';
import { type GatewayContext } from './context.js';
import { Exchange } from './exchange.js';
import { Gate, type GateUser } from './gate.js';
import { hashPlaceholder, newPlaceholder } from './placeholder.js';
import { bindGateway } from './port.js';

const CONNECTIONS_MAX = 4096;
/** Of one attempt at a time; a run with all its subagents has a few. */
const OPEN_REQUESTS_MAX = 256;
const HEADERS_TIMEOUT_MS = 30_000;
/** As much of a refused request is read to its end. */
const REFUSED_BYTES_MAX = 256 * 1024 * 1024;

export interface GatewayInit extends GatewayContext {
  /** Of the last time; null: any. */
  readonly port: number | null;
  /** For request bodies that are too large for memory; nobody else can read it. */
  readonly bodyFolder: string;
}

/**
 * The way of Claude Code to its provider: a reverse proxy on loopback. Each attempt comes with a placeholder that opens
 * it, and the credential in force is put in its place.
 */
export class Gateway {
  readonly port: number;
  readonly #server: Server;
  readonly #context: GatewayContext;
  readonly #bodies: BodyStore;
  readonly #gates = new Map<string, Gate>();
  /** Until every gate is known that there was before, nobody can be told that his is not. */
  readonly #begun = deferred();

  private constructor(server: Server, port: number, init: GatewayInit) {
    this.#server = server;
    this.port = port;
    this.#context = init;
    this.#bodies = new BodyStore(init.bodyFolder);
    server.on('request', (request, response) => void this.#serve(request, response));
  }

  /** @throws Error `EADDRINUSE` when the wanted port is taken */
  static async start(init: GatewayInit): Promise<Gateway> {
    // A run keeps its connections for as long as it likes: closing an idle one could cut a request that is on its way.
    const server = createServer({ keepAliveTimeout: 0, headersTimeout: HEADERS_TIMEOUT_MS, requestTimeout: 0 });
    server.maxConnections = CONNECTIONS_MAX;
    return new Gateway(server, await bindGateway(server, init.port), init);
  }

  /** What `ANTHROPIC_BASE_URL` is to be. */
  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Opens a way for an attempt, to be closed with it. */
  open(user: GateUser): { gate: Gate; placeholder: string; placeholderHash: string } {
    const placeholder = newPlaceholder();
    const placeholderHash = hashPlaceholder(placeholder);
    return { gate: this.#add(placeholderHash, new Gate(user)), placeholder, placeholderHash };
  }

  /** Opens the way again that another sidecar has opened for an attempt. */
  restore(placeholderHash: string, user: GateUser): Gate {
    return this.#add(placeholderHash, new Gate(user, monotonicMs()));
  }

  /** Serves what has come so far, and what comes. Called once all gates are restored. */
  begin(): void {
    this.#begun.resolve();
  }

  #add(hash: string, gate: Gate): Gate {
    this.#gates.set(hash, gate);
    gate.onClosed(() => this.#gates.delete(hash));
    return gate;
  }

  async close(): Promise<void> {
    this.#gates.forEach((gate) => gate.close());
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => response.destroy());
    await this.#begun.promise;
    const { method = '', url = '', headers } = request;
    const { allowedPaths } = this.#context.options;
    const route = routeOf({ method, target: url, host: headers.host, allowedPaths });
    if (route.kind === 'probe') {
      response.writeHead(200).end();
      return;
    }
    const gate = this.#gateOf(request);
    if (route.kind === 'refuse' || gate === null) {
      const refusal = route.kind === 'refuse' ? route : UNKNOWN;
      this.#context.meter.requestDenied(route.kind === 'refuse' ? 'route' : 'placeholder');
      const about = { method, status: refusal.status, ...(gate && { executionId: gate.user.executionId }) };
      this.#context.logger.warn(about, 'request to the gateway refused');
      refuse(request, response, refusal);
      return;
    }
    if (gate.openCount >= OPEN_REQUESTS_MAX) {
      this.#context.meter.requestDenied('too_many_open');
      refuse(request, response, TOO_MANY);
      return;
    }
    response.once('close', gate.begin());
    response.once('close', () => this.#context.meter.requestEnded(response.headersSent ? response.statusCode : null));
    const body = await this.#keepBody(request, response);
    if (body === 'refused') return;
    await new Exchange({ gate, request, response, path: route.path, body }, this.#context).run();
  }

  /** Every credential that a request carries has to be the placeholder of an attempt that lives. */
  #gateOf({ headers }: IncomingMessage): Gate | null {
    const gates = credentialsOf(headers).map((value) => this.#gates.get(hashPlaceholder(value)));
    const [gate] = gates;
    return gate !== undefined && gates.every((other) => other === gate) ? gate : null;
  }

  async #keepBody(request: IncomingMessage, response: ServerResponse): Promise<KeptBody | null | 'refused'> {
    if (request.method === 'GET' || request.method === 'HEAD') return null;
    try {
      return await this.#bodies.keep(request);
    } catch (error) {
      if (error instanceof BodyTooLarge) {
        this.#context.meter.requestDenied('too_large');
        refuse(request, response, { status: 413, message: error.message });
      } else response.destroy();
      return 'refused';
    }
  }
}

const TOO_MANY = { status: 429, message: `a run may have at most ${OPEN_REQUESTS_MAX} requests open at a time` };

/** Neither CLI tries a 403 again that says so; a 401 keeps the older one going for minutes. */
const UNKNOWN = {
  status: 403,
  message:
    'this gateway takes only the placeholder of a run that is going on; ' +
    'to reach the provider with a key of your own, unset ANTHROPIC_BASE_URL',
};

/**
 * In the provider's shape, so that a client shows the message. The request is read to its end before: a client that is
 * still writing when the connection is closed is told of that, and not why.
 */
function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  { status, message }: { status: number; message: string },
): void {
  const type = ERROR_TYPES[status] ?? 'invalid_request_error';
  const body = JSON.stringify({ type: 'error', error: { type, message: `outrigger: ${message}` } });
  const answer = () =>
    response.writeHead(status, { 'content-type': 'application/json', 'x-should-retry': 'false' }).end(body);
  if (request.readableEnded) {
    answer();
    return;
  }
  let bytesLeft = REFUSED_BYTES_MAX;
  request
    .on('error', () => response.destroy())
    .on('end', answer)
    .on('data', ({ length }: Buffer) => {
      bytesLeft -= length;
      if (bytesLeft < 0) request.destroy();
    })
    .resume();
}

const ERROR_TYPES: Readonly<Record<number, string>> = {
  403: 'permission_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
};
