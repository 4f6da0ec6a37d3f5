import { type Agent } from '../agent.js';
import { type ConnectOptions, createFleet, type Fleet } from '../fleet.js';
import { UsageError } from './exit-codes.js';

/** An agent that was to be reached and was not. */
export interface Unreached {
  readonly address: ConnectOptions;
  readonly error: unknown;
}

/** Connections of one command. */
export interface Session extends AsyncDisposable {
  readonly fleet: Fleet;
  /** In the order in which they were named. */
  readonly agents: readonly Agent[];
  readonly unreached: readonly Unreached[];
}

/**
 * Reaches as many of the agents as it can, and takes no outcome but those of its own runs.
 *
 * @throws what the first one was not reached for, if none was
 */
export async function openSession(addresses: readonly ConnectOptions[]): Promise<Session> {
  const fleet = createFleet({ outcomes: 'own', clientName: 'outrigger-cli' });
  const tried = await Promise.allSettled(addresses.map((address) => fleet.connect(address)));
  const agents = tried.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  const unreached = addresses.flatMap((address, n) => {
    const each = tried[n];
    return each?.status === 'rejected' ? [{ address, error: each.reason as unknown }] : [];
  });
  if (agents.length === 0) {
    await fleet.close();
    throw unreached[0]?.error;
  }
  return { fleet, agents, unreached, [Symbol.asyncDispose]: () => fleet.close() };
}

/** The agents a command is about: those named, or the only one. @throws UsageError */
export function pickAgents({ agents }: Session, names: readonly string[], isAll = false): readonly Agent[] {
  if (isAll) return agents;
  if (names.length === 0) {
    const [only, ...others] = agents;
    if (only !== undefined && others.length === 0) return [only];
    throw new UsageError(`which agent? name some of ${agents.map(({ id }) => id).join(', ')}, or say --all`);
  }
  return names.map((name) => {
    const agent = agents.find(({ id }) => id === name);
    if (agent === undefined) throw new UsageError(`${name}: no agent of that name was reached`);
    return agent;
  });
}
