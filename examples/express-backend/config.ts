import { readFileSync } from 'node:fs';
import { type ConnectOptions, type PooledCredential } from '@outrigger/sdk';

/** What the environment says. It holds secrets, so it is never logged as a whole. */
export interface Config {
  readonly redisUrl: string;
  readonly agents: readonly AgentConfig[];
  readonly credentials: readonly PooledCredential[];
  readonly host: string;
  readonly port: number;
  /** Between signs of life on a stream of events. */
  readonly heartbeatMs: number;
  /** For how long `/readyz` says no before the door is closed, so that a load balancer hears of it. */
  readonly shutdownDelayMs: number;
}

export type AgentConfig = ConnectOptions & { id: string };

/** The environment has to be changed; the message is one line that names the variable, and no secret. */
export class ConfigError extends Error {}

type Env = Readonly<Record<string, string | undefined>>;

/** @throws ConfigError */
export function readConfig(env: Env): Config {
  return {
    redisUrl: readRedisUrl(env),
    agents: readAgents(env),
    credentials: readCredentials(required(env, 'CREDENTIALS_FILE')),
    host: env['HOST'] ?? '127.0.0.1', // whoever reaches it may start agents: put authentication in front of it
    port: readNumber(env, 'PORT', { fallback: 8080, max: 65_535 }),
    heartbeatMs: readNumber(env, 'HEARTBEAT_MS', { fallback: 15_000, min: 1 }),
    shutdownDelayMs: readNumber(env, 'SHUTDOWN_DELAY_MS', { fallback: 0 }),
  };
}

function required(env: Env, name: string): string {
  const value = env[name] ?? '';
  if (value === '') throw new ConfigError(`${name}: is not set`);
  return value;
}

/** What is wrong with it is not repeated: it may hold a password. */
function readRedisUrl(env: Env): string {
  const url = required(env, 'REDIS_URL');
  if (URL.canParse(url) && /^rediss?:$/.test(new URL(url).protocol)) return url;
  throw new ConfigError('REDIS_URL: expected redis://host:port or rediss://host:port');
}

function readNumber(
  env: Env,
  name: string,
  { fallback, min = 0, max = 3_600_000 }: { fallback: number; min?: number; max?: number },
): number {
  const value = env[name] ?? String(fallback);
  const number = Number(value);
  if (/^\d+$/.test(value) && number >= min && number <= max) return number;
  throw new ConfigError(`${name}: expected a whole number from ${min} to ${max}`);
}

/** `OUTRIGGER_AGENTS=one=wss://one:7411,two=wss://two:7411` */
function readAgents(env: Env): AgentConfig[] {
  const agents = required(env, 'OUTRIGGER_AGENTS')
    .split(',')
    .map((entry) => readAgent(env, entry.trim()));
  if (new Set(agents.map(({ id }) => id)).size === agents.length) return agents;
  throw new ConfigError('OUTRIGGER_AGENTS: an id is there twice');
}

function readAgent(env: Env, entry: string): AgentConfig {
  const [, id, url] = /^([A-Za-z0-9][\w.-]*)=(wss?:\/\/.+)$/.exec(entry) ?? [];
  if (id === undefined || url === undefined || !URL.canParse(url)) {
    throw new ConfigError('OUTRIGGER_AGENTS: expected id=wss://host:port, several with commas between them');
  }
  const ownToken = `OUTRIGGER_TOKEN_${id.toUpperCase().replace(/\W/g, '_')}`;
  const token = env[ownToken] ?? env['OUTRIGGER_TOKEN'] ?? '';
  if (token === '') throw new ConfigError(`OUTRIGGER_TOKEN: is not set, nor is ${ownToken}`);
  return { id, url, token };
}

/** A file with `[{ "id": "team-a", "kind": "oauth", "secret": "…", "expiresAt"?: …, "maxExecutions"?: … }, …]` */
function readCredentials(path: string): PooledCredential[] {
  const credentials = parse(read(path), path);
  const isList = Array.isArray(credentials) && credentials.length > 0;
  if (isList && credentials.every(hasSecret)) return credentials;
  throw new ConfigError(`CREDENTIALS_FILE: ${path}: expected a list of objects with id, kind and secret`);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError(`CREDENTIALS_FILE: ${path} cannot be read`, { cause: error });
  }
}

/** What `JSON.parse` has to say repeats some of the text, which may be a secret. */
function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new ConfigError(`CREDENTIALS_FILE: ${path} is not JSON`);
  }
}

/** Whether the pool can look at it; it says itself what is wrong with the rest. */
function hasSecret(value: unknown): value is PooledCredential {
  return typeof value === 'object' && value !== null && 'secret' in value;
}
