import { type IncomingMessage } from 'node:http';
import { type RawRequest } from './request.js';

/** A body above this is answered 413. */
export const bodyBytesMax = 256 * 1024 * 1024;

/** What can be wrong with a body; the stand-in answers it as the provider does. */
export type BodyProblem = 'too_large' | 'not_json';

/** Reads a whole request. Rejects only when the client goes before its body is there. */
export async function receive(
  message: IncomingMessage,
): Promise<{ raw: Omit<RawRequest, 'index'>; problem: BodyProblem | undefined }> {
  const at = Date.now();
  const chunks: Buffer[] = [];
  let bodyBytes = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    bodyBytes += chunk.length;
    // Read on past the limit, so that the client gets to its answer.
    if (bodyBytes <= bodyBytesMax) chunks.push(chunk);
  }
  const { body, problem } = parse(chunks, bodyBytes);
  const { method = 'GET', url = '/', headers } = message;
  return { raw: { at, method, path: url, headers, body, bodyBytes }, problem };
}

function parse(chunks: Buffer[], bodyBytes: number): { body: unknown; problem: BodyProblem | undefined } {
  if (bodyBytes === 0) return { body: undefined, problem: undefined };
  if (bodyBytes > bodyBytesMax) return { body: undefined, problem: 'too_large' };
  try {
    return { body: JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown, problem: undefined };
  } catch {
    return { body: undefined, problem: 'not_json' };
  }
}
