import { readFileSync } from 'node:fs';
import { homedir, hostname } from 'node:os';
import { join } from 'node:path';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { parseArgs } from 'node:util';
import { idSchema } from '@outrigger/protocol';
import { z } from 'zod';
import { type Credential, isCredentialVariable } from '../claude/environment.js';
import { MARKER_NAMES, type MarkerName } from '../process/tree/marker.js';
import { readCredential } from './credential.js';
import { OptionError } from './option-error.js';
import { findUser, type RunUser } from './user.js';

export interface SidecarOptions {
  readonly listen: { readonly host: string; readonly port: number };
  readonly agentId: string;
  readonly stateDir: string;
  readonly maxExecutions: number;
  readonly claude: string;
  readonly upstream: string | null;
  readonly drainTimeoutMs: number;
  readonly logLevel: string;
  /** The control token: given as it is, in a file, or (null) to be made. */
  readonly token: { readonly value: string } | { readonly path: string } | null;
  readonly credential: Credential | null;
  /** For the operator: what about the options is allowed but unwise. */
  readonly warnings: readonly string[];
  /** How the processes of a run are told from others; `auto`: by all complete ways there are. */
  readonly killMethod: MarkerName | 'auto';
  /** The user runs are started as; null: the sidecar's own. */
  readonly runAs: RunUser | null;
  readonly passEnv: readonly string[];
  readonly allowOrigin: readonly string[];
  readonly tls: { readonly certPath: string; readonly keyPath: string } | null;
}

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
const DRAIN_TIMEOUT_MS_MAX = 24 * 60 * 60 * 1000;

const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d+$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.number().min(min, `must be at least ${min}`).max(max, `must be at most ${max}`));

const listenSchema = z
  .string()
  .regex(/^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$/, 'must be HOST:PORT, e.g. 127.0.0.1:7411')
  .transform((text) => {
    const colon = text.lastIndexOf(':');
    return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) };
  })
  .refine(({ port }) => port <= 65_535, 'must have a port of at most 65535');

const upstreamSchema = z
  .url({ protocol: /^https?$/, error: 'must be an http or https URL' })
  .transform((url) => url.replace(/\/+$/, ''));

const variableSchema = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must name an environment variable')
  .refine((name) => !isCredentialVariable(name), 'must not name a credential variable');

const pathSchema = z.string().min(1, 'must not be empty');

/** Every option: its schema, what `--help` says, and whether it is a switch or can be repeated. */
const OPTIONS = {
  listen: {
    schema: listenSchema,
    help: 'HOST:PORT  where hosts connect (default 127.0.0.1:7411; port 0: any free one)',
  },
  'agent-id': { schema: idSchema, help: "ID  this agent's name (default: the machine's host name)" },
  'state-dir': { schema: pathSchema, help: 'DIR  logs and state (default ~/.local/state/outrigger)' },
  'max-executions': { schema: wholeNumber(1, 1000), help: 'N  slots, 1 to 1000 (default 3)' },
  claude: { schema: pathSchema, help: 'PATH  the Claude Code CLI (default claude, looked for in PATH)' },
  upstream: { schema: upstreamSchema, help: "URL  the provider's API (default: the CLI's own)" },
  'token-file': { schema: pathSchema, help: 'FILE  one or two control tokens; read again when it changes' },
  'credential-file': { schema: pathSchema, help: "FILE  the provider's OAuth token or API key" },
  'kill-method': {
    schema: z.enum(['auto', ...MARKER_NAMES]),
    help: `NAME  how processes are found again: auto, ${MARKER_NAMES.join(', ')} (default auto)`,
  },
  'run-as': { schema: pathSchema, help: 'USER  start runs as this user, who cannot read what the sidecar can' },
  'pass-env': { schema: variableSchema, help: 'NAME  hand this variable on to runs; repeatable', multiple: true },
  'drain-timeout-ms': {
    schema: wholeNumber(0, DRAIN_TIMEOUT_MS_MAX),
    help: 'N  how long SIGTERM waits for runs (default 30000)',
  },
  'log-level': { schema: z.enum(LOG_LEVELS), help: `LEVEL  ${LOG_LEVELS.join(', ')} (default info)` },
  'allow-origin': { schema: z.url(), help: 'ORIGIN  let pages of this origin connect; repeatable', multiple: true },
  'tls-cert': { schema: pathSchema, help: 'FILE  serve wss: with this certificate (PEM)' },
  'tls-key': { schema: pathSchema, help: 'FILE  and this key (PEM)' },
  insecure: { help: 'allow a plaintext listener off loopback', switch: true },
} as const;

