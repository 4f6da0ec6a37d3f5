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
const DRAIN_TIMEOUT_MS_MAX = 24 * 60 * 60 * 1000;

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
  'drain-timeout-ms': {
    value: 'N',
    help: 'how long SIGTERM waits for runs',
    schema: wholeNumber(0, DRAIN_TIMEOUT_MS_MAX),
    default: '30000',
  },
  'log-level': { value: 'LEVEL', help: LOG_LEVELS.join(', '), schema: z.enum(LOG_LEVELS), default: 'info' },
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
