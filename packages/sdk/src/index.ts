export {
  type Cursor,
  CURSOR_START,
  type DispatchRequest,
  type ExecutionState,
  type Log,
  type Outcome,
  OUTCOME_REASONS,
  OUTCOME_STATUSES,
  type OutcomeReason,
  type OutcomeStatus,
  OutriggerError,
  type Usage,
  WIRE_ERRORS,
  WireError,
  type WireErrorCode,
} from '@outrigger/protocol';
export { type Agent, type AgentStatus } from './agent.js';
export { SDK_ERRORS, type SdkErrorCode, type SdkErrorMeaning } from './errors.js';
export {
  type Decision,
  type ExecutionEvent,
  type FleetEvents,
  type GapEvent,
  type MessageEvent,
  type OutcomeEvent,
  type StateEvent,
  type StderrEvent,
} from './events.js';
export { type Execution } from './execution.js';
export { type ConnectOptions, createFleet, type Fleet, type FleetOptions } from './fleet.js';
export { type Token } from './link/token.js';
export { type Logger } from './logger.js';
export { type ReadOptions } from './reading/source.js';
export { type TextOptions } from './reading/text.js';
export { memoryStore, type MemoryStoreOptions } from './store/memory.js';
export { type Conclusion, type ExecutionRecord, type Store } from './store/store.js';
