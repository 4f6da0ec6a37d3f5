import { type CredentialNeeded, createFleet } from '@outrigger/sdk';

const fleet = createFleet();
const connected = fleet.connect({
  url: process.env['OUTRIGGER_URL'] ?? 'ws://127.0.0.1:7411',
  token: process.env['OUTRIGGER_TOKEN'] ?? '',
});

// Told once per refused credential, however many runs wait for another one, and again after a reconnect.
fleet.on('credentialNeeded', (need) => void answer(need).catch(console.error));

async function answer({ reason, generation }: CredentialNeeded): Promise<void> {
  console.log(`the agent needs another credential: ${reason}`);
  const credential = { id: 'team-b', kind: 'oauth', secret: process.env['SPARE_TOKEN'] ?? '' } as const; // from your vault
  const agent = await connected;
  await agent.swapCredential(credential, { ifGeneration: generation }); // stale_generation: another host was faster
}

const agent = await connected;
const execution = await agent.dispatch({ prompt: 'Fix the failing test.', holdTimeoutMs: 5 * 60_000 });
for await (const { type } of execution) if (type === 'hold' || type === 'released') console.log(type);
const { status, heldMs } = await execution.outcome;
console.log(`${status} after ${heldMs > 0 ? 'a hold' : 'no hold'}`);
await fleet.close();
