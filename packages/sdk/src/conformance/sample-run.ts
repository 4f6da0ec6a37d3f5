import { type DispatchRequest, type SidecarFrame } from '@outrigger/protocol';
import { type AgentUnderTest, demand, show, Skipped } from './check.js';
import { RUN_MS_MAX } from './limits.js';

/** Harmless, and answered in a word. A refused credential ends the run instead of holding it. */
export const SAMPLE_REQUEST: DispatchRequest = {
  prompt: 'Answer with the single word "ok". Use no tools and read no files.',
  maxTurns: 1,
  timeoutMs: RUN_MS_MAX,
  onCredentialFailure: 'fail',
};

/** Refusals that say something of the agent as it stands, and nothing of the protocol. */
const NOT_NOW = ['at_capacity', 'draining', 'circuit_open', 'credential_missing', 'credential_refused', 'disk_low'];

/** A run that has ended, however it did. */
export interface SampleRun {
  readonly executionId: string;
  readonly frame: SidecarFrame<'outcome'>;
}

/** Dispatches the sample and waits for its end. @throws Skipped when the agent takes nothing now */
export async function runSample(agent: AgentUnderTest): Promise<SampleRun> {
  const client = await agent.connect();
  const executionId = agent.newId();
  const reply = await client.ask('dispatch', { executionId, request: SAMPLE_REQUEST });
  if (!reply.ok && NOT_NOW.includes(reply.error.code)) {
    throw new Skipped(`the agent takes no execution now: ${reply.error.code}: ${reply.error.message}`);
  }
  demand(reply.ok, `the dispatch of a plain prompt was refused: ${show(reply)}`);
  const isIt = ({ outcome }: SidecarFrame<'outcome'>) => outcome.executionId === executionId;
  const frame = await client.waitFor('outcome', 'the outcome of the run', isIt, RUN_MS_MAX + 60_000);
  return { executionId, frame };
}
