export { type ConformanceCheck } from './check.js';
export {
  conformanceChecks,
  type ConformanceOptions,
  type ConformanceReport,
  type ConformanceResult,
  runConformance,
} from './run.js';
export { type ConformanceTarget } from './upgrade.js';
