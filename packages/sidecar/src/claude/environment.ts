import { type CredentialKind, WireError } from '@outrigger/protocol';
import { CREDENTIAL_VARIABLES, VARIABLE_OF_KIND } from './routing-variables.js';

/** Passed on from the sidecar's own environment. Everything else stays out of the child. */
const ALLOWED: readonly string[] = [
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'SHELL',
  'LANG',
  'LANGUAGE',
  'TZ',
  'TERM',
  'TMPDIR',
  'CLAUDE_CONFIG_DIR',
  'IS_SANDBOX',
  'NODE_EXTRA_CA_CERTS',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'http_proxy',
  'https_proxy',
];

const ALLOWED_PREFIXES: readonly string[] = ['LC_', 'XDG_'];

export interface EnvironmentFacts {
  readonly inherited: Readonly<Record<string, string | undefined>>;
  /** Further names to pass on, chosen by the operator. */
  readonly passed: readonly string[];
  readonly requested: Readonly<Record<string, string>>;
  readonly executionId: string;
  readonly upstream: string | null;
  /** What the process has to show its provider. */
  readonly credential: { readonly kind: CredentialKind; readonly secret: string };
}

/** The whole environment of a run. The caller's variables win over inherited ones, ours over both. */
export function buildEnvironment(facts: EnvironmentFacts): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(facts.inherited)) {
    if (value !== undefined && isAllowed(name, facts.passed)) environment[name] = value;
  }
  Object.assign(environment, facts.requested);

  const noProxy = withLoopback(noProxyOf(facts.requested) ?? noProxyOf(facts.inherited));
  return {
    ...environment,
    NO_PROXY: noProxy,
    no_proxy: noProxy,
    OUTRIGGER_EXECUTION_ID: facts.executionId,
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    DISABLE_AUTOUPDATER: '1',
    ...(facts.upstream === null ? {} : { ANTHROPIC_BASE_URL: facts.upstream }),
    [VARIABLE_OF_KIND[facts.credential.kind]]: facts.credential.secret,
  };
}

/** @throws WireError `invalid` for a variable that decides where a run goes and as whom. */
export function checkEnvironment(requested: Readonly<Record<string, string>>): void {
  const path = 'request.env';
  for (const name of Object.keys(requested)) {
    if (!isCredentialVariable(name)) continue;
    const message = `${name} is not allowed; credentials belong to the agent, not to a dispatch`;
    throw new WireError('invalid', `dispatch: ${path}: ${message}`, { issues: [{ path: `${path}.${name}`, message }] });
  }
}

export function isCredentialVariable(name: string): boolean {
  return CREDENTIAL_VARIABLES.includes(name);
}

function isAllowed(name: string, passed: readonly string[]): boolean {
  if (isCredentialVariable(name)) return false;
  return ALLOWED.includes(name) || passed.includes(name) || ALLOWED_PREFIXES.some((prefix) => name.startsWith(prefix));
}

function noProxyOf(variables: Readonly<Record<string, string | undefined>>): string | undefined {
  return variables['NO_PROXY'] ?? variables['no_proxy'];
}

/** A proxy must not capture calls to the machine itself. */
function withLoopback(noProxy: string | undefined): string {
  return [...(noProxy ?? '').split(',').filter((entry) => entry !== ''), '127.0.0.1', 'localhost'].join(',');
}
