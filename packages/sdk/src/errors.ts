import { OutriggerError } from '@outrigger/protocol';

/** What a local code means, whose fault it is and whether the same call can succeed later. */
export interface SdkErrorMeaning {
  readonly meaning: string;
  readonly fault: 'caller' | 'agent' | 'network';
  readonly retryable: boolean;
}

/** Codes the SDK itself fails with. What a sidecar answers comes as a `WireError` with the codes of `WIRE_ERRORS`. */
export const SDK_ERRORS = {
  invalid: {
    meaning: 'An argument is malformed; `data.issues` lists each field where there are several.',
    fault: 'caller',
    retryable: false,
  },
  insecure_url: {
    meaning: 'The URL would send the control token and credentials in the clear, or carries a secret itself.',
    fault: 'caller',
    retryable: false,
  },
  unauthorized: {
    meaning: 'The agent refused the control token, or there is none.',
    fault: 'caller',
    retryable: false,
  },
  agent_mismatch: {
    meaning: 'Another agent than the named one answered; nothing was reconciled. `data.actual` names it.',
    fault: 'caller',
    retryable: false,
  },
  unsupported_version: {
    meaning: 'Client and sidecar share no version of the protocol.',
    fault: 'caller',
    retryable: false,
  },
  already_connected: {
    meaning: 'The fleet has a connection to this agent already.',
    fault: 'caller',
    retryable: false,
  },
  agent_unreachable: {
    meaning: 'The agent could not be reached, or did not answer in time; the request may have been carried out.',
    fault: 'network',
    retryable: true,
  },
  agent_closed: {
    meaning: 'This host is not connected to the agent: `agent.close()` was called, or it never was.',
    fault: 'caller',
    retryable: false,
  },
  fleet_closed: { meaning: 'The fleet was closed with `fleet.close()`.', fault: 'caller', retryable: false },
  unknown_execution: {
    meaning: 'Neither the store nor a connected agent knows the executionId.',
    fault: 'caller',
    retryable: false,
  },
  wrong_agent: {
    meaning: 'The executionId was dispatched to another agent before; `data.agentId` names it.',
    fault: 'caller',
    retryable: false,
  },
  stale_fence: {
    meaning: 'The lease under which this was to be done is not held any more; nothing was written.',
    fault: 'network',
    retryable: true,
  },
  store_unavailable: {
    meaning: 'The store did not answer in time, or not at all; what was asked of it may have been done.',
    fault: 'network',
    retryable: true,
  },
  unreadable_record: {
    meaning: 'The store has something under this executionId that is no record; `data.executionId`.',
    fault: 'caller',
    retryable: false,
  },
  frame_too_large: {
    meaning: 'The request would not fit a frame; nothing was sent. `data.bytes` and `data.bytesMax`.',
    fault: 'caller',
    retryable: false,
  },
  limit_exceeded: {
    meaning: 'A limit of the connection is reached; `data.limit` names it.',
    fault: 'caller',
    retryable: false,
  },
  unknown_credential: {
    meaning: 'Neither the pool nor `resolveCredential` has a credential of that id; `data.id`.',
    fault: 'caller',
    retryable: false,
  },
  credential_expired: {
    meaning:
      'The credential of the agent is past its end, and no other is good; nothing was dispatched. `data.credentialId`, `data.expiresAt`.',
    fault: 'caller',
    retryable: false,
  },
  no_place: {
    meaning: 'No connected agent that would do takes the execution; `data.refusals` says why, by agent.',
    fault: 'caller',
    retryable: true,
  },
  limit_reached: {
    meaning: 'A limit of the fleet or of a credential is used up; nothing was dispatched. `data.limit` names it.',
    fault: 'caller',
    retryable: true,
  },
  output_gap: {
    meaning: 'Output that `text()` needs is not kept any more; `events()` says which bytes.',
    fault: 'agent',
    retryable: false,
  },
  drain_failed: {
    meaning:
      'The agent was not drained, so nothing was replaced; `data.remaining` names what still runs, `data.cause` says why.',
    fault: 'agent',
    retryable: true,
  },
  not_replaced: {
    meaning: 'The function that replaces the container has run, but no new sidecar answered in time.',
    fault: 'agent',
    retryable: false,
  },
  protocol_error: {
    meaning: 'The sidecar broke the protocol; the connection is made anew and reading goes on at the cursor.',
    fault: 'agent',
    retryable: true,
  },
} as const satisfies Record<string, SdkErrorMeaning>;

/** A code of the SDK's own; {@link SDK_ERRORS} says what each means. */
export type SdkErrorCode = keyof typeof SDK_ERRORS;

/** An error of the SDK's own family. */
export function sdkError(
  code: SdkErrorCode,
  message: string,
  options: { data?: Record<string, unknown>; cause?: unknown } = {},
): OutriggerError {
  return new OutriggerError(code, message, options);
}
