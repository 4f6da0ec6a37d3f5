import { type Readable } from 'node:stream';
import { type Credential } from '@outrigger/protocol';
import { Agent, type Dispatcher, EnvHttpProxyAgent } from 'undici';
import { type Headers, requestHeaders } from '../core/gateway-headers.js';

const CONNECT_TIMEOUT_MS = 10_000;
/** Below what providers and their load balancers grant an idle connection. */
const IDLE_CONNECTION_MS = 15_000;

export interface UpstreamOptions {
  /** Without a slash at its end. */
  readonly url: string;
  readonly firstByteTimeoutMs: number;
  /** `HTTPS_PROXY` and its like are honoured. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export interface UpstreamRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Headers;
  readonly body: Buffer | Readable | null;
  readonly bodyBytes: number;
  readonly credential: Credential;
  readonly signal: AbortSignal;
}

export interface UpstreamAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Readable;
}

/** The provider did not begin to answer in time. */
export class FirstByteTimeout extends Error {}

/** The way to the provider. It has no time-outs but ours, follows no redirect and tries nothing twice. */
export class Upstream {
  readonly #options: UpstreamOptions;
  readonly #origin: string;
  readonly #prefix: string;
  readonly #dispatcher: Dispatcher;

  constructor(options: UpstreamOptions) {
    this.#options = options;
    const url = new URL(options.url);
    this.#origin = url.origin;
    this.#prefix = url.pathname.replace(/\/+$/, '');
    this.#dispatcher = dispatcherFor(url, options.environment);
  }

  /** Resolves with the beginning of the answer. @throws FirstByteTimeout; an error of the network; the signal's reason */
  async send({ method, path, headers, body, bodyBytes, credential, signal }: UpstreamRequest): Promise<UpstreamAnswer> {
    signal.throwIfAborted();
    // By hand, since `AbortSignal.any` takes several times as long.
    const abort = new AbortController();
    signal.addEventListener('abort', () => abort.abort(signal.reason), { once: true });
    const { firstByteTimeoutMs } = this.#options;
    const timer = setTimeout(
      () => abort.abort(new FirstByteTimeout(`the provider did not answer within ${firstByteTimeoutMs} ms`)),
      firstByteTimeoutMs,
    );
    try {
      const answer = await this.#dispatcher.request({
        origin: this.#origin,
        path: this.#prefix + path,
        method,
        headers: { ...requestHeaders(headers, credential), ...(body && { 'content-length': String(bodyBytes) }) },
        body,
        signal: abort.signal,
      });
      return { status: answer.statusCode, headers: answer.headers, body: answer.body };
    } finally {
      clearTimeout(timer);
    }
  }

  async close(): Promise<void> {
    await this.#dispatcher.destroy();
  }
}

function dispatcherFor(url: URL, environment: UpstreamOptions['environment']): Dispatcher {
  const find = (name: string) => environment[name.toLowerCase()] ?? environment[name] ?? '';
  const options = {
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: IDLE_CONNECTION_MS,
    keepAliveMaxTimeout: IDLE_CONNECTION_MS,
    connect: { timeout: CONNECT_TIMEOUT_MS },
  };
  // As everywhere, a proxy for http is none for https.
  const proxy = find(url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY');
  if (proxy === '') return new Agent(options);
  return new EnvHttpProxyAgent({ ...options, httpProxy: proxy, httpsProxy: proxy, noProxy: find('NO_PROXY') });
}
