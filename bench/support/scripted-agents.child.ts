/**
 * Scripted agents in a process of their own, to be forked with their number as its argument. Takes one {@link AgentsJob} at a time
 * and answers it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { ScriptedAgents } from '../../test/support/scripted-agents.js';
import { type AgentsJob, type Storm, type Targets } from './storm.js';

let attemptedAt: number[] = [];
let connectedAt: number[] = [];
let left = 0;
let onAcknowledged = (): void => undefined;

const size = Number(process.argv[2]);
const agents = await ScriptedAgents.start({
  agents: size,
  onAttempt: () => void attemptedAt.push(Date.now()),
  onHello: () => void connectedAt.push(Date.now()),
  onAck: () => {
    left -= 1;
    if (left === 0) onAcknowledged();
  },
});

process.on('message', (job: AgentsJob) => void work(job).then((answer) => process.send?.(answer)));
process.on('disconnect', () => process.exit());

async function work(job: AgentsJob): Promise<Targets | Storm> {
  if (job.do === 'forget') agents.forgetAll();
  if (job.do === 'run') {
    agents.run((agentId) => Array.from({ length: job.each }, (_, n) => `${job.prefix}-${agentId}-${n}`));
  }
  if (job.do !== 'storm') return agents.targets;
  attemptedAt = [];
  connectedAt = [];
  left = size;
  const acknowledged = new Promise<void>((resolve) => (onAcknowledged = resolve));
  agents.endAll();
  agents.run((agentId) => [`${job.prefix}-${agentId}`]);
  agents.setAway(job.awayMs > 0);
  const cutAt = Date.now();
  agents.cut();
  await sleep(job.awayMs);
  agents.setAway(false);
  await acknowledged;
  return { cutAt, attemptedAt, connectedAt, acknowledgedAt: Date.now() };
}
