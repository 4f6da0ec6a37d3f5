/**
 * A stand-in for the API that costs next to nothing, to be forked with the one credential it takes: it sends `{ port }` once
 * it listens. What it streams is said by the headers `x-bench-deltas` and `x-bench-every-ms`, or `x-bench-bytes` for as fast
 * as they are taken.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const BLOCK = Buffer.alloc(16 * 1024, event('content_block_delta', { index: 0, delta: { text: 'x'.repeat(80) } }));

const credential = process.argv[2] ?? '';
const server = createServer({ keepAliveTimeout: 0, requestTimeout: 0 }, (request, response) => {
  answer(request, response).catch(() => response.destroy());
});
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  await once(request.resume(), 'end');
  const { authorization, 'x-api-key': key } = request.headers;
  if (authorization !== `Bearer ${credential}` && key !== credential) {
    response.writeHead(401).end();
    return;
  }
  const asked = (name: string) => Number(request.headers[`x-bench-${name}`] ?? 0);
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' });
  response.write(event('message_start', { message: { role: 'assistant', content: [], usage: { input_tokens: 10 } } }));
  for (let delta = 0; delta < asked('deltas'); delta++) {
    await sleep(asked('every-ms'));
    response.write(event('content_block_delta', { index: 0, delta: { type: 'text_delta', text: ` word ${delta}` } }));
  }
  for (let bytes = 0; bytes < asked('bytes'); bytes += BLOCK.length) {
    if (!response.write(BLOCK)) await once(response, 'drain');
  }
  response.end(event('message_stop', {}));
}

function event(type: string, data: object): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`;
}
