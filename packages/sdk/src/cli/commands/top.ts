import { setTimeout as delay } from 'node:timers/promises';
import { createLogUpdate } from 'log-update';
import { type Agent } from '../../agent.js';
import { type RateLimit } from '../../events.js';
import { type Context } from '../context.js';
import { type Session } from '../session.js';
import { type Frame, layOutFrame } from '../top-frame.js';

export interface TopFlags {
  /** Milliseconds between two looks. */
  interval: number;
  once?: boolean;
}

/** Shows agents, slots, runs, holds and credentials as they change, until it is stopped. */
export async function top(context: Context, { interval, once = false }: TopFlags): Promise<void> {
  await using session = await context.connect();
  const { terminal, stopping } = context;
  const limits = new Map<string, RateLimit>();
  session.fleet.on('rateLimit', (limit) => limits.set(limit.agentId, limit));
  const update = createLogUpdate(process.stdout, { showCursor: false });
  while (!stopping.aborted) {
    const frame = await look(session, limits);
    if (context.isJson) context.printJson(frame);
    else {
      const lines = layOutFrame(frame, terminal);
      if (terminal.canRedraw && !once) update(lines.join('\n'));
      else terminal.print(lines.join('\n'));
    }
    if (once) break;
    await delay(interval, undefined, { signal: stopping }).catch(() => undefined);
  }
  if (terminal.canRedraw && !once && !context.isJson) update.done();
}

async function look({ agents, unreached }: Session, limits: ReadonlyMap<string, RateLimit>): Promise<Frame> {
  const views = await Promise.all(agents.map((agent) => lookAt(agent, limits.get(agent.id))));
  return { at: Date.now(), agents: views, unreached: unreached.map(({ url }) => url) };
}

/** An agent that does not answer just now is shown as such. */
async function lookAt(agent: Agent, limit: RateLimit | undefined): Promise<Frame['agents'][number]> {
  const { info } = agent;
  try {
    const [status, executions] = await Promise.all([agent.status(), agent.executions()]);
    return { info, status, executions, ...(limit && { limit }) };
  } catch {
    return { info, status: null, executions: [] };
  }
}
