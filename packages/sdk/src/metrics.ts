export { fleetMetrics, type FleetMetrics, type FleetMetricsOptions } from './observing/fleet-metrics.js';
