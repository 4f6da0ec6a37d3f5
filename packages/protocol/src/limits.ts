/**
 * Every limit of the protocol, with its unit in its name. A sidecar states the ones it enforces in `welcome`, so a
 * client needs no knowledge of this file.
 */

const KIB = 1024;
const MIB = 1024 * KIB;
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** Limits that hold for every peer and are not options. */
export const LIMITS = {
  /** Largest WebSocket message either side accepts. A larger one closes the connection with 1009. */
  frameBytesMax: 8 * MIB,
  /** Deepest nesting of arrays and objects in a request. */
  nestingDepthMax: 64,
  /**
   * Log bytes in one `output` or `stderr` frame; control characters can grow sixfold in JSON and still fit a frame. V8 puts a string of
   * more than 128 KiB where it costs several times as much to make, so frames and what they are made from stay below that.
   */
  outputFrameBytes: 64 * KIB,
  /** Longest line that is delivered as one; a longer one is a `gap`. */
  lineBytesMax: 16 * MIB,
  /** Longest `result` text in an outcome; the rest is cut and `resultTruncated` is set. */
  resultBytesMax: 1 * MIB,
  /** Characters in an `executionId`, `agentId` or request `id`. */
  idCharsMax: 128,
  /** Executions in one `snapshot` page. */
  snapshotPageSize: 100,
  /** Executions in one `snapshot` page, as JSON, unless it is a single one: its labels can be several 100 KiB. */
  snapshotPageBytes: 1 * MIB,
  /** Live subscriptions of one connection. */
  subscriptionsPerConnectionMax: 1024,
  /** Largest credit a subscription can hold; more is capped, never an error. */
  creditBytesMax: 64 * MIB,
  /** Time from the upgrade to `hello`. */
  helloTimeoutMs: 10 * SECOND,
  /** Interval of WebSocket pings, both ways. */
  pingIntervalMs: 15 * SECOND,
  /** A connection without any inbound byte for this long is terminated. */
  inboundDeadlineMs: 40 * SECOND,
  /** Times a run can be resumed; see `maxResumes` of a dispatch. */
  resumesMax: 100,
  /** Characters of a credential's secret. */
  secretCharsMax: 16 * KIB,
  /** Executions a `credential_needed` or a drain names; there may be more. */
  executionsNamedMax: 100,
  /** Longest `deadlineMs` and `ttlMs` of a `drain`. */
  drainMaxMs: 24 * HOUR,
  /** How old an answer of the provider may be that a preflight goes by, unless a younger one is asked for. */
  preflightMaxAgeMs: 1 * MINUTE,
  /** How long a cancel for an unknown execution is remembered. */
  cancelMemoryMs: 10 * MINUTE,
  /**
   * A message to an interactive run, and its prompts: UTF-8 bytes of the text as a JSON string. A pipe has room for 64 KiB, and
   * what fits it is written whole or not at all.
   */
  messageBytesMax: 60 * KIB,
  /** Messages to one execution that it has not been told yet. */
  messagesPendingMax: 100,
  /** What they take all together, counted as for `messageBytesMax`. */
  messagesPendingBytesMax: 1 * MIB,
  /** Messages to one execution in all. */
  messagesMax: 1000,
  /** Entries of `args`, `env`, `labels` and the tool lists of a dispatch. */
  listEntriesMax: 256,
  /** Faulty fields an error names; a request can have more of them than its answer has room for. */
  errorIssuesMax: 20,
  /** Characters of a field's path, and of what is wrong with it, in an error. */
  errorIssueCharsMax: 300,
} as const;

/** A duration a caller may choose: what it is when left out, and the most it can be. Milliseconds. */
export interface DurationLimit {
  readonly defaultMs: number;
  readonly maxMs: number;
}

/** Durations of a dispatch, in milliseconds. */
export const DURATIONS = {
  timeoutMs: { defaultMs: 1 * HOUR, maxMs: 24 * HOUR },
  graceMs: { defaultMs: 5 * SECOND, maxMs: 5 * MINUTE },
  idleTimeoutMs: { defaultMs: 10 * MINUTE, maxMs: 24 * HOUR },
  toolStallMs: { defaultMs: 30 * MINUTE, maxMs: 24 * HOUR },
  backgroundTimeoutMs: { defaultMs: 10 * MINUTE, maxMs: 24 * HOUR },
  queueTimeoutMs: { defaultMs: 10 * MINUTE, maxMs: 24 * HOUR },
  holdTimeoutMs: { defaultMs: 15 * MINUTE, maxMs: 24 * HOUR },
  interactiveIdleMs: { defaultMs: 10 * MINUTE, maxMs: 24 * HOUR },
} as const satisfies Record<string, DurationLimit>;

/** How often a run may be resumed, unless the dispatch says otherwise. */
export const MAX_RESUMES_DEFAULT = 3;

/** Bytes of output after which an execution ends `failed: output_limit`, unless the dispatch says otherwise. */
export const MAX_OUTPUT_BYTES_DEFAULT = 1024 * MIB;
