import { type ServerResponse } from 'node:http';
import { lookupIn, responseHeaders } from '../core/gateway-headers.js';
import { type Answer } from './judge-answer.js';

/** As much of an error as is repeated within a stream. */
const ERROR_BYTES_MAX = 64 * 1024;

export interface HandOnOptions {
  /** The client has status 200 already. */
  readonly hasBegun: boolean;
  readonly isStream: () => boolean;
  readonly onTraffic: () => void;
}

/** Hands an answer on to the client, byte for byte. @throws What either connection fails with */
export async function handOn(answer: Answer, response: ServerResponse, options: HandOnOptions): Promise<void> {
  const { status, headers, body } = answer;
  if (status >= 300 && status < 400)
    throw new Error(`the provider answered with a redirect (${status}), which is not followed`);
  if (options.hasBegun && status >= 400) {
    await sayLate(answer, response, options);
    return;
  }
  // The client has the head already, and would take what is compressed for the answer.
  const encoding = lookupIn(headers)('content-encoding') ?? 'identity';
  if (options.hasBegun && encoding !== 'identity')
    throw new Error('the provider answered compressed after the client had been told 200');
  if (!options.hasBegun) {
    response.writeHead(status, responseHeaders(headers));
    // What has come already goes in one write with the head; else the head goes at once. Node's own `flushHeaders` would
    // send it as UTF-8, which is not what came.
    if (!body.hasMore) response.write(Buffer.alloc(0));
  }
  await body.handTo(response, options.onTraffic);
}

/** A failure of a request that was told 200: an error within the stream, or a cut, which the client asks about again. */
async function sayLate({ status, body }: Answer, response: ServerResponse, { isStream }: HandOnOptions): Promise<void> {
  const text = await body.look(ERROR_BYTES_MAX);
  if (!isStream()) throw new Error(`the provider answered with status ${status} after the client had been told 200`);
  response.end(`event: error\ndata: ${errorOf(status, text)}\n\n`);
}

function errorOf(status: number, text: string): string {
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    const message = `the provider answered with status ${status}`;
    return JSON.stringify({ type: 'error', error: { type: 'api_error', message } });
  }
}