type OptionName = keyof typeof OPTIONS;
const OPTION_NAMES = Object.keys(OPTIONS) as OptionName[];

/** The text of `--help`. */
export function helpText(): string {
  const lines = OPTION_NAMES.map((name) => {
    const [value = '', ...text] = 'switch' in OPTIONS[name] ? ['', OPTIONS[name].help] : OPTIONS[name].help.split('  ');
    return `  ${`--${name} ${value}`.padEnd(26)} ${text.join('  ')}`;
  });
  return [
    'outrigger-sidecar: supervises the Claude Code runs of one agent container',
    '',
    'Usage: outrigger-sidecar [options]',
    '',
    ...lines,
    `  ${'--help, --version'.padEnd(26)} print this, or the version`,
    '',
    'Each option can be given as OUTRIGGER_… as well, e.g. OUTRIGGER_MAX_EXECUTIONS=5; a flag wins.',
    'OUTRIGGER_TOKEN is the control token itself. Without one, a token is made and kept in DIR/token.',
    'CLAUDE_CODE_OAUTH_TOKEN or ANTHROPIC_API_KEY is the credential when no file is given; a file is safer.',
  ].join('\n');
}

/**
 * The options of a sidecar, from flags and environment.
 *
 * @returns `help` or `version` when that was asked for.
 * @throws OptionError
 */
export function readOptions(
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): SidecarOptions | 'help' | 'version' {
  const flags = readFlags(argv);
  if (flags['help'] !== undefined) return 'help';
  if (flags['version'] !== undefined) return 'version';
  const read = new Reader(flags, environment);

  const listen = read.one('listen', listenSchema) ?? { host: '127.0.0.1', port: 7411 };
  const tls = readTls(read);
  const isInsecure = read.isOn('insecure');
  if (tls === null && !isLoopback(listen.host) && !isInsecure) {
    throw new OptionError(
      `--listen ${listen.host} is not loopback: give --tls-cert and --tls-key, or --insecure to serve plaintext`,
    );
  }
  const { credential, warnings } = readCredential(read.one('credential-file', pathSchema), environment);
  const agentId = read.one('agent-id', idSchema) ?? idSchema.safeParse(hostname()).data;
  if (agentId === undefined) throw new OptionError(`--agent-id is needed: the host name ${hostname()} cannot be an id`);

  const runAs = read.one('run-as', pathSchema);

  return {
    listen,
    runAs: runAs === undefined ? null : findUser(runAs),
    tls,
    agentId,
    credential,
    warnings,
    stateDir: read.one('state-dir', pathSchema) ?? defaultStateDir(environment),
    maxExecutions: read.one('max-executions', OPTIONS['max-executions'].schema) ?? 3,
    claude: read.one('claude', pathSchema) ?? 'claude',
    upstream: read.one('upstream', upstreamSchema) ?? null,
    drainTimeoutMs: read.one('drain-timeout-ms', OPTIONS['drain-timeout-ms'].schema) ?? 30_000,
    logLevel: read.one('log-level', OPTIONS['log-level'].schema) ?? 'info',
    token: readToken(read, environment),
    killMethod: read.one('kill-method', OPTIONS['kill-method'].schema) ?? 'auto',
    passEnv: read.many('pass-env', variableSchema),
    allowOrigin: read.many('allow-origin', OPTIONS['allow-origin'].schema),
  };
}

type Flags = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

