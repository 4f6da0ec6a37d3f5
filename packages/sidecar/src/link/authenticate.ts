import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { type IncomingMessage } from 'node:http';
import { SUBPROTOCOL } from '@outrigger/protocol';
import { monotonicMs } from '../clock.js';
import { type Bucket, takeToken } from '../core/token-bucket.js';

/** Why an upgrade is refused, as an HTTP status and a code for programs. */
export interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The control tokens that are valid now. Two may be, one a line, so that one can be rotated out. */
export interface TokenSource {
  current(): readonly string[];
}

const TOKENS_MAX = 2;
const TOKEN_CHARS_MIN = 16;
/** Failed attempts of one address; after the burst they are refused without a look at the token. */
const FAILURE_LIMITS = { burst: 10, perSecond: 0.5 };
const REMEMBERED_ADDRESSES_MAX = 1000;

export function fixedToken(token: string): TokenSource {
  const tokens = parseTokens(token);
  return { current: () => tokens };
}

/** Hears of a token file once per change: of each new way in which it is bad, and of when it is good again. */
export interface TokenFileHooks {
  onBad(error: Error): void;
  onGoodAgain(): void;
}

/**
 * Tokens of a file, read again when it changes.
 *
 * @throws Error When the file cannot be read or holds no usable token; later on the last good tokens stay valid.
 */
export function fileTokens(path: string, hooks: TokenFileHooks): TokenSource {
  const stamp = () => {
    const { mtimeMs, ino, size } = statSync(path);
    return `${mtimeMs} ${ino} ${size}`;
  };
  let seen = stamp();
  let tokens = parseTokens(readFileSync(path, 'utf8'));
  let problem: string | null = null;
  return {
    current: () => {
      try {
        const now = stamp();
        if (now !== seen) {
          tokens = parseTokens(readFileSync(path, 'utf8'));
          seen = now;
        }
        if (problem !== null) hooks.onGoodAgain();
        problem = null;
      } catch (error) {
        const { message } = error as Error;
        if (problem !== message) hooks.onBad(error as Error);
        problem = message;
      }
      return tokens;
    },
  };
}

function parseTokens(text: string): string[] {
  const tokens = text.split(/\s+/).filter((token) => token !== '');
  if (tokens.length === 0) throw new Error('holds no control token');
  if (tokens.length > TOKENS_MAX) throw new Error(`holds more than ${TOKENS_MAX} control tokens`);
  if (tokens.some((token) => token.length < TOKEN_CHARS_MIN)) {
    throw new Error(`holds a control token of less than ${TOKEN_CHARS_MIN} characters`);
  }
  return tokens;
}

/** Decides on upgrades to WebSocket before anything of them is accepted. */
export class Gatekeeper {
  readonly #tokens: TokenSource;
  readonly #allowedOrigins: readonly string[];
  readonly #failures = new Map<string, Bucket>();

  constructor(tokens: TokenSource, allowedOrigins: readonly string[]) {
    this.#tokens = tokens;
    this.#allowedOrigins = allowedOrigins;
  }

  /** Null: the peer may come in. */
  check(request: IncomingMessage): Refusal | null {
    const address = request.socket.remoteAddress ?? '';
    if (!this.#mayTry(address)) {
      return {
        status: 429,
        code: 'too_many_failures',
        message: 'too many failed attempts; wait some seconds',
        headers: { 'Retry-After': `${Math.ceil(1 / FAILURE_LIMITS.perSecond)}` },
      };
    }
    const refusal = this.#formRefusal(request) ?? this.#tokenRefusal(request);
    if (refusal !== null) this.#countFailure(address);
    return refusal;
  }

  #formRefusal(request: IncomingMessage): Refusal | null {
    const url = request.url ?? '/';
    if (/[?&](access_)?token=/i.test(url)) {
      return {
        status: 400,
        code: 'token_in_url',
        message: 'a token does not belong in a URL, where logs keep it; send it as "Authorization: Bearer …"',
      };
    }
    if (url !== '/') return { status: 404, code: 'not_found', message: 'the protocol is served at /' };
    const { origin } = request.headers;
    if (origin !== undefined && !this.#allowedOrigins.includes(origin)) {
      return { status: 403, code: 'origin_refused', message: 'browsers may not connect; see --allow-origin' };
    }
    const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
    if (offered.includes(SUBPROTOCOL)) return null;
    return { status: 400, code: 'wrong_subprotocol', message: `offer the WebSocket subprotocol ${SUBPROTOCOL}` };
  }

  #tokenRefusal(request: IncomingMessage): Refusal | null {
    const [, token] = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '') ?? [];
    if (token === undefined) return unauthorized('send the control token as "Authorization: Bearer …"');
    const isKnown = this.#tokens.current().filter((valid) => isSame(valid, token)).length > 0;
    return isKnown ? null : unauthorized('the control token is wrong');
  }

  #mayTry(address: string): boolean {
    const bucket = this.#failures.get(address);
    return bucket === undefined || takeToken(bucket, FAILURE_LIMITS, monotonicMs()) !== null;
  }

  #countFailure(address: string): void {
    const bucket = takeToken(this.#failures.get(address) ?? null, FAILURE_LIMITS, monotonicMs());
    this.#failures.delete(address);
    if (bucket !== null) this.#failures.set(address, bucket);
    const [oldest] = this.#failures.keys();
    if (this.#failures.size > REMEMBERED_ADDRESSES_MAX && oldest !== undefined) this.#failures.delete(oldest);
  }
}

function unauthorized(message: string): Refusal {
  return { status: 401, code: 'unauthorized', message, headers: { 'WWW-Authenticate': 'Bearer' } };
}

/** Compares in constant time; digests, because the comparison wants equal lengths. */
function isSame(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
