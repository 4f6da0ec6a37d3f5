import { type Outcome } from '@outrigger/protocol';
import { type ExecutionEvent } from '../events.js';
import { type Execution } from '../execution.js';
import { type Context } from './context.js';
import { formatDuration } from './values.js';
import { inFlags } from './wording.js';

/** Prints what a run says as it says it, on standard error what happens to it; resolves with its outcome. */
export async function followText({ terminal }: Context, execution: Execution): Promise<Outcome> {
  const telling = tell(execution, (line) => terminal.note(line));
  // It fails as the reading of the text does.
  telling.catch(() => undefined);
  for await (const text of execution.text({ commit: 'message' })) terminal.print(text);
  await telling;
  const outcome = await execution.outcome;
  terminal.note(describeOutcome(outcome));
  return outcome;
}

/** Prints every event, a JSON object a line. */
export async function followJson({ printJson }: Context, execution: Execution): Promise<Outcome> {
  for await (const event of execution) printJson(event);
  return execution.outcome;
}

async function tell(execution: Execution, note: (line: string) => void): Promise<void> {
  for await (const event of execution) {
    const line = describeEvent(event, Date.now());
    if (line !== null) note(`${execution.id}: ${line}`);
  }
}

/** Null: it is nothing to tell people of. */
export function describeEvent(event: ExecutionEvent, nowMs: number): string | null {
  switch (event.type) {
    case 'state':
      return event.state === 'ending' || event.state === 'ended' ? null : event.state;
    case 'hold':
      return `held: ${event.reason}, for ${formatDuration(event.until - nowMs)} at most: ${event.message}`;
    case 'released':
      return 'goes on';
    case 'gap':
      return `bytes ${event.start} to ${event.end} of ${event.log} are missing: ${event.reason}`;
    case 'message':
      return event.quarantined ? 'an error of the API was printed as an answer, and is not shown as one' : null;
    case 'stderr':
    case 'rate_limit':
    case 'outcome':
      return null;
  }
}

export function describeOutcome(outcome: Outcome): string {
  const { executionId, status, reason, message, turns, costUsd, acceptedAt, closedAt, heldMs, retryAt } = outcome;
  const facts = [
    formatDuration(closedAt - acceptedAt),
    ...(turns === undefined ? [] : [`${turns} ${turns === 1 ? 'turn' : 'turns'}`]),
    ...(costUsd === undefined ? [] : [`$${costUsd.toFixed(4)}`]),
    ...(heldMs === 0 ? [] : [`held ${formatDuration(heldMs)}`]),
    ...(retryAt === undefined ? [] : [`try again at ${new Date(retryAt).toISOString()}`]),
  ].join(', ');
  const why = status === 'succeeded' ? '' : `: ${inFlags(message)}`;
  return `${executionId}: ${status} (${reason}) after ${facts}${why}`;
}
