/** What a request to the gateway comes to. */
export type Route =
  | { kind: 'forward'; path: string }
  /** The CLI's question whether anybody is there. */
  | { kind: 'probe' }
  | { kind: 'refuse'; status: number; message: string };

/** What Claude Code needs. Exact, because a path can be written in many ways that a provider takes for the same. */
const FORWARDED: readonly { readonly method: string; readonly path: RegExp }[] = [
  { method: 'POST', path: /^\/v1\/messages$/ },
  { method: 'POST', path: /^\/v1\/messages\/count_tokens$/ },
  { method: 'GET', path: /^\/v1\/models(\/[A-Za-z0-9][A-Za-z0-9._:@-]*)?$/ },
];

/** A provider's answer to it is the request itself, credential and all. */
const ECHO = 'TRACE';
const QUERY = /^\?[\x21-\x7e]*$/;
const LOOPBACK_HOST = /^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/i;

export interface RouteFacts {
  readonly method: string;
  /** As it came: path and query. */
  readonly target: string;
  readonly host: string | undefined;
  /** Further paths, exact, that the operator lets through with any method but one that has the request echoed. */
  readonly allowedPaths: readonly string[];
}

/** Whether a request is one that is sent on. A page in a browser that was led here by its name server is not. */
export function routeOf({ method, target, host, allowedPaths }: RouteFacts): Route {
  if (host === undefined || !LOOPBACK_HOST.test(host)) {
    return { kind: 'refuse', status: 421, message: 'this gateway answers to loopback names only' };
  }
  if (method === 'HEAD' && target === '/') return { kind: 'probe' };
  const at = target.indexOf('?');
  const path = at === -1 ? target : target.slice(0, at);
  const query = at === -1 ? '' : target.slice(at);
  const isForwarded =
    (allowedPaths.includes(path) && method !== ECHO) ||
    FORWARDED.some((route) => route.method === method && route.path.test(path));
  if (isForwarded && (query === '' || QUERY.test(query))) return { kind: 'forward', path: path + query };
  return {
    kind: 'refuse',
    status: 403,
    message:
      `${method} ${path.slice(0, 200)} is not what Claude Code needs, so this gateway does not send it on; ` +
      'to reach the provider with a key of your own, unset ANTHROPIC_BASE_URL',
  };
}
