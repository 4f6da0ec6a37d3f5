/**
 * An agent to play with: the real Claude Code CLI under a sidecar, against a stand-in API on this machine. Its token expires
 * whenever you want it to.
 *
 *     npm run sandbox
 */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { conversation, refusal, startStandInApi, text, toolUse } from '@outrigger/sdk/testing';
import { installedClaude, startSidecar } from '../demo/parts.js';

const TOKENS = ['sk-ant-oat01-sandbox-1', 'sk-ant-oat01-sandbox-2'] as const;
/** What every run does: some turns with a tool, so that there is time to look, and then its answer. */
const STEPS = ['Look around', 'Run the tests', 'Mend what fails', 'Run the tests again'];

const turns = STEPS.map((description) => toolUse('Bash', { command: `sleep 2; echo '${description}'`, description }));
await using api = await startStandInApi({
  accept: [...TOKENS],
  respond: conversation([...turns, text('All done: one test failed for a comma, and passes now.')]),
});
const claude = installedClaude();
// Runs work in the folder of their sidecar unless they are told another.
const folder = await mkdtemp(join(tmpdir(), 'outrigger-sandbox-'));
process.chdir(folder);
await using sidecar = await startSidecar(['--agent-id=sandbox', '--claude', claude.path, '--upstream', api.url], {
  CLAUDE_CODE_OAUTH_TOKEN: TOKENS[0],
});

console.log(`Claude Code ${claude.version} on an agent, against a stand-in API on this machine. ^C ends it.

In another terminal:

  export OUTRIGGER_URL=${sidecar.url} OUTRIGGER_TOKEN=${sidecar.token}
  npx outrigger run "Fix the failing test" --allowed-tools Bash
  npx outrigger top

Press Enter here to let the agent's token expire: its runs are held from their next request on.`);

let expired = 0;
const keys = createInterface({ input: process.stdin });
keys.on('line', () => {
  const [old, next] = expired % 2 === 0 ? TOKENS : ([TOKENS[1], TOKENS[0]] as const);
  expired += 1;
  api.refuse(old, refusal.expired());
  api.stopRefusing(next);
  console.log(`
${old} has expired. To go on with another one:

  echo ${next} | npx outrigger swap --id sandbox-${(expired % 2) + 1}`);
});

await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
keys.close();
await rm(folder, { recursive: true, force: true });
