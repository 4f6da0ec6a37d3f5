import { createFleet, type Outcome } from '@outrigger/sdk';
import { fakeScript } from '@outrigger/sdk/testing';
import { expect, it } from 'vitest';
import { startSidecar } from './sidecar.js';

it('stores how a task ended', async () => {
  await using sidecar = await startSidecar();
  const stored: Outcome[] = [];
  await using fleet = createFleet({ onOutcome: (outcome) => void stored.push(outcome) });
  const agent = await fleet.connect(sidecar);

  const execution = await agent.dispatch({ executionId: 'task-1', prompt: 'Any prompt that is no script is echoed.' });

  expect(await execution.outcome).toMatchObject({
    status: 'succeeded',
    result: 'Any prompt that is no script is echoed.',
  });
  expect(stored.map(({ executionId }) => executionId)).toEqual(['task-1']);
});

it('shows what the agent said, and nothing of a run that crashed after it', async () => {
  await using sidecar = await startSidecar();
  await using fleet = createFleet();
  const agent = await fleet.connect(sidecar);
  const prompt = fakeScript([
    { do: 'init' },
    { do: 'assistant', text: 'Half an answer' },
    { do: 'write', to: 'stderr', text: 'out of luck\n' },
    { do: 'exit', code: 3 },
  ]);

  const execution = await agent.dispatch({ prompt });
  const shown: string[] = [];
  for await (const text of execution.text()) shown.push(text);

  expect(shown).toEqual([]);
  expect(await execution.outcome).toMatchObject({ status: 'failed', reason: 'crashed', exit: { code: 3 } });
});
