import { type Agent } from '../agent.js';
import { type Execution } from '../execution.js';

/**
 * Resolves when everything was read that the execution had printed by now. An agent sends what there is before it answers a later
 * request, as far as credit goes; so once nothing has come between two requests and their answers, nothing is left.
 */
export async function caughtUp(agent: Agent, execution: Execution): Promise<void> {
  let seen = 0;
  const events = execution.events();
  const counting = (async () => {
    for await (const _event of events) seen += 1;
    return 'ended' as const;
  })();
  for (let before = -1; before !== seen;) {
    before = seen;
    const asked = (async () => {
      for (let answers = 0; answers < 2; answers++) await agent.status();
    })();
    if ((await Promise.race([counting, asked])) === 'ended') return;
  }
  await events.return(undefined);
}
