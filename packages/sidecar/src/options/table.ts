import { idSchema } from '@outrigger/protocol';
import { z } from 'zod';
import { MARKER_NAMES } from '../process/tree/marker.js';
import {
  listenSchema,
  pathSchema,
  readableFileSchema,
  switchSchema,
  upstreamSchema,
  variableSchema,
  wholeNumber,
} from './values.js';

/** All there is to say about an option. */
interface Option {
  /** What stands for its value in `--help`; a switch has none. */
  readonly value?: string;
  readonly help: string;
  readonly schema: z.ZodType;
  /** As it would be given. Without one, an option that is not given is null. */
  readonly default?: string;
  /** Can be given more than once. */
  readonly isList?: true;
}

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
const MINUTE_MS = 60 * 1000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Every option: from an entry here come the flag, the variable, its place in `--help` and the value's type. */
export const OPTIONS = {
  listen: {
    value: 'HOST:PORT',
    help: 'where hosts connect; port 0: any free one',
    schema: listenSchema,
    default: '127.0.0.1:7411',
  },
  'agent-id': { value: 'ID', help: "this agent's name (default: the machine's host name)", schema: idSchema },
  'state-dir': { value: 'DIR', help: 'logs and state (default ~/.local/state/outrigger)', schema: pathSchema },
  'max-executions': { value: 'N', help: 'slots, 1 to 1000', schema: wholeNumber(1, 1000), default: '3' },
  claude: {
    value: 'PATH',
    help: 'the Claude Code CLI; a bare name is looked for in PATH',
    schema: pathSchema,
    default: 'claude',
  },
  upstream: { value: 'URL', help: "the provider's API (default: the CLI's own)", schema: upstreamSchema },
  'credential-mode': {
    value: 'MODE',
    help: 'gateway: runs reach the provider through the sidecar, which can swap credentials; env: by themselves',
    schema: z.enum(['gateway', 'env']),
    default: 'gateway',
  },
  'gateway-path': {
    value: 'PATH',
    help: 'send this path on besides those Claude Code needs',
    schema: z.string().regex(/^\/[\x21-\x3e\x40-\x7e]*$/, 'must be a path without a query'),
    isList: true,
  },
  'first-byte-timeout-ms': {
    value: 'N',
    help: 'how long the provider may take to begin an answer',
    schema: wholeNumber(1, HOUR_MS),
    default: '600000',
  },
  'upstream-idle-timeout-ms': {
    value: 'N',
    help: 'silence within an answer after which it is cut, so that the CLI tries again',
    schema: wholeNumber(1, HOUR_MS),
    default: '90000',
  },
  'hold-silent-ms': {
    value: 'N',
    help: 'how long a held request may be silent before it is given signs of life',
    schema: wholeNumber(1, 4 * MINUTE_MS),
    default: '120000',
  },
  'gateway-rebind-ms': {
    value: 'N',
    help: 'how long a restarted sidecar waits for the port that its runs call, where somebody else has it',
    schema: wholeNumber(0, 10 * MINUTE_MS),
    default: '10000',
  },
  'retry-after-max-ms': {
    value: 'N',
    help: 'the longest wait the provider may ask for before it counts as a refusal',
    schema: wholeNumber(0, HOUR_MS),
    default: '60000',
  },
  'waits-max': {
    value: 'N',
    help: 'how often a request waits out a throttle or an overload before the CLI is told',
    schema: wholeNumber(0, 100),
    default: '4',
  },
  overage: {
    value: 'POLICY',
    help: 'allow or avoid answers beyond what the credential includes',
    schema: z.enum(['allow', 'avoid']),
    default: 'allow',
  },
  'token-file': {
    value: 'FILE',
    help: 'one or two control tokens; read again when it changes',
    schema: readableFileSchema,
  },
  'credential-file': { value: 'FILE', help: "the provider's OAuth token or API key", schema: readableFileSchema },
  'kill-method': {
    value: 'NAME',
    help: `how processes are found again: auto, ${MARKER_NAMES.join(', ')}`,
    schema: z.enum(['auto', ...MARKER_NAMES]),
    default: 'auto',
  },
  'run-as': {
    value: 'USER',
    help: 'start runs as this user, who cannot read what the sidecar can',
    schema: pathSchema,
  },
  'pass-env': { value: 'NAME', help: 'hand this variable on to runs', schema: variableSchema, isList: true },
  'free-bytes-min': {
    value: 'N',
    help: 'with less disk space under the state folder nothing is admitted',
    schema: wholeNumber(0, Number.MAX_SAFE_INTEGER),
    default: '67108864',
  },
  'log-bytes-max': {
    value: 'N',
    help: 'logs of ended executions that are kept; the oldest go first, those that were acknowledged before others',
    schema: wholeNumber(0, Number.MAX_SAFE_INTEGER),
    default: '10737418240',
  },
  'outcome-retention-ms': {
    value: 'N',
    help: 'how long an outcome is kept that a host has acknowledged',
    schema: wholeNumber(0, 365 * DAY_MS),
    default: '604800000',
  },
  'drain-timeout-ms': {
    value: 'N',
    help: 'how long SIGTERM waits for runs',
    schema: wholeNumber(0, DAY_MS),
    default: '30000',
  },
  'breaker-failures': {
    value: 'N',
    help: 'executions that die young in a row until nothing is admitted for a while; 0: never',
    schema: wholeNumber(0, 1000),
    default: '3',
  },
  'breaker-young-ms': {
    value: 'N',
    help: 'an execution that fails within this time has died young',
    schema: wholeNumber(1, HOUR_MS),
    default: '10000',
  },
  'breaker-cooldown-ms': {
    value: 'N',
    help: 'how long nothing is admitted; doubled each time, up to 15 minutes',
    schema: wholeNumber(1, DAY_MS),
    default: '30000',
  },
  'log-level': { value: 'LEVEL', help: LOG_LEVELS.join(', '), schema: z.enum(LOG_LEVELS), default: 'info' },
  metrics: {
    value: 'on|off',
    help: 'serve GET /metrics, to whoever reaches the listener',
    schema: z.enum(['on', 'off']),
    default: 'on',
  },
  'allow-origin': { value: 'ORIGIN', help: 'let pages of this origin connect', schema: z.url(), isList: true },
  'tls-cert': { value: 'FILE', help: 'serve wss: with this certificate (PEM)', schema: readableFileSchema },
  'tls-key': { value: 'FILE', help: 'and this key (PEM)', schema: readableFileSchema },
  insecure: { help: 'allow a plaintext listener off loopback', schema: switchSchema, default: '0' },
} as const satisfies Readonly<Record<string, Option>>;

type OptionName = keyof typeof OPTIONS;

type CamelCase<Name extends string> = Name extends `${infer First}-${infer Rest}`
  ? `${First}${Capitalize<CamelCase<Rest>>}`
  : Name;

type ValueOf<O extends Option> = O extends { isList: true }
  ? readonly z.output<O['schema']>[]
  : O extends { default: string }
    ? z.output<O['schema']>
    : z.output<O['schema']> | null;

/** The value of each option under its name in camel case. */
export type OptionValues = { readonly [Name in OptionName as CamelCase<Name>]: ValueOf<(typeof OPTIONS)[Name]> };

/** The options in the order of `--help`. */
export const OPTION_ENTRIES: readonly (readonly [name: string, option: Option])[] = Object.entries(OPTIONS);
