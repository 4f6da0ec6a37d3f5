import { type Agent } from '../../agent.js';
import { type DrainProgress } from '../../events.js';
import { type Context } from '../context.js';
import { pickAgents } from '../session.js';
import { formatDuration } from '../values.js';

export interface DrainFlags {
  all?: boolean;
  /** Milliseconds. */
  deadline: number;
  cancel?: boolean;
  /** Milliseconds. */
  ttl?: number;
}

/** Lets agents finish what runs on them, and admit nothing new. */
export async function drain(context: Context, names: readonly string[], flags: DrainFlags): Promise<void> {
  await using session = await context.connect();
  const { terminal, isJson } = context;
  const options = {
    deadlineMs: flags.deadline,
    atDeadline: flags.cancel === true ? ('cancel' as const) : ('leave' as const),
    ...(flags.ttl !== undefined && { ttlMs: flags.ttl }),
    signal: context.stopping,
  };
  session.fleet.on('drainProgress', (progress) => {
    if (!isJson) terminal.note(describeProgress(progress, Date.now()));
  });
  const drainOne = async (agent: Agent) => {
    const result = await agent.drain(options);
    if (isJson) context.printJson({ agentId: agent.id, ...result });
    else if (result.drained) terminal.print(`${agent.id}: drained`);
    else
      terminal.print(`${agent.id}: not drained (${result.cause ?? ''}); still running: ${result.remaining.join(', ')}`);
    if (!result.drained) context.exitWith('failed');
  };
  await Promise.all(pickAgents(session, names, flags.all).map(drainOne));
}

function describeProgress(
  { agentId, state, remainingCount, deadlineAt }: { agentId: string } & DrainProgress,
  nowMs: number,
) {
  const left = deadlineAt > nowMs ? `, ${formatDuration(deadlineAt - nowMs)} left` : '';
  return `${agentId}: ${state}, ${remainingCount} running${left}`;
}

/** Ends the drains of agents. */
export async function resume(context: Context, names: readonly string[], { all }: { all?: boolean }): Promise<void> {
  await using session = await context.connect();
  for (const agent of pickAgents(session, names, all)) {
    const resumed = await agent.resumeAdmission();
    if (context.isJson) context.printJson({ agentId: agent.id, resumed });
    else context.terminal.print(`${agent.id}: ${resumed ? 'admits again' : 'was not drained'}`);
  }
}
