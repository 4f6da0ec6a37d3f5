import { createFleet, memoryStore, type Outcome, type Store } from '@outrigger/sdk';
import { redisStore } from '@outrigger/sdk/redis';
import { describe, expect, it } from 'vitest';
import { startRedis } from './support/redis.js';
import { ScriptedAgents } from './support/scripted-agents.js';

const AGENTS = 50;
const numbers = Array.from({ length: AGENTS }, (_, n) => n);

describe('agents that lose their connections at the same moment', () => {
  it.each(['memory', 'Redis'])(
    'are all reached again and reconciled, each by a connection of its own, over a store in %s (R13)',
    async (kind) => {
      await using redis = kind === 'Redis' ? await startRedis() : null;
      const store: Store = redis === null ? memoryStore() : redisStore({ url: redis.url });
      const hellos: string[] = [];
      await using agents = await ScriptedAgents.start({ agents: AGENTS, onHello: (id) => void hellos.push(id) });
      const handled: Outcome[] = [];
      await using fleet = createFleet({
        store,
        onOutcome: (outcome) => void handled.push(outcome),
        // Nothing is to be found by the round that is made from time to time.
        ...{ reconcileIntervalMs: 600_000, lostAfterMs: 1_200_000 },
      });
      agents.run((agentId) => [`before-${agentId}`]);
      await Promise.all(agents.targets.map((target) => fleet.connect(target)));

      // What each of them has to tell comes with its next connection alone.
      agents.endAll();
      agents.run((agentId) => [`after-${agentId}`]);
      agents.cut();

      const ids = (when: string) => numbers.map((n) => `${when}-agent-${n}`).sort();
      await expect.poll(() => agents.acknowledged.sort(), { timeout: 30_000 }).toEqual(ids('before'));
      expect(handled.map(({ executionId }) => executionId).sort()).toEqual(ids('before'));
      const adopted = async () => {
        const open = await Promise.all(numbers.map((n) => store.openExecutions(`agent-${n}`)));
        return open.flatMap(({ records }) => records.map(({ executionId }) => executionId)).sort();
      };
      await expect.poll(adopted, { timeout: 30_000 }).toEqual(ids('after'));
      expect(hellos).toHaveLength(2 * AGENTS);
    },
  );
});
