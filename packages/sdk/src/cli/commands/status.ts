import { type ExecutionSummary } from '@outrigger/protocol';
import { type Agent, type AgentInfo, type AgentStatus } from '../../agent.js';
import { type Context } from '../context.js';
import { type Column, layOut } from '../table.js';

export interface StatusFlags {
  preflight?: boolean;
}

/** An agent, what it is and how it stands. */
export interface StandingAgent {
  readonly info: AgentInfo;
  readonly status: AgentStatus;
  readonly executions: readonly ExecutionSummary[];
}

/** Tells how each agent stands. */
export async function status(context: Context, { preflight = false }: StatusFlags): Promise<void> {
  await using session = await context.connect();
  const ask = async (agent: Agent) => {
    const [now, executions] = await Promise.all([agent.status({ preflight }), agent.executions()]);
    return { status: now, executions, info: agent.info };
  };
  const standing = await Promise.all(session.agents.map(ask));
  if (context.isJson) {
    for (const each of standing) context.printJson({ ...each.info, ...each.status, held: countHeld(each) });
    return;
  }
  const { terminal } = context;
  for (const line of layOut(agentColumns(preflight), standing, terminal.columns)) terminal.print(line);
}

export function agentColumns(hasPreflight = false): Column<StandingAgent>[] {
  return [
    { title: 'AGENT', value: ({ info }) => info.agentId },
    { title: 'SLOTS', value: ({ status: { counts } }) => `${counts.live}/${counts.maxExecutions}` },
    { title: 'STATE', value: admissionOf, isKept: true },
    { title: 'CREDENTIAL', value: ({ status: now }) => credentialOf(now) },
    ...(hasPreflight ? [{ title: 'VERDICT', value: ({ status: now }: StandingAgent) => verdictOf(now) }] : []),
    { title: 'QUEUED', value: ({ status: { counts } }) => String(counts.queued) },
    { title: 'UNTAKEN', value: ({ status: now }) => String(countUntaken(now)) },
    { title: 'CLAUDE', value: ({ info }) => info.claudeVersion ?? 'unknown' },
    { title: 'SIDECAR', value: ({ info }) => info.sidecarVersion },
    { title: 'ISOLATION', value: ({ info }) => info.isolation },
  ];
}

/** Outcomes that no host has taken yet. */
export function countUntaken({ counts }: Pick<AgentStatus, 'counts'>): number {
  return Math.max(0, counts.unacknowledged - counts.live - counts.queued);
}

/** Runs that wait for another credential, as theirs was refused. */
export function countHeld({ executions }: Pick<StandingAgent, 'executions'>): number {
  return executions.filter(({ state }) => state === 'held').length;
}

function admissionOf(agent: StandingAgent): string {
  const { drain, circuit, generation } = agent.status;
  const held = countHeld(agent);
  if (drain !== undefined && drain.state !== 'ended') return drain.state === 'failed' ? 'drain failed' : drain.state;
  if (circuit !== undefined) return `circuit ${circuit.state}`;
  if (held > 0) return `held ${held}`;
  return generation === null ? 'no credential' : 'ready';
}

function credentialOf({ credentialId, generation }: AgentStatus): string {
  return credentialId === null || generation === null ? '-' : `${credentialId}@${generation}`;
}

function verdictOf({ preflight }: AgentStatus): string {
  return preflight === undefined ? '-' : [preflight.verdict, preflight.reason].filter(Boolean).join(':');
}
