import { createFleet } from '@outrigger/sdk';
import { redisStore } from '@outrigger/sdk/redis'; // needs ioredis 5.11 or 6 beside it

const fleet = createFleet({
  store: redisStore({ url: process.env['REDIS_URL'] ?? 'redis://127.0.0.1:6379' }),
  credentials: [
    { id: 'team-a', kind: 'oauth', secret: process.env['TEAM_A_TOKEN'] ?? '' }, // from your vault
    { id: 'team-b', kind: 'oauth', secret: process.env['TEAM_B_TOKEN'] ?? '', maxExecutions: 10 },
  ],
  limits: { maxExecutions: 50 },
  onOutcome: ({ executionId, status }) => console.log(`${executionId} ${status}`), // save it; acknowledged once this resolves
});
fleet.on('credentialSwitched', ({ agentId, to, reason }) => console.log(`${agentId} has ${to} now: ${reason}`));

const token = process.env['OUTRIGGER_TOKEN'] ?? '';
for (const url of (process.env['OUTRIGGER_URLS'] ?? 'ws://127.0.0.1:7411').split(',')) {
  await fleet.connect({ url, token, labels: { zone: 'here' } });
}
const execution = await fleet.dispatch({
  prompt: 'Fix the failing test.',
  agentLabels: { zone: 'here' },
  whenBusy: 'queue',
});
for await (const text of execution.text()) console.log(text);
await execution.outcome;
await fleet.close();
