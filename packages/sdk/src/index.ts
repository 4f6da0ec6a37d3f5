export {
  type Credential,
  type CredentialFailurePolicy,
  type CredentialKind,
  type Cursor,
  CURSOR_START,
  type DispatchRequest,
  type ExecutionState,
  type ExecutionSummary,
  HOLD_REASONS,
  type HoldReason,
  type Log,
  type Machine,
  type Outcome,
  OUTCOME_REASONS,
  OUTCOME_STATUSES,
  type OutcomeReason,
  type OutcomeStatus,
  OutriggerError,
  type Preflight,
  type Usage,
  WIRE_ERRORS,
  WireError,
  type WireErrorCode,
} from '@outrigger/protocol';
export { type Agent, type AgentInfo, type AgentStatus, type SwapOptions } from './agent.js';
export { type BroadcastOptions, type BroadcastReport } from './broadcast.js';
export { type Standing } from './core/pool/choose.js';
export { type Fault, type SwitchReason } from './core/pool/state.js';
export { type ExpiryWarning } from './credentials/expiry-warnings.js';
export { type CredentialInfo, type CredentialName, type CredentialPool } from './credentials/pool.js';
export { type PooledCredential, type ResolveCredential } from './credentials/vault.js';
export { type DrainFailure } from './core/drain-end.js';
export { type DrainOptions, type DrainResult } from './drain.js';
export { SDK_ERRORS, type SdkErrorCode, type SdkErrorMeaning } from './errors.js';
export {
  type CircuitClosed,
  type CircuitOpened,
  type CredentialChanged,
  type CredentialNeeded,
  type CredentialSwitched,
  type Decision,
  type Dispatched,
  type Dispatching,
  type DrainProgress,
  type ExecutionEvent,
  type FleetEvents,
  type GapEvent,
  type HoldEvent,
  type MessageEvent,
  type OutcomeEvent,
  type RateLimit,
  type RateLimitEvent,
  type ReleasedEvent,
  type StateEvent,
  type StderrEvent,
  type StoreFailed,
} from './events.js';
export { type Execution, type SendOptions, type Sent } from './execution.js';
export { type KnownAgent, type ConnectOptions, createFleet, type Fleet, type FleetOptions } from './fleet.js';
export { type Token } from './link/token.js';
export { type Logger } from './logger.js';
export { type ReadOptions } from './reading/source.js';
export { type TextOptions } from './reading/text.js';
export { type FleetLimits } from './limits.js';
export { type FleetDispatch } from './placing.js';
export { type AgentReport } from './reconciler.js';
export { memoryStore, type MemoryStoreOptions } from './store/memory/memory-store.js';
export {
  type Claimant,
  type Conclusion,
  type Document,
  type Evidence,
  type ExecutionKey,
  type ExecutionRecord,
  type OpenExecutions,
  type Permit,
  type Recorded,
  type Store,
} from './store/store.js';
export { type ReconcileReport } from './upkeep.js';
export { type WhileDrainedOptions } from './while-drained.js';
