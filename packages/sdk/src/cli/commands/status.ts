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
}

/** Tells how each agent stands. */
export async function status(context: Context, { preflight = false }: StatusFlags): Promise<void> {
  await using session = await context.connect();
  const ask = async (agent: Agent) => ({ status: await agent.status({ preflight }), info: agent.info });
  const standing = await Promise.all(session.agents.map(ask));
  if (context.isJson) {
    for (const { info, status: now } of standing) context.printJson({ ...info, ...now });
    return;
  }
  const { terminal } = context;
  for (const line of layOut(agentColumns(preflight), standing, terminal.columns)) terminal.print(line);
}

export function agentColumns(hasPreflight = false): Column<StandingAgent>[] {
  return [
    { title: 'AGENT', value: ({ info }) => info.agentId },
    { title: 'SLOTS', value: ({ status: { counts } }) => `${counts.live}/${counts.maxExecutions}` },
    { title: 'STATE', value: ({ status: now }) => admissionOf(now), isKept: true },
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

function admissionOf({ drain, circuit, generation }: AgentStatus): string {
  if (drain !== undefined && drain.state !== 'ended') return drain.state;
  if (circuit !== undefined) return `circuit ${circuit.state}`;
  return generation === null ? 'no credential' : 'ready';
}

function credentialOf({ credentialId, generation }: AgentStatus): string {
  return credentialId === null || generation === null ? '-' : `${credentialId}@${generation}`;
}

function verdictOf({ preflight }: AgentStatus): string {
  return preflight === undefined ? '-' : [preflight.verdict, preflight.reason].filter(Boolean).join(':');
}
