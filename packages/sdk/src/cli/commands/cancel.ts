import { type Context } from '../context.js';
import { describeOutcome } from '../follow.js';

/** Cancels runs, and waits until their processes are gone. */
export async function cancel(context: Context, executionIds: readonly string[]): Promise<void> {
  await using session = await context.connect();
  for (const executionId of executionIds) {
    const execution = await session.fleet.execution(executionId);
    await execution.cancel();
    const outcome = await execution.outcome;
    if (context.isJson) context.printJson(outcome);
    else context.terminal.print(describeOutcome(outcome));
  }
}
