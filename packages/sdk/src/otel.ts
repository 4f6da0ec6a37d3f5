export { traceFleet, type FleetTraces, type TraceFleetOptions } from './observing/fleet-traces.js';
