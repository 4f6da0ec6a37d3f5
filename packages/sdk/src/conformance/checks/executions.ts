import { CURSOR_START, type SidecarFrame } from '@outrigger/protocol';
import { type AgentUnderTest, type ConformanceCheck, demand, show, Skipped } from '../check.js';
import { type WireClient } from '../client.js';
import { SAMPLE_REQUEST } from '../sample-run.js';

/**
 * An execution that has ended without a process, and so costs nothing: it was cancelled before it was dispatched.
 *
 * @throws Skipped when the agent admits nothing
 */
export async function endAtOnce(agent: AgentUnderTest, client: WireClient) {
  const executionId = agent.newId();
  const cancel = await client.request('cancel', { executionId });
  demand(!cancel.known, `a cancel of an id that nobody has used was answered ${show(cancel)}`);
  const reply = await client.ask('dispatch', { executionId, request: { prompt: 'This must not run.' } });
  if (!reply.ok && reply.error.code !== 'invalid') {
    throw new Skipped(`the agent takes no execution now: ${reply.error.code}: ${reply.error.message}`);
  }
  demand(reply.ok, `a dispatch that was cancelled before was refused: ${show(reply)}`);
  const { outcome } = await client.waitFor('outcome', 'the outcome of a cancelled dispatch', ofRun(executionId));
  return { executionId, outcome };
}

export const ofRun =
  (executionId: string) =>
  ({ outcome }: SidecarFrame<'outcome'>) =>
    outcome.executionId === executionId;

/** How executions begin and are asked about. */
export const executionChecks: readonly ConformanceCheck[] = [
  {
    id: 'executions.unknown',
    demand: 'What asks for an execution or a subscription that nobody knows is refused with a code of its own.',
    section: '9. Errors',
    run: async (agent) => {
      const client = await agent.connect();
      const executionId = agent.newId();
      const subscription = 'conformance';
      await client.refused('unknown_execution', 'status', { executionId });
      await client.refused('unknown_execution', 'ack', { executionId });
      const where = { subscription, executionId, from: CURSOR_START, creditBytes: 0 };
      await client.refused('unknown_execution', 'subscribe', where);
      await client.refused('unknown_subscription', 'credit', { subscription, bytes: 1 });
      await client.refused('unknown_subscription', 'unsubscribe', { subscription });
    },
  },
  {
    id: 'cancel.unknown',
    demand:
      'A cancel of an unknown execution is remembered: a dispatch of it ends cancelled: requested, without a process.',
    section: '8. Races',
    run: async (agent) => {
      const { outcome } = await endAtOnce(agent, await agent.connect());
      const { status, reason, attempts } = outcome;
      const isRight = status === 'cancelled' && reason === 'requested' && attempts === 0;
      demand(isRight, `it ended ${status}: ${reason} after ${attempts} attempts`);
    },
  },
  {
    id: 'dispatch.idempotent',
    demand: 'A repeated dispatch is answered known, with the state the execution has, and starts nothing.',
    section: '7. Delivery',
    run: async (agent) => {
      const { executionId, frame } = await agent.sampleRun();
      const client = await agent.connect();
      const again = await client.request('dispatch', { executionId, request: SAMPLE_REQUEST });
      demand(again.known, 'it was answered known: false');
      const isSame = JSON.stringify(again.outcome) === JSON.stringify(frame.outcome);
      demand(
        again.state === 'ended' && isSame,
        `it was answered ${show(again)}, which is not what came as the outcome`,
      );
    },
  },
  {
    id: 'dispatch.conflict',
    demand: 'A dispatch of a known id with another request is refused with execution_conflict.',
    section: '7. Delivery',
    run: async (agent) => {
      const { executionId } = await agent.sampleRun();
      const client = await agent.connect();
      const request = { ...SAMPLE_REQUEST, prompt: 'This must not run.' };
      await client.refused('execution_conflict', 'dispatch', { executionId, request });
    },
  },
];
