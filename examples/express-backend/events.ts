import { type Execution, type Fleet, type Outcome } from '@outrigger/sdk';
import { type RequestHandler } from 'express';
import { type Logger } from 'pino';
import { faultOf } from './errors.js';
import { EventStream, type EventStreamOptions } from './event-stream.js';
import { END, isAfter, type Position, readPosition, StepOrder, writePosition } from './position.js';

/** For steps alone, output is read in small portions. */
const CREDIT_BYTES = 64 * 1024;

export interface EventsOptions extends EventStreamOptions {
  readonly fleet: Fleet;
  readonly logger: Logger;
}

/**
 * Streams what a task says and what becomes of it: `text`, `state`, `hold`, `released`, and its `outcome` as the last event.
 * Texts are committed ones: no error of the API, nothing that may turn out to be unsaid. A client that comes back with
 * `Last-Event-ID`, to whichever process, is told what it has not heard yet.
 */
export function eventsRoute({ fleet, logger, ...options }: EventsOptions): RequestHandler<{ id: string }> {
  return async (request, response) => {
    const from = readPosition(request.get('Last-Event-ID'));
    if (from === END) {
      response.status(204).end(); // which tells an EventSource not to come back
      return;
    }
    const execution = await fleet.execution(request.params.id);
    const stream = new EventStream(response, options);
    // Ends its iterators, wherever they wait.
    stream.over.addEventListener('abort', () => void execution[Symbol.asyncDispose]());
    try {
      const outcome = await tell(execution, stream, from);
      if (outcome !== undefined) await stream.send({ event: 'outcome', id: END, data: outcome });
    } catch (error) {
      const { status, code, message } = faultOf(error);
      if (status >= 500) logger.error({ err: error, id: execution.id }, 'a stream of events failed');
      await stream.send({ event: 'failure', data: { code, message } });
    } finally {
      stream.close();
      logger.info({ id: execution.id }, 'stream closed');
    }
  };
}

/** @returns the outcome, once everything before it was told; undefined if the stream is over before that */
async function tell(execution: Execution, stream: EventStream, from: Position): Promise<Outcome | undefined> {
  let { texts, step } = from;
  const send = (event: string, data: unknown) => stream.send({ event, id: writePosition({ texts, step }), data });

  const tellTexts = async () => {
    let n = 0;
    for await (const text of execution.text({ commit: 'message' })) {
      n += 1;
      if (n <= from.texts) continue;
      texts = n;
      await send('text', { text });
    }
  };
  const tellSteps = async () => {
    const order = new StepOrder();
    for await (const event of execution.events({ creditBytes: CREDIT_BYTES })) {
      if (event.type === 'outcome') return event.outcome;
      if (event.type !== 'state' && event.type !== 'hold' && event.type !== 'released') continue;
      const next = order.of(event);
      if (!isAfter(next, from.step)) continue;
      step = next;
      const { type, ...data } = event;
      await send(type, data);
    }
    return undefined;
  };

  try {
    const [outcome] = await Promise.all([tellSteps(), tellTexts()]);
    return outcome;
  } catch (error) {
    // The output of a task that is long over need not be there any more; its outcome is.
    if (stream.over.aborted || execution.state !== 'ended') throw error;
    const { code, message } = faultOf(error);
    await stream.send({ event: 'incomplete', data: { code, message } });
    return await execution.outcome;
  }
}
