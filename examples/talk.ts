import { createFleet } from '@outrigger/sdk';

const fleet = createFleet();
const agent = await fleet.connect({
  url: process.env['OUTRIGGER_URL'] ?? 'ws://127.0.0.1:7411',
  token: process.env['OUTRIGGER_TOKEN'] ?? '',
});

const execution = await agent.dispatch({
  prompt: 'Find out why the test fails, but change nothing yet.',
  interactive: true,
  interactiveIdleMs: 10 * 60_000, // how long it waits for somebody to say something before it ends well
});

const messages = ['Now fix it.', 'And write a test that would have caught it.'];
for (const [n, text] of messages.entries()) {
  await execution.send(text, { messageId: `${execution.id}-${n}` }); // told once, however often it is sent
}
await execution.end(); // nothing more is to come: the last answer is its outcome

for await (const text of execution.text()) console.log(text); // turn by turn
console.log((await execution.outcome).status);
await fleet.close();
