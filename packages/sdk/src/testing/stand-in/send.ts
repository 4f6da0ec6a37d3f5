import { type ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { type Answer, type MessageAnswer, type Refusal } from './answers.js';
import { type ApiRequest } from './request.js';
import { errorBody, jsonOf, newId, sse, streamOf } from './wire.js';

/** Where an answer goes: the response, what it answers, and a signal that fires when either end has gone. */
export interface Exchange {
  readonly request: ApiRequest;
  readonly response: ServerResponse;
  readonly gone: AbortSignal;
  /** Called before the stand-in itself breaks the connection. */
  readonly breaking: () => void;
  /** Called when the status line is on its way. */
  readonly started: (status: number) => void;
}

/** Sends one answer. Returns when there is nothing more to send, not when the client has it all. */
export async function send(exchange: Exchange, answer: Answer): Promise<void> {
  switch (answer.type) {
    case 'hang':
      return;
    case 'reset':
      exchange.breaking();
      exchange.response.socket?.resetAndDestroy();
      return;
    case 'refusal':
      sendRefusal(exchange, answer);
      return;
    case 'message':
      if (answer.firstByteDelayMs > 0) await delay(answer.firstByteDelayMs, undefined, { signal: exchange.gone });
      await (exchange.request.isStream ? sendStream(exchange, answer) : sendMessage(exchange, answer));
  }
}

/** Sends a JSON value with the headers every answer has. */
export function sendJson(exchange: Exchange, status: number, body: object, headers: Record<string, string> = {}): void {
  const bytes = Buffer.from(JSON.stringify(body));
  begin(exchange, status, { 'content-type': 'application/json', 'content-length': String(bytes.length), ...headers });
  exchange.response.end(bytes);
}

/** Sends an error in the provider's shape. */
export function sendRefusal(exchange: Exchange, answer: Refusal): void {
  const requestId = newId('req');
  sendJson(exchange, answer.status, errorBody(answer, requestId), { 'request-id': requestId, ...answer.headers });
}

async function sendStream(exchange: Exchange, answer: MessageAnswer): Promise<void> {
  const { badEnding, chunkDelayMs } = answer;
  begin(exchange, 200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
    ...answer.headers,
  });
  let chunks = 0;
  for (const { data, isDelta } of streamOf(answer, exchange.request.model ?? 'unknown')) {
    const isAtEnd = isDelta ? chunks === badEnding?.afterChunks : data.type === 'message_delta';
    if (badEnding && isAtEnd) {
      endBadly(exchange, badEnding.how);
      return;
    }
    if (isDelta && chunkDelayMs > 0) await delay(chunkDelayMs, undefined, { signal: exchange.gone });
    await write(exchange, sse(data));
    if (isDelta) chunks += 1;
  }
  exchange.response.end();
}

// Without a stream there are no chunks to count: a bad ending comes in the middle of the body.
async function sendMessage(exchange: Exchange, answer: MessageAnswer): Promise<void> {
  const body = jsonOf(answer, exchange.request.model ?? 'unknown');
  if (!answer.badEnding) {
    sendJson(exchange, 200, body, { 'request-id': newId('req'), ...answer.headers });
    return;
  }
  if (answer.badEnding.how === 'error') {
    sendJson(exchange, 529, overloaded());
    return;
  }
  begin(exchange, 200, { 'content-type': 'application/json', ...answer.headers });
  const whole = JSON.stringify(body);
  await write(exchange, whole.slice(0, whole.length / 2));
  endBadly(exchange, answer.badEnding.how);
}

function endBadly(exchange: Exchange, how: 'cut' | 'silence' | 'error'): void {
  if (how === 'error') exchange.response.end(sse(overloaded()));
  if (how !== 'cut') return;
  exchange.breaking();
  // Closed, not reset: a reset could overtake the chunks that were promised. The missing last chunk makes it a cut.
  exchange.response.socket?.destroy();
}

function overloaded(): ReturnType<typeof errorBody> {
  return errorBody({ errorType: 'overloaded_error', message: 'Overloaded' }, newId('req'));
}

function begin({ response, started }: Exchange, status: number, headers: Record<string, string>): void {
  started(status);
  response.writeHead(status, { 'request-id': newId('req'), ...headers });
}

// Waits until the bytes are with the kernel, so that a slow reader holds the stand-in back and a cut comes after them.
async function write({ response, gone }: Exchange, bytes: string): Promise<void> {
  gone.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    response.write(bytes, (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}
