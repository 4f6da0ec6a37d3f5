import { register, type Registry } from 'prom-client';
import { type Fleet } from '../fleet.js';
import { countFleet } from './fleet-counts.js';
import { gaugeFleet } from './fleet-gauges.js';
import { Listening } from './listening.js';

export interface FleetMetricsOptions {
  /** Where they are put; one fleet to a registry. @default prom-client's own */
  registry?: Registry;
}

/** The metrics of a fleet. */
export interface FleetMetrics {
  /** Stops counting, and takes the metrics out of the registry. */
  close(): void;
}

/**
 * Tells Prometheus how a fleet does, as this host sees it: agents, executions, dispatches, outcomes, credentials, reconciliation and
 * the store; `docs/metrics.md` has them all. Call it before the first `connect`, and serve the registry as you serve your own.
 * No label names an execution, an agent or a credential.
 *
 * @throws Error when the registry has metrics of a fleet already
 */
export function fleetMetrics(fleet: Fleet, { registry = register }: FleetMetricsOptions = {}): FleetMetrics {
  const listening = new Listening(fleet);
  const names = [...gaugeFleet(fleet, registry), ...countFleet(listening, registry)];
  return {
    close: () => {
      listening.stop();
      for (const name of names) registry.removeSingleMetric(name);
    },
  };
}
