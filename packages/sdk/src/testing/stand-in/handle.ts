import { type IncomingMessage, type ServerResponse } from 'node:http';
import { type Journal } from './journal.js';
import { receive } from './receive.js';
import { type ApiRequest, describe } from './request.js';
import { answer, answerScriptFailure, type Script } from './routes.js';
import { type Exchange } from './send.js';

/** One request, and what it takes to answer it. */
export interface Incoming {
  readonly message: IncomingMessage;
  readonly response: ServerResponse;
  readonly nextIndex: () => number;
  readonly journal: Journal;
  readonly script: Script;
}

/** Receives one request, notes it, answers it. Never rejects: a client may do anything. */
export async function handle({ message, response, nextIndex, journal, script }: Incoming): Promise<void> {
  // Clients may go at any moment; that shows as `close`, and the error adds nothing to it.
  response.on('error', () => undefined);
  const received = await receive(message).catch(() => undefined);
  if (!received || response.destroyed) return;
  const request = describe({ index: nextIndex(), ...received.raw });
  const exchange = track(request, response, journal);
  journal.add(request);
  try {
    await answer(exchange, received.problem, script);
  } catch (error) {
    // A script that threw. Anything after the client has gone, or the head is out, is the connection's own end.
    if (!exchange.gone.aborted && !response.headersSent) answerScriptFailure(exchange, error);
  }
}

function track(request: ApiRequest, response: ServerResponse, journal: Journal): Exchange {
  const gone = new AbortController();
  let isBroken = false;
  response.once('close', () => {
    request.ended = response.writableFinished ? 'answered' : isBroken || journal.isClosed ? 'broken' : 'aborted';
    request.endedAt = Date.now();
    gone.abort();
    journal.changed(request);
  });
  const breaking = () => void (isBroken = true);
  const started = (status: number) => {
    request.status = status;
    request.firstByteAt = Date.now();
    journal.changed(request);
  };
  return { request, response, gone: gone.signal, breaking, started };
}
