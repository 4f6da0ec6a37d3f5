import { type OutriggerError } from '@outrigger/protocol';
import { sdkError } from '../errors.js';

/** The control token, or what fetches it; called for each connection, so that it can be rotated. */
export type Token = string | (() => string | Promise<string>);

const HEADER_SAFE = /^[\x21-\x7e]+$/;

/** The token for the next connection. @throws `unauthorized` without ever repeating it */
export async function fetchToken(token: Token, timeoutMs: number): Promise<string> {
  const value = (typeof token === 'string' ? token : await inTime(token, timeoutMs)).trim();
  if (!HEADER_SAFE.test(value)) {
    throw sdkError('unauthorized', 'token: empty, or with characters that cannot stand in a header');
  }
  return value;
}

async function inTime(fetch: () => string | Promise<string>, timeoutMs: number): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(sdkError('unauthorized', `token: not fetched within ${timeoutMs} ms`)), timeoutMs);
    // The link may be closed meanwhile, and must not keep the process waiting.
    timer.unref();
  });
  try {
    return await Promise.race([fetch(), late]);
  } catch (error) {
    throw isOurs(error) ? error : sdkError('unauthorized', 'token: fetching it failed; see `cause`', { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

function isOurs(error: unknown): error is OutriggerError {
  return error instanceof Error && 'code' in error && error.code === 'unauthorized';
}
