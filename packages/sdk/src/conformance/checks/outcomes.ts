import { type ConformanceCheck, demand } from '../check.js';
import { type WireClient } from '../client.js';
import { endAtOnce, ofRun } from './executions.js';

const section = '7. Delivery';

const isInSnapshot = (client: WireClient, executionId: string) =>
  client.frames.some(
    (frame) => frame.type === 'snapshot' && frame.executions.some((each) => each.executionId === executionId),
  );

/** How outcomes are delivered. */
export const outcomeChecks: readonly ConformanceCheck[] = [
  {
    id: 'outcome.every-client',
    demand: 'An outcome goes to every connection, whoever dispatched the execution, without credit.',
    section,
    run: async (agent) => {
      const other = await agent.connect();
      const { executionId } = await endAtOnce(agent, await agent.connect());
      await other.waitFor(
        'outcome',
        'the outcome of an execution that another connection dispatched',
        ofRun(executionId),
      );
    },
  },
  {
    id: 'outcome.until-ack',
    demand: 'An outcome is sent again on each new connection until it is acknowledged, and not any more afterwards.',
    section,
    run: async (agent) => {
      const { executionId } = await endAtOnce(agent, await agent.connect());
      for (const time of ['first', 'second']) {
        const client = await agent.connect();
        demand(isInSnapshot(client, executionId), `it is not in the snapshot of the ${time} connection before its ack`);
        await client.waitFor('outcome', `the outcome on the ${time} connection before its ack`, ofRun(executionId));
      }
      const last = await agent.connect();
      await last.request('ack', { executionId });
      await last.request('ack', { executionId });
      const after = await agent.connect();
      await after.request('status', { executionId });
      const isSent = after.frames.some((frame) => frame.type === 'outcome' && ofRun(executionId)(frame));
      demand(!isSent && !isInSnapshot(after, executionId), 'it was sent again although it is acknowledged');
    },
  },
];
