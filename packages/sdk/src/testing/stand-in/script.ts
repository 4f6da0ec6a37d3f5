import { type Answer } from './answers.js';
import { type ApiRequest } from './request.js';

/**
 * What to answer: an answer, or a function that picks one for a request; its pick may be a function again, so scripts
 * nest. It is asked once per request, retries of the client included.
 */
export type Step = Answer | ((request: ApiRequest) => Step | Promise<Step>);

/**
 * A script for one conversation: step `n` answers the request that already carries `n` turns of the assistant; the last
 * step answers everything after it. It keeps no state, so it is right under the client's retries and for any number
 * of runs side by side.
 *
 * A refusal adds no turn to the conversation, so as a step it repeats until something else changes; use
 * {@link inOrder} for "refuse once, then answer".
 *
 * @example conversation([toolUse('Bash', { command: 'ls' }), text('done')])
 * @throws RangeError without steps
 */
export function conversation(steps: readonly Step[]): Step {
  const last = lastOf(steps);
  return (request) => steps[request.turn] ?? last;
}

/**
 * The first request gets the first step, and so on; the last step answers everything after it. One counter for all
 * conversations it serves, retries included.
 *
 * @example conversation([inOrder([refusal.overloaded(), text('hello')])])
 * @throws RangeError without steps
 */
export function inOrder(steps: readonly Step[]): Step {
  const last = lastOf(steps);
  let next = 0;
  return () => steps[next++] ?? last;
}

/** The answer that `step` comes down to for `request`. */
export async function pick(step: Step, request: ApiRequest): Promise<Answer> {
  let picked = step;
  while (typeof picked === 'function') picked = await picked(request);
  return picked;
}

function lastOf(steps: readonly Step[]): Step {
  const last = steps.at(-1);
  if (last === undefined) throw new RangeError('A script needs at least one step.');
  return last;
}
