import { type ConformanceCheck, demand, show, Skipped } from '../check.js';
import { endAtOnce } from './executions.js';

/** So that an agent whose suite was killed just then admits again by itself. */
const DRAIN_TTL_MS = 30_000;

/** Far above any that is in force. */
const NO_GENERATION = 1_000_000_000;

/** What is done to the agent as a whole. */
export const agentChecks: readonly ConformanceCheck[] = [
  {
    id: 'drain.refuses',
    demand:
      'A draining agent refuses dispatches with draining, says so in welcome, and admits again after resume_admission.',
    section: '4. Frames of the client',
    run: async (agent) => {
      const client = await agent.connect();
      const { counts, drain: standing } = await client.request('status', {});
      if (standing !== undefined) throw new Skipped('the agent is being drained already');
      if (counts.live + counts.queued > 0) throw new Skipped('the agent has work, which a drain would disturb');
      const drain = await client.request('drain', { deadlineMs: DRAIN_TTL_MS, ttlMs: DRAIN_TTL_MS });
      try {
        demand(!drain.joined && drain.state === 'drained', `the drain of an idle agent is ${show(drain)}`);
        const executionId = agent.newId();
        await client.refused('draining', 'dispatch', { executionId, request: { prompt: 'This must not run.' } });
        const newcomer = await agent.connect();
        const welcome = await newcomer.waitFor('welcome', 'a welcome');
        demand(welcome.drain?.drainId === drain.drainId, `welcome says of the drain ${show(welcome.drain)}`);
      } finally {
        const { resumed } = await client.request('resume_admission', {});
        demand(resumed, 'resume_admission was answered resumed: false');
      }
      await endAtOnce(agent, client);
    },
  },
  {
    id: 'credential.stale-generation',
    demand:
      'A swap for another generation than the one in force is refused with stale_generation, which names that one.',
    section: '4. Frames of the client',
    run: async (agent) => {
      const { generation } = await agent.welcome();
      const client = await agent.connect();
      const credential = { id: 'conformance', kind: 'oauth', secret: 'conformance-is-no-credential' };
      const { data } = await client.refused('stale_generation', 'swap_credential', {
        credential,
        ifGeneration: NO_GENERATION,
      });
      demand(
        data?.['generation'] === generation,
        `data.generation is ${show(data?.['generation'])}, not ${show(generation)}`,
      );
    },
  },
];
