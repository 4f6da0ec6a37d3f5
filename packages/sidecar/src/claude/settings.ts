import { WireError } from '@outrigger/protocol';
import { CREDENTIAL_VARIABLES, VARIABLE_OF_KIND } from './routing-variables.js';

/** Settings that name a command whose output is used as a credential. */
const CREDENTIAL_HELPERS: readonly string[] = [
  'apiKeyHelper',
  'awsAuthRefresh',
  'awsCredentialExport',
  'gcpAuthRefresh',
  'proxyAuthHelper',
];

const PROXY_VARIABLES = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY'] as const;

/** The run's own proxies, empty where it has none. */
export type Proxies = Readonly<Record<(typeof PROXY_VARIABLES)[number], string>>;

/** Where a run's requests have to go, and as whom. */
export interface SettingsFacts {
  /** Null: the provider's own address. */
  readonly baseUrl: string | null;
  readonly kind: keyof typeof VARIABLE_OF_KIND;
  /** Null where the run has the credential itself: then only the other kinds are kept out. */
  readonly placeholder: string | null;
  readonly proxies: Proxies;
  readonly noProxy: string;
}

/**
 * What the `--settings` file of a run says, whatever else it holds: settings given that way beat those of the repository and
 * of the user, and all of them beat the environment. An empty value counts as none. Two things it cannot hold: managed
 * settings of the machine, which beat these, and a socket or file descriptor in the environment, which 2.1.329 takes before
 * it reads any settings; the environment of a run has none.
 */
export function pinnedSettings(facts: SettingsFacts): { env: Record<string, string> } & Record<string, unknown> {
  const credential = VARIABLE_OF_KIND[facts.kind];
  const others = CREDENTIAL_VARIABLES.filter((name) => name !== credential);
  const env: Record<string, string> = Object.fromEntries(others.map((name) => [name, '']));
  if (facts.placeholder !== null) env[credential] = facts.placeholder;
  env['ANTHROPIC_BASE_URL'] = facts.baseUrl ?? '';
  for (const name of PROXY_VARIABLES) env[name] = env[name.toLowerCase()] = facts.proxies[name];
  env['NO_PROXY'] = env['no_proxy'] = facts.noProxy;
  return { ...Object.fromEntries(CREDENTIAL_HELPERS.map((name) => [name, ''])), env };
}

/** The caller's settings with the pins over them; {@link checkSettings} has passed them. */
export function mergeSettings(
  requested: Readonly<Record<string, unknown>> | undefined,
  facts: SettingsFacts,
): Record<string, unknown> {
  const pins = pinnedSettings(facts);
  return { ...requested, ...pins, env: { ...(requested?.['env'] as object | undefined), ...pins.env } };
}

/** The proxies in an environment, whichever way they are written. */
export function proxiesOf(environment: Readonly<Record<string, string | undefined>>): Proxies {
  const value = (name: string) => environment[name] ?? environment[name.toLowerCase()] ?? '';
  return { HTTP_PROXY: value('HTTP_PROXY'), HTTPS_PROXY: value('HTTPS_PROXY'), ALL_PROXY: value('ALL_PROXY') };
}

/** @throws WireError `invalid` for settings that decide where a run goes and as whom, and for an `env` that is no object. */
export function checkSettings(requested: Readonly<Record<string, unknown>>): void {
  for (const name of CREDENTIAL_HELPERS) {
    if (name in requested) throw notAllowed(name, name);
  }
  const env = requested['env'];
  if (env === undefined) return;
  if (typeof env !== 'object' || env === null || Array.isArray(env)) throw invalid('env', 'must be an object');
  for (const name of Object.keys(env)) {
    if (isPinned(name)) throw notAllowed(`env.${name}`, name);
  }
}

function isPinned(name: string): boolean {
  const upper = name.toUpperCase();
  return (
    upper === 'NO_PROXY' || CREDENTIAL_VARIABLES.includes(upper) || PROXY_VARIABLES.some((proxy) => proxy === upper)
  );
}

function notAllowed(field: string, name: string): WireError {
  return invalid(field, `${name} is not allowed; where a run goes and as whom belongs to the agent, not to a dispatch`);
}

function invalid(field: string, message: string): WireError {
  const path = `request.settings.${field}`;
  return new WireError('invalid', `dispatch: request.settings: ${message}`, { issues: [{ path, message }] });
}
