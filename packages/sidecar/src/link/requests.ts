import { type Request, type RequestType, type Result, type Welcome } from '@outrigger/protocol';
import { type Supervisor } from '../supervision/supervisor.js';
import { type Subscriptions } from './subscriptions.js';

/** What requests of one connection are answered from. */
export interface RequestContext {
  readonly supervisor: Supervisor;
  readonly subscriptions: Subscriptions;
  /** Who this sidecar is, and its credential in force. */
  readonly identity: () => Pick<Welcome, 'agentId' | 'bootId' | 'generation'>;
}

/** How each request is answered, one entry per type. An entry throws a WireError to refuse. */
const HANDLERS: { [T in RequestType]: (frame: Request<T>, context: RequestContext) => Result<T> } = {
  dispatch: ({ executionId, request }, { supervisor }) => supervisor.dispatch(executionId, request),

  cancel: ({ executionId }, { supervisor }) => supervisor.cancel(executionId),

  subscribe: (frame, { supervisor, subscriptions }) => {
    subscriptions.open(frame);
    return supervisor.run(frame.executionId).summary();
  },

  unsubscribe: ({ subscription }, { subscriptions }) => {
    subscriptions.close(subscription);
    return {};
  },

  credit: ({ subscription, bytes }, { subscriptions }) => ({
    creditBytes: subscriptions.get(subscription).addCredit(bytes),
  }),

  ack: ({ executionId }, { supervisor }) => {
    supervisor.acknowledge(executionId);
    return {};
  },

  status: ({ executionId }, { supervisor, identity }) => {
    const { agentId, bootId, generation } = identity();
    const execution = executionId === undefined ? {} : { execution: supervisor.run(executionId).summary() };
    return { agentId, bootId, generation, counts: supervisor.counts(), ...execution };
  },
};

/** Carries out a request. @throws WireError when it is refused. */
export function answerRequest<T extends RequestType>(frame: Request<T>, context: RequestContext): Result<T> {
  const handler = HANDLERS[frame.type as T] as (frame: Request<T>, context: RequestContext) => Result<T>;
  return handler(frame, context);
}
