import { homedir, hostname } from 'node:os';
import { join } from 'node:path';
import { type Credential, idSchema } from '@outrigger/protocol';
import { findExecutable } from '../process/executable.js';
import { readCredential } from './credential.js';
import { OptionError } from './option-error.js';
import { type Environment, parseOptions } from './parse.js';
import { type OptionValues } from './table.js';
import { readTls, type TlsFiles } from './tls.js';
import { findUser, type RunUser } from './user.js';

export { helpText } from './help.js';

/** Options that say together with others, or with the machine, what the sidecar does. */
type Combined = 'tokenFile' | 'credentialFile' | 'runAs' | 'tlsCert' | 'tlsKey' | 'insecure';

/** What a sidecar is started with: the values of the table of options, and what follows from them. */
export interface SidecarOptions extends Omit<OptionValues, Combined> {
  readonly agentId: string;
  readonly stateDir: string;
  /** The control token: given as it is, in a file, or (null) to be made. */
  readonly token: { readonly value: string } | { readonly path: string } | null;
  readonly credential: Credential | null;
  /** The user runs are started as; null: the sidecar's own. */
  readonly runAs: RunUser | null;
  readonly tls: TlsFiles | null;
  /** For the operator: what about the options is allowed but unwise. */
  readonly warnings: readonly string[];
}

/**
 * The options of a sidecar, from flags and environment.
 *
 * @returns `help` or `version` when that was asked for.
 * @throws OptionError
 */
export function readOptions(argv: readonly string[], environment: Environment): SidecarOptions | 'help' | 'version' {
  const values = parseOptions(argv, environment);
  if (typeof values === 'string') return values;
  const { tokenFile, credentialFile, runAs, tlsCert: _cert, tlsKey: _key, insecure: _insecure, ...rest } = values;
  return {
    ...rest,
    agentId: values.agentId ?? defaultAgentId(),
    stateDir: values.stateDir ?? defaultStateDir(environment),
    token: tokenFile === null ? tokenOf(environment) : { path: tokenFile },
    ...readCredential(credentialFile, environment),
    runAs: runAs === null ? null : findUser(runAs),
    tls: readTls(values),
    claude: checkCommand(values.claude, environment['PATH']),
  };
}

/** It may still go away, or lack its interpreter: each run then says so. */
function checkCommand(command: string, path: string | undefined): string {
  if (findExecutable(command, path) !== null) return command;
  const problem = command.includes('/')
    ? 'is no executable file'
    : 'names no executable file in PATH; install Claude Code, or give its path';
  throw new OptionError(`--claude ${JSON.stringify(command)}: ${problem}`);
}

function defaultAgentId(): string {
  const id = idSchema.safeParse(hostname());
  if (id.success) return id.data;
  throw new OptionError(`--agent-id is needed: the host name ${hostname()} cannot be an id`);
}

function defaultStateDir(environment: Environment): string {
  return join(environment['XDG_STATE_HOME'] ?? join(homedir(), '.local', 'state'), 'outrigger');
}

function tokenOf(environment: Environment): SidecarOptions['token'] {
  const value = environment['OUTRIGGER_TOKEN'];
  return value === undefined ? null : { value };
}
