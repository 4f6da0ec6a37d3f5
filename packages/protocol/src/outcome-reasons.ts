/** The six ways an execution can end. */
export const OUTCOME_STATUSES = ['succeeded', 'failed', 'timed_out', 'cancelled', 'skipped', 'lost'] as const;

/** One of the ways an execution can end. */
export type OutcomeStatus = (typeof OUTCOME_STATUSES)[number];

/** What a reason means and what to do about it. */
export interface ReasonMeaning {
  readonly status: OutcomeStatus;
  readonly meaning: string;
  /** Whether the same dispatch under a new id can succeed without anybody changing anything. */
  readonly retryable: boolean;
  readonly advice: string;
}

/**
 * Every reason an outcome can have. The set is closed, each reason belongs to one status, and their order settles
 * ties between observations of one kind at one time.
 */
export const OUTCOME_REASONS = {
  completed: {
    status: 'succeeded',
    meaning: 'The run printed a good final result.',
    retryable: false,
    advice: 'Nothing to do.',
  },

  auth_expired: {
    status: 'failed',
    meaning: 'The credential expired and no other came in time.',
    retryable: false,
    advice: 'Give the agent a fresh credential, then dispatch again.',
  },
  auth_revoked: {
    status: 'failed',
    meaning: 'The credential was revoked.',
    retryable: false,
    advice: 'Log in anew; the old credential will not come back.',
  },
  auth_invalid: {
    status: 'failed',
    meaning: 'The provider does not know the credential or does not accept its kind.',
    retryable: false,
    advice: 'Check what was configured as the credential, and whether it has expired.',
  },
  rate_limited: {
    status: 'failed',
    meaning: 'A usage window of the credential is used up.',
    retryable: true,
    advice: 'Dispatch again at `retryAt`, or with another credential.',
  },
  billing: {
    status: 'failed',
    meaning: 'The account has no credit left or is disabled.',
    retryable: false,
    advice: 'Settle it with the provider.',
  },
  permission_denied: {
    status: 'failed',
    meaning: 'The credential is good but may not do what was asked.',
    retryable: false,
    advice: 'Use a credential with the permission the message names.',
  },
  overloaded: {
    status: 'failed',
    meaning: 'The provider was overloaded until the CLI gave up.',
    retryable: true,
    advice: 'Dispatch again later.',
  },
  provider_error: {
    status: 'failed',
    meaning: 'The provider failed until the CLI gave up.',
    retryable: true,
    advice: 'Dispatch again later.',
  },
  network: {
    status: 'failed',
    meaning: 'The provider could not be reached.',
    retryable: true,
    advice: "Check the agent's way out, then dispatch again.",
  },
  model_unavailable: {
    status: 'failed',
    meaning: 'The model does not exist or is not open to this credential.',
    retryable: false,
    advice: 'Name another model.',
  },
  prompt_too_long: {
    status: 'failed',
    meaning: "The conversation no longer fits the model's context.",
    retryable: false,
    advice: 'Shorten the prompt or start a new session.',
  },
  max_turns: {
    status: 'failed',
    meaning: 'The run used up `maxTurns`.',
    retryable: false,
    advice: 'Raise `maxTurns` or resume the session.',
  },
  resume_not_found: {
    status: 'failed',
    meaning: 'The session to resume does not exist on this agent.',
    retryable: false,
    advice: 'Start a new session.',
  },
  output_limit: {
    status: 'failed',
    meaning: 'The run printed more than `maxOutputBytes`.',
    retryable: false,
    advice: 'Raise the limit or find out what it printed.',
  },
  no_result: {
    status: 'failed',
    meaning: 'The process exited well but printed no final result.',
    retryable: true,
    advice: 'Look at the end of its output; dispatch again.',
  },
  crashed: {
    status: 'failed',
    meaning: 'The process ended by a signal or a bad exit code, without a result.',
    retryable: true,
    advice: 'Look at stderr; dispatch again.',
  },
  out_of_memory: {
    status: 'failed',
    meaning: 'The kernel killed the process for want of memory.',
    retryable: true,
    advice: 'Give the agent more memory or fewer slots.',
  },
  spawn_failed: {
    status: 'failed',
    meaning: 'The process could not be started.',
    retryable: false,
    advice: 'The message names the file or folder that is wrong.',
  },
  gateway_bypassed: {
    status: 'failed',
    meaning: 'The run reached a model without going through the gateway.',
    retryable: false,
    advice: "Look for a base URL or provider in the repository's settings.",
  },
  gateway_lost: {
    status: 'failed',
    meaning: 'The gateway could not come back on its port after a restart.',
    retryable: true,
    advice: 'Dispatch again; find out what took the port.',
  },
  agent_error: {
    status: 'failed',
    meaning: 'Claude Code reported an error that is none of the above.',
    retryable: false,
    advice: 'The message is what it said.',
  },

  deadline: {
    status: 'timed_out',
    meaning: '`timeoutMs` passed.',
    retryable: false,
    advice: 'Raise `timeoutMs` or make the task smaller.',
  },
  idle: {
    status: 'timed_out',
    meaning: 'No sign of life for `idleTimeoutMs`.',
    retryable: true,
    advice: 'Dispatch again; the last events say where it stood still.',
  },
  queue: {
    status: 'timed_out',
    meaning: 'No slot became free within `queueTimeoutMs`.',
    retryable: true,
    advice: 'Dispatch elsewhere or later.',
  },
  hold: {
    status: 'timed_out',
    meaning: 'No credential at all came within `holdTimeoutMs`.',
    retryable: true,
    advice: 'Give the agent a credential.',
  },

  superseded: {
    status: 'cancelled',
    meaning: 'Another execution took its place.',
    retryable: false,
    advice: 'Follow the other execution.',
  },
  requested: { status: 'cancelled', meaning: 'Somebody cancelled it.', retryable: false, advice: 'Nothing to do.' },
  drained: {
    status: 'cancelled',
    meaning: 'The agent was drained or stopped and its deadline passed.',
    retryable: true,
    advice: 'Dispatch again on another agent.',
  },

  at_capacity: {
    status: 'skipped',
    meaning: 'Every slot was in use.',
    retryable: true,
    advice: 'Dispatch elsewhere or later.',
  },
  draining: {
    status: 'skipped',
    meaning: 'The agent was draining.',
    retryable: true,
    advice: 'Dispatch on another agent.',
  },
  circuit_open: {
    status: 'skipped',
    meaning: 'The circuit breaker was open after several young deaths.',
    retryable: true,
    advice: 'Find out why runs die young on this agent.',
  },
  credential_missing: {
    status: 'skipped',
    meaning: 'The agent had no credential.',
    retryable: false,
    advice: 'Give the agent a credential.',
  },
  disk_low: {
    status: 'skipped',
    meaning: 'Too little disk space under the state folder.',
    retryable: true,
    advice: 'Free some, or dispatch elsewhere.',
  },

  agent_gone: {
    status: 'lost',
    meaning: 'The agent has not been reachable for the length of its lease.',
    retryable: true,
    advice: 'Dispatch again; if the agent comes back with evidence, the outcome is corrected.',
  },
  sidecar_restarted: {
    status: 'lost',
    meaning: 'The agent came back without its state folder.',
    retryable: true,
    advice: 'Dispatch again; keep the state folder on a volume.',
  },
} as const satisfies Record<string, ReasonMeaning>;

/** Why it ended that way; {@link OUTCOME_REASONS} says what each means. */
export type OutcomeReason = keyof typeof OUTCOME_REASONS;

/** The reasons that belong to one status. */
export type ReasonOf<S extends OutcomeStatus> = {
  [R in OutcomeReason]: (typeof OUTCOME_REASONS)[R]['status'] extends S ? R : never;
}[OutcomeReason];
