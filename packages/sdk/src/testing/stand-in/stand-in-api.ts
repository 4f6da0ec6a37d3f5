import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { type Accepted, Credentials } from './credentials.js';
import { Journal } from './journal.js';
import { handle } from './handle.js';
import { type ApiRequest } from './request.js';
import { defaultAnswer, defaultSideAnswer, type Script } from './routes.js';
import { type Step } from './script.js';

/** How {@link startStandInApi} starts. Everything can be changed later. */
export interface StandInApiOptions {
  /** On 127.0.0.1. @default 0, any free port */
  port?: number;
  /** The good credentials; every other one is answered 401. @default 'any' */
  accept?: Accepted;
  /** Answers the turns of runs. @default a short text */
  respond?: Step;
  /** Answers the CLI's helper calls to a small model. @default the text `none` */
  respondToSide?: Step;
  /** Requests kept in `requests`; older ones are dropped. @default 2000 */
  requestsMax?: number;
}

/** A running stand-in for the provider's Messages API. */
export interface StandInApi extends AsyncDisposable {
  /** For `ANTHROPIC_BASE_URL`, e.g. `http://127.0.0.1:40123`. */
  readonly url: string;
  readonly port: number;
  /** What was asked so far, oldest first; live. */
  readonly requests: readonly ApiRequest[];
  /** Answers the turns of runs from now on, those that are being retried included. */
  respondWith(step: Step): void;
  /** Answers the helper calls from now on. */
  respondToSideWith(step: Step): void;
  /** The good credentials from now on. Requests already being answered go on. */
  accept(accepted: Accepted): void;
  /**
   * Refuses one secret, or `'all'`, until {@link StandInApi.stopRefusing}, whatever `accept` says; at most `times` times.
   * @example api.refuse('token-a', refusal.expired())
   * @example api.refuse('token-b', refusal.rateLimited({ claim: 'five_hour', resetsAt }))
   */
  refuse(secret: string, step: Step, options?: { times?: number }): void;
  /** Takes back `refuse` for one secret, or `'all'` for every one. */
  stopRefusing(secret: string): void;
  /**
   * The first request, past or to come, for which the predicate holds. It is asked when a request has been received, when
   * the answer's status is sent, and when it is over. Rejects when the stand-in is closed, or with what the predicate throws.
   * @example await api.waitForRequest((request) => request.status === 401)
   */
  waitForRequest(predicate: (request: ApiRequest) => boolean): Promise<ApiRequest>;
  /** Stops, and breaks off every open connection. May be called twice. */
  close(): Promise<void>;
}

/**
 * Starts a scripted stand-in for the provider's Messages API on loopback: real HTTP, real streams, no account. The real
 * CLI runs against it with `ANTHROPIC_BASE_URL` set to its `url`.
 * @throws the listen error, e.g. `EADDRINUSE` for a port that is taken
 */
export async function startStandInApi(options: StandInApiOptions = {}): Promise<StandInApi> {
  const journal = new Journal(options.requestsMax ?? 2000);
  const credentials = new Credentials(options.accept ?? 'any');
  const script: Script = {
    respond: options.respond ?? defaultAnswer,
    respondToSide: options.respondToSide ?? defaultSideAnswer,
    credentials,
  };
  // A kept-alive connection outlives any pause in a test; otherwise closing it would race with the next request.
  const server = createServer({ keepAliveTimeout: 600_000, requestTimeout: 0 });
  let received = 0;
  const nextIndex = () => received++;
  server.on('request', (message, response) => void handle({ message, response, nextIndex, journal, script }));
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');

  const { port } = server.address() as AddressInfo;
  let closing: Promise<void> | undefined;
  const close = () => (closing ??= shut(server, journal));
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    requests: journal.requests,
    respondWith: (step) => void (script.respond = step),
    respondToSideWith: (step) => void (script.respondToSide = step),
    accept: (accepted) => void (credentials.accepted = accepted),
    refuse: (secret, step, { times = Infinity } = {}) => credentials.refuse(secret, step, times),
    stopRefusing: (secret) => credentials.stopRefusing(secret),
    waitForRequest: (predicate) => journal.waitFor(predicate),
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function shut(server: Server, journal: Journal): Promise<void> {
  journal.close();
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}
