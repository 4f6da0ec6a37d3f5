import { createFleet } from '@outrigger/sdk';

const fleet = createFleet({
  onOutcome: (outcome) => console.log(`${outcome.executionId}: ${outcome.status} (${outcome.reason})`), // save it here
});
const agent = await fleet.connect({
  url: process.env['OUTRIGGER_URL'] ?? 'ws://127.0.0.1:7411',
  token: process.env['OUTRIGGER_TOKEN'] ?? '',
});
// Until somebody swaps another credential in, runs wait; see examples/swap.ts.
fleet.on('credentialNeeded', ({ reason }) => console.error(`the agent needs another credential: ${reason}`));

const execution = await agent.dispatch({
  executionId: `fix-${Date.now()}`, // yours to choose: dispatching it again is harmless
  prompt: 'Fix the failing test and tell me what was wrong.',
  allowedTools: ['Bash', 'Edit'],
  timeoutMs: 20 * 60_000,
});

for await (const text of execution.text()) console.log(text); // each turn once it ended well, never an error of the API
const outcome = await execution.outcome; // whatever its status
process.exitCode = outcome.status === 'succeeded' ? 0 : 1;
await fleet.close();