function readFlags(argv: readonly string[]): Flags {
  const options = Object.fromEntries(
    OPTION_NAMES.map((name) => [
      name,
      {
        type: 'switch' in OPTIONS[name] ? ('boolean' as const) : ('string' as const),
        multiple: 'multiple' in OPTIONS[name],
      },
    ]),
  );
  const asked = { help: { type: 'boolean' as const, short: 'h' }, version: { type: 'boolean' as const } };
  try {
    return parseArgs({ args: [...argv], options: { ...options, ...asked }, strict: true }).values;
  } catch (error) {
    throw new OptionError((error as Error).message.split('\n', 1)[0]?.replace(/\. To specify.*$/, '') ?? 'bad option');
  }
}

/** Looks an option up: a flag wins over the environment. */
class Reader {
  readonly #flags: Flags;
  readonly #environment: Readonly<Record<string, string | undefined>>;

  constructor(flags: Flags, environment: Readonly<Record<string, string | undefined>>) {
    this.#flags = flags;
    this.#environment = environment;
  }

  one<T>(name: OptionName, schema: z.ZodType<T>): T | undefined {
    const flag = this.#flags[name];
    if (typeof flag === 'string') return check(`--${name}`, flag, schema);
    const variable = variableOf(name);
    const value = this.#environment[variable];
    return value === undefined ? undefined : check(variable, value, schema);
  }

  /** A flag can be repeated; in the environment the values are parted by commas. */
  many<T>(name: OptionName, schema: z.ZodType<T>): T[] {
    const flag = this.#flags[name];
    if (Array.isArray(flag)) return flag.map((value) => check(`--${name}`, String(value), schema));
    const variable = variableOf(name);
    const values = (this.#environment[variable] ?? '').split(',').filter((value) => value !== '');
    return values.map((value) => check(variable, value.trim(), schema));
  }

  isOn(name: OptionName): boolean {
    if (this.#flags[name] === true) return true;
    const schema = z.enum(['1', 'true', '0', 'false', ''], { error: 'must be 1 or 0' });
    const variable = variableOf(name);
    const value = check(variable, this.#environment[variable] ?? '', schema);
    return value === '1' || value === 'true';
  }
}

function variableOf(name: OptionName): string {
  return `OUTRIGGER_${name.toUpperCase().replaceAll('-', '_')}`;
}

function check<T>(name: string, value: string, schema: z.ZodType<T>): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new OptionError(`${name} ${JSON.stringify(value)}: ${parsed.error.issues[0]?.message ?? 'is not valid'}`);
}

function readTls(read: Reader): SidecarOptions['tls'] {
  const certPath = read.one('tls-cert', pathSchema);
  const keyPath = read.one('tls-key', pathSchema);
  if (certPath === undefined && keyPath === undefined) return null;
  if (certPath === undefined) throw new OptionError('--tls-key needs --tls-cert');
  if (keyPath === undefined) throw new OptionError('--tls-cert needs --tls-key');
  checkReadable('--tls-cert', certPath);
  checkReadable('--tls-key', keyPath);
  const cert = readFileSync(certPath);
  checkTls(`--tls-cert ${certPath}`, { cert });
  checkTls(`--tls-key ${keyPath}`, { cert, key: readFileSync(keyPath) });
  return { certPath, keyPath };
}

function checkTls(name: string, options: SecureContextOptions): void {
  try {
    createSecureContext(options);
  } catch (error) {
    throw new OptionError(`${name}: ${(error as Error).message}`);
  }
}

function readToken(read: Reader, environment: Readonly<Record<string, string | undefined>>): SidecarOptions['token'] {
  const path = read.one('token-file', pathSchema);
  if (path !== undefined) {
    checkReadable('--token-file', path);
    return { path };
  }
  const value = environment['OUTRIGGER_TOKEN'];
  return value === undefined ? null : { value };
}

function checkReadable(name: string, path: string): void {
  try {
    readFileSync(path);
  } catch (error) {
    throw new OptionError(`${name} ${path}: cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

function defaultStateDir(environment: Readonly<Record<string, string | undefined>>): string {
  return join(environment['XDG_STATE_HOME'] ?? join(homedir(), '.local', 'state'), 'outrigger');
}
