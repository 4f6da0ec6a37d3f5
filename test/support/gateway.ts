import { once } from 'node:events';
import {
  request as httpRequest,
  type Agent as HttpAgent,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from 'node:http';
import { buffer } from 'node:stream/consumers';
import { type Agent, type DispatchRequest, type Execution, type Fleet, type FleetEvents } from '@outrigger/sdk';
import { type FakeStep, type StandInApi, type StandInApiOptions, startStandInApi } from '@outrigger/sdk/testing';
import { claudePath, type ClaudeVersion } from './claude.js';
import { connectFleet, script } from './fleet.js';
import { makeFolder } from './runs.js';
import { type SidecarSetup, startSidecar, type TestSidecar } from './sidecar.js';

/** The standing credential of {@link startGateway}, and the ones a test swaps it for. */
export const TOKEN_A = 'sk-ant-oat01-token-a';
export const TOKEN_B = { id: 'token-b', kind: 'oauth', secret: 'sk-ant-oat01-token-b' } as const;
export const TOKEN_C = { id: 'token-c', kind: 'oauth', secret: 'sk-ant-oat01-token-c' } as const;
export const API_KEY = { id: 'api-key', kind: 'api_key', secret: 'sk-ant-api03-a-key' } as const;

type CredentialEvent = 'credentialNeeded' | 'credentialChanged' | 'rateLimit';

/** What a fleet was told, so far and from now on. */
export class Heard<Name extends CredentialEvent> {
  readonly all: FleetEvents[Name][0][] = [];
  readonly #checks = new Set<() => void>();

  constructor(fleet: Fleet, name: Name) {
    (fleet as { on(name: string, listener: (event: FleetEvents[Name][0]) => void): unknown }).on(name, (event) => {
      this.all.push(event);
      this.#checks.forEach((check) => check());
    });
  }

  /** The first one, past or to come, for which `wanted` holds. */
  waitFor(wanted: (event: FleetEvents[Name][0]) => boolean = () => true): Promise<FleetEvents[Name][0]> {
    return new Promise((resolve) => {
      const check = () => {
        const found = this.all.find(wanted);
        if (found === undefined) return;
        this.#checks.delete(check);
        resolve(found);
      };
      this.#checks.add(check);
      check();
    });
  }
}

export interface GatewaySetup extends SidecarSetup, Pick<StandInApiOptions, 'respond' | 'respondToSide' | 'accept'> {
  /** Of the real CLI. @default the scripted fake CLI */
  version?: ClaudeVersion | undefined;
}

/** A stand-in API, a sidecar that reaches it through its gateway, and a host. */
export interface TestGateway extends AsyncDisposable {
  readonly api: StandInApi;
  readonly sidecar: TestSidecar;
  readonly fleet: Fleet;
  readonly agent: Agent;
  /** Of the runs, and where they work. */
  readonly home: string;
  readonly needed: Heard<'credentialNeeded'>;
  readonly changed: Heard<'credentialChanged'>;
  readonly limits: Heard<'rateLimit'>;
  readonly dispatch: (request: DispatchRequest & { executionId?: string }) => Promise<Execution>;
}

export async function startGateway(setup: GatewaySetup = {}): Promise<TestGateway> {
  const { version, respond, respondToSide, accept, ...rest } = setup;
  const home = makeFolder();
  const script = { respond, respondToSide, accept };
  const api = await startStandInApi(
    Object.fromEntries(Object.entries(script).filter(([, value]) => value !== undefined)),
  );
  const sidecar = await startSidecar({
    mode: 'gateway',
    upstream: api.url,
    credential: TOKEN_A,
    ...(version === undefined ? {} : { claude: claudePath(version) }),
    ...rest,
    env: { HOME: home.path, IS_SANDBOX: '1', ...rest.env },
  });
  const host = await connectFleet(sidecar);
  const { fleet, agent } = host;
  return {
    api,
    sidecar,
    fleet,
    agent,
    home: home.path,
    needed: new Heard(fleet, 'credentialNeeded'),
    changed: new Heard(fleet, 'credentialChanged'),
    limits: new Heard(fleet, 'rateLimit'),
    dispatch: (request) => agent.dispatch({ cwd: home.path, ...request }),
    [Symbol.asyncDispose]: async () => {
      await host[Symbol.asyncDispose]();
      await sidecar[Symbol.asyncDispose]();
      await api.close();
      home.remove();
    },
  };
}

/** What an execution has to reach the provider with. */
export interface Way {
  readonly url: string;
  readonly placeholder: string;
  readonly execution: Execution;
}

/** Starts a run of the fake CLI that never ends by itself, but for what comes `after`, and takes its place before the gateway. */
export async function openWay(
  { dispatch }: Pick<TestGateway, 'dispatch'>,
  {
    before = [],
    after = [{ do: 'hang' }],
    ...request
  }: Partial<DispatchRequest> & { before?: FakeStep[]; after?: FakeStep[] } = {},
): Promise<Way> {
  const prompt = script({ do: 'init' }, ...before, { do: 'printEnv' }, ...after);
  const execution = await dispatch({ prompt, ...request });
  for await (const event of execution) {
    if (event.type !== 'message' || event.message?.['subtype'] !== 'fake_env') continue;
    const env = event.message['env'] as Record<string, string>;
    const { ANTHROPIC_BASE_URL: url, CLAUDE_CODE_OAUTH_TOKEN: token, ANTHROPIC_API_KEY: key } = env;
    const placeholder = token ?? key;
    if (url === undefined || placeholder === undefined) throw new Error('the run has no way to the provider');
    return { url, placeholder, execution };
  }
  throw new Error('the run ended without telling its environment');
}

export interface Ask {
  method?: string;
  path?: string;
  /** On top of those of the placeholder as an OAuth token; null leaves one out. */
  headers?: Record<string, string | null>;
  body?: Buffer | string | object | null;
  agent?: HttpAgent;
  signal?: AbortSignal;
}

export interface Answered {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** Of a refusal, in the provider's shape. */
  readonly error: { type: string; message: string } | undefined;
}

/** A request as a CLI would make it, of which nothing was read yet but the head. */
export async function begin({ url, placeholder }: Pick<Way, 'url' | 'placeholder'>, ask: Ask = {}) {
  const { method = 'POST', path = '/v1/messages?beta=true', body = MESSAGE, agent, signal } = ask;
  const headers: Record<string, string | null> = {
    authorization: `Bearer ${placeholder}`,
    'anthropic-version': '2023-06-01',
    'content-type': 'application/json',
    ...ask.headers,
  };
  const given = Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== null);
  const bytes = body === null ? null : bytesOf(body);
  const request = httpRequest(new URL(url), {
    method,
    path,
    headers: { ...Object.fromEntries(given), ...(bytes && { 'content-length': String(bytes.length) }) },
    agent: agent ?? false,
    ...(signal && { signal }),
  });
  request.end(bytes ?? undefined);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  // A server may answer before it has read all, and break off then.
  request.on('error', () => undefined);
  return { response, socket: request.socket };
}

/** The whole answer to a request. */
export async function ask(way: Pick<Way, 'url' | 'placeholder'>, options: Ask = {}): Promise<Answered> {
  const { response } = await begin(way, options);
  const body = await buffer(response);
  return { status: response.statusCode ?? 0, headers: response.headers, body, error: errorIn(body) };
}

/** What a turn of a run asks for, without a stream. */
export const MESSAGE = {
  model: 'claude-fake',
  max_tokens: 1024,
  messages: [{ role: 'user', content: 'Hello' }],
} as const;

function bytesOf(body: Buffer | string | object): Buffer {
  if (Buffer.isBuffer(body)) return body;
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
}

function errorIn(body: Buffer): Answered['error'] {
  try {
    return (JSON.parse(body.toString()) as { error?: Answered['error'] }).error;
  } catch {
    return undefined;
  }
}
