import { type ExecutionState } from '@outrigger/protocol';
import { Gauge, type Registry } from 'prom-client';
import { type Standing } from '../core/pool/choose.js';
import { type Fleet } from '../fleet.js';

const STATES: readonly ExecutionState[] = ['queued', 'starting', 'running', 'held', 'ending'];
const STANDINGS: readonly Standing['is'][] = ['healthy', 'expiring', 'cooling', 'expired', 'invalid'];

/** Asks a fleet how it stands, whenever somebody wants to know. @returns the names of the metrics */
export function gaugeFleet(fleet: Fleet, registry: Registry): string[] {
  const names: string[] = [];
  const gauge = (
    name: string,
    help: string,
    { label, read }: { label?: string; read: (set: (value: number, of?: string) => void) => void },
  ) => {
    names.push(name);
    new Gauge({
      ...{ name, help, registers: [registry] },
      labelNames: label === undefined ? [] : [label],
      collect() {
        read((value, of) => {
          if (label === undefined || of === undefined) this.set(value);
          else this.set({ [label]: of }, value);
        });
      },
    });
  };

  gauge('outrigger_fleet_agents', 'Agents this host is to be connected to, by whether it is', {
    label: 'state',
    read: (set) => {
      const agents = fleet.agents();
      const reached = agents.filter(({ isReached }) => isReached).length;
      set(reached, 'reached');
      set(agents.length - reached, 'unreachable');
    },
  });
  gauge('outrigger_fleet_slots', 'Executions that the agents which are reached may run at a time', {
    read: (set) => {
      const reached = fleet.agents().filter(({ isReached }) => isReached);
      set(reached.reduce((sum, { slots }) => sum + slots, 0));
    },
  });
  gauge('outrigger_fleet_executions', 'Executions that have not ended, by state, as this host heard last', {
    label: 'state',
    read: (set) => {
      const agents = fleet.agents();
      STATES.forEach((state) =>
        set(
          agents.reduce((sum, { executions }) => sum + (executions[state] ?? 0), 0),
          state,
        ),
      );
    },
  });
  gauge('outrigger_fleet_credentials', 'Credentials of the pool, by how they stand', {
    label: 'standing',
    read: (set) => {
      const known = fleet.credentials.known();
      STANDINGS.forEach((is) => set(known.filter(({ standing }) => standing.is === is).length, is));
    },
  });
  gauge('outrigger_fleet_credential_utilization_ratio', 'The fraction used of the limit that is used most', {
    label: 'of',
    read: (set) => {
      const used = fleet.credentials.known().map(({ utilization }) => utilization);
      set(used.length === 0 ? 0 : Math.min(...used), 'least_used');
      set(used.length === 0 ? 0 : Math.max(...used), 'most_used');
    },
  });
  return names;
}
