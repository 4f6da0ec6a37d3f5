import { type Request, type RequestType, type Result, type Welcome, WireError } from '@outrigger/protocol';
import { type Credentials } from '../credentials/credentials.js';
import { type Supervisor } from '../supervision/supervisor.js';
import { type Subscriptions } from './subscriptions.js';

/** What requests of one connection are answered from. */
export interface RequestContext {
  readonly supervisor: Supervisor;
  readonly subscriptions: Subscriptions;
  readonly credentials: Credentials;
  /** Who this sidecar is. */
  readonly identity: () => Pick<Welcome, 'agentId' | 'bootId'>;
}

/** An answer that takes time comes when it is there; others may overtake it. */
type Handler<T extends RequestType> = (frame: Request<T>, context: RequestContext) => Result<T> | Promise<Result<T>>;

/** How each request is answered, one entry per type. An entry throws a WireError to refuse. */
const HANDLERS: { [T in RequestType]: Handler<T> } = {
  dispatch: ({ executionId, request }, { supervisor, credentials }) => {
    if (request.preflight !== true || supervisor.isKnown(executionId)) return supervisor.dispatch(executionId, request);
    return refuseBadCredential(credentials).then(() => supervisor.dispatch(executionId, request));
  },

  cancel: ({ executionId }, { supervisor }) => supervisor.cancel(executionId),

  send_message: ({ executionId, messageId, text }, { supervisor }) =>
    supervisor.talking.send(executionId, { messageId, text }),

  end_input: ({ executionId }, { supervisor }) => supervisor.talking.end(executionId),

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

  status: (frame, { supervisor, credentials, identity }) => {
    const { executionId } = frame;
    const { agentId, bootId } = identity();
    const execution = executionId === undefined ? {} : { execution: supervisor.run(executionId).summary() };
    const standing = { counts: supervisor.counts(), ...supervisor.obstacles };
    const machine = frame.machine === true ? { machine: supervisor.machine } : {};
    const status = { agentId, bootId, ...credentials.identity, ...standing, ...machine, ...execution };
    if (frame.preflight !== true) return status;
    return credentials
      .preflight(frame.preflightMaxAgeMs)
      .then((preflight) => ({ ...status, ...credentials.identity, preflight }));
  },

  swap_credential: ({ credential, ifGeneration, fence }, { credentials, supervisor }) => {
    credentials.fence.pass(fence);
    const swapped = credentials.slot.swap(credential, ifGeneration);
    return supervisor.settle().then(() => swapped);
  },

  drain: ({ type: _type, id: _id, ...wish }, { supervisor }) => supervisor.drain(wish),

  resume_admission: (_frame, { supervisor }) => supervisor.resumeAdmission(),
};

/** What cannot be found out refuses nothing. */
async function refuseBadCredential(credentials: Credentials): Promise<void> {
  const { verdict, reason, message, retryAt } = await credentials.preflight();
  // That there is none is for admission to say, which knows what the caller wants done about it.
  if (verdict !== 'refused' || reason === 'credential_missing') return;
  throw new WireError('credential_refused', `the provider refuses the agent's credential: ${message ?? reason}`, {
    reason,
    ...(retryAt === undefined ? {} : { retryAt }),
  });
}

/** Carries out a request. @throws WireError when it is refused. */
export function answerRequest<T extends RequestType>(
  frame: Request<T>,
  context: RequestContext,
): Result<T> | Promise<Result<T>> {
  const handler = HANDLERS[frame.type as T] as Handler<T>;
  return handler(frame, context);
}
