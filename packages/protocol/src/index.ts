export { type AtDeadline, type Circuit, type Drain } from './admission.js';
export { CLOSE_CODES, type CloseCodeMeaning, type CloseReason, closeMeaning } from './close-codes.js';
export { type Decoded, type DecodeFailure, decodeClientFrame, decodeSidecarFrame, encodeFrame } from './core/codec.js';
export { mergeObservations, type Observation, type Verdict } from './core/merge.js';
export { negotiateVersion, PROTOCOL_VERSIONS, SUBPROTOCOL } from './core/negotiate.js';
export {
  type Credential,
  type CredentialFailurePolicy,
  type CredentialKind,
  credentialSchema,
  HOLD_REASONS,
  type HoldReason,
} from './credential.js';
export { OutriggerError, WIRE_ERRORS, WireError, type WireErrorCode, type WireErrorMeaning } from './errors.js';
export {
  CLIENT_FRAME_SCHEMAS,
  type ClientFrame,
  type Hello,
  type Request,
  REQUEST_SCHEMAS,
  type RequestType,
} from './frames/client.js';
export { type DispatchRequest, dispatchRequestSchema } from './frames/dispatch.js';
export { messageBytes } from './frames/message.js';
export {
  type ExecutionSummary,
  type Hold,
  type Machine,
  type Preflight,
  type Reply,
  type Result,
  RESULT_SCHEMAS,
  SIDECAR_FRAME_SCHEMAS,
  type SidecarFrame,
  type SidecarFrameType,
  type Welcome,
} from './frames/sidecar.js';
export { type DurationLimit, DURATIONS, LIMITS, MAX_OUTPUT_BYTES_DEFAULT, MAX_RESUMES_DEFAULT } from './limits.js';
export { type Outcome, outcomeSchema, type Usage } from './outcome.js';
export {
  OUTCOME_REASONS,
  OUTCOME_STATUSES,
  type OutcomeReason,
  type OutcomeStatus,
  type ReasonMeaning,
  type ReasonOf,
} from './outcome-reasons.js';
export { type Cursor, CURSOR_START, cursorSchema, type ExecutionState, idSchema, type Log } from './values.js';
