import { type Credential } from '@outrigger/protocol';

/** Headers as they came: several of one name as a list. */
export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/** The flag without which the provider takes no OAuth token. */
const OAUTH_BETA = 'oauth-2025-04-20';

/** What a header says, by its name in lower case; several of one name are joined. */
export function lookupIn(headers: Headers): (name: string) => string | undefined {
  return (name) => {
    const value = headers[name];
    return typeof value === 'string' ? value : value?.join(', ');
  };
}

/** About one connection only, so never passed on (RFC 9110, 7.6.1). */
const HOP_BY_HOP: readonly string[] = [
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
];

/** Of a request: credentials that are not ours to pass on, traces of the way, and what is set anew. */
const NOT_SENT: readonly string[] = [
  ...HOP_BY_HOP,
  'authorization',
  'x-api-key',
  'cookie',
  'host',
  'content-length',
  'expect',
  'forwarded',
  'via',
  'anthropic-beta',
];
const NOT_SENT_PREFIXES: readonly string[] = ['x-forwarded-', 'x-real-', 'cf-', 'proxy-'];

const NOT_RETURNED: readonly string[] = [...HOP_BY_HOP, 'set-cookie'];

/**
 * The headers of a request to the provider, with the credential in place of whatever came. Answers are asked for
 * uncompressed: an error has to be read, and a stream must not wait for a compressor's block.
 */
export function requestHeaders(incoming: Headers, credential: Credential): Record<string, string | string[]> {
  const dropped = namedByConnection(incoming);
  const headers: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(incoming)) {
    if (value === undefined || dropped.has(name) || isNotSent(name)) continue;
    headers[name] = typeof value === 'string' ? value : [...value];
  }
  const beta = betaFlags(incoming['anthropic-beta'], credential.kind);
  if (beta !== '') headers['anthropic-beta'] = beta;
  if (credential.kind === 'oauth') headers['authorization'] = `Bearer ${credential.secret}`;
  else headers['x-api-key'] = credential.secret;
  headers['accept-encoding'] = 'identity';
  return headers;
}

/** The headers of an answer, as far as they are about the answer. */
export function responseHeaders(incoming: Headers): Record<string, string | string[]> {
  const dropped = namedByConnection(incoming);
  return Object.fromEntries(
    Object.entries(incoming).flatMap(([name, value]) =>
      value === undefined || dropped.has(name) || NOT_RETURNED.includes(name)
        ? []
        : [[name, typeof value === 'string' ? value : [...value]]],
    ),
  );
}

/** The credentials a request carries. More than one is one too many to be the run's own. */
export function credentialsOf(headers: Headers): string[] {
  const authorization = first(headers['authorization'])?.trim();
  // 1.0.128 sends an empty one beside an API key.
  const isNone = authorization === undefined || /^bearer$/i.test(authorization);
  const bearer = isNone ? [] : [/^bearer +(\S+)$/i.exec(authorization)?.[1] ?? ''];
  const key = first(headers['x-api-key']);
  return [...bearer, ...(key === undefined ? [] : [key])];
}

function betaFlags(value: string | readonly string[] | undefined, kind: Credential['kind']): string {
  const joined = value === undefined ? '' : typeof value === 'string' ? value : value.join(',');
  const flags = joined
    .split(',')
    .map((flag) => flag.trim())
    .filter((flag) => flag !== '');
  const others = flags.filter((flag) => flag !== OAUTH_BETA);
  if (kind === 'api_key') return others.join(',');
  return flags.includes(OAUTH_BETA) ? flags.join(',') : [...flags, OAUTH_BETA].join(',');
}

function isNotSent(name: string): boolean {
  return NOT_SENT.includes(name) || NOT_SENT_PREFIXES.some((prefix) => name.startsWith(prefix));
}

function namedByConnection(headers: Headers): ReadonlySet<string> {
  const value = headers['connection'];
  const joined = value === undefined ? '' : typeof value === 'string' ? value : value.join(',');
  return new Set(joined.split(',').map((name) => name.trim().toLowerCase()));
}

function first(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : value?.[0];
}
