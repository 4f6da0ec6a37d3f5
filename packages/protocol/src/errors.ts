/** What a code that crosses the wire means, whose fault it is and whether the same request can succeed later. */
export interface WireErrorMeaning {
  readonly meaning: string;
  readonly fault: 'caller' | 'agent';
  readonly retryable: boolean;
}

/** Codes a sidecar answers a request with. */
export const WIRE_ERRORS = {
  invalid: {
    meaning: 'The request is malformed or names something the agent cannot do; `data.issues` lists each field.',
    fault: 'caller',
    retryable: false,
  },
  unknown_type: { meaning: 'The frame type is not part of this protocol version.', fault: 'caller', retryable: false },
  execution_conflict: {
    meaning: 'The executionId is taken by a dispatch with another body.',
    fault: 'caller',
    retryable: false,
  },
  execution_forgotten: {
    meaning:
      'The execution has ended long ago: the agent knows its id, which is not used again, and nothing else of it.',
    fault: 'caller',
    retryable: false,
  },
  unknown_execution: { meaning: 'The agent does not know the executionId.', fault: 'caller', retryable: false },
  not_interactive: {
    meaning: 'The execution was not dispatched as interactive, so nothing can be said to it.',
    fault: 'caller',
    retryable: false,
  },
  input_ended: {
    meaning: 'Nothing more can be said to the execution: its input was ended, or it is ending or has ended.',
    fault: 'caller',
    retryable: false,
  },
  message_conflict: {
    meaning: 'The messageId is taken by a message to the same execution with another text.',
    fault: 'caller',
    retryable: false,
  },
  unknown_subscription: { meaning: 'The connection has no such subscription.', fault: 'caller', retryable: false },
  limit_exceeded: {
    meaning: 'A limit of the connection, or of an execution, is reached; `data.limit` names it.',
    fault: 'caller',
    retryable: false,
  },
  at_capacity: { meaning: 'Every slot of the agent is in use.', fault: 'agent', retryable: true },
  draining: { meaning: 'The agent admits nothing because it is draining.', fault: 'agent', retryable: true },
  circuit_open: {
    meaning: 'Runs have died young on the agent several times in a row; `data.retryAt` is when it tries again.',
    fault: 'agent',
    retryable: true,
  },
  disk_low: {
    meaning: 'The agent has too little disk space for logs, or cannot write down what it would promise.',
    fault: 'agent',
    retryable: true,
  },
  credential_missing: { meaning: 'The agent has no credential to run with.', fault: 'agent', retryable: false },
  credential_refused: {
    meaning:
      'The provider refuses the credential of the agent; `data` has the `reason`, and `retryAt` where it is known.',
    fault: 'agent',
    retryable: false,
  },
  stale_generation: {
    meaning: 'Another credential is in force than the request expected; `data.generation` is the one that is.',
    fault: 'caller',
    retryable: false,
  },
  stale_fence: {
    meaning: 'Another host has leased the agent since; `data.fence` is the highest fence that was seen.',
    fault: 'caller',
    retryable: false,
  },
  internal: { meaning: 'The sidecar failed; its log has the cause.', fault: 'agent', retryable: true },
} as const satisfies Record<string, WireErrorMeaning>;

/** A code that a sidecar answers with; {@link WIRE_ERRORS} says what each means. */
export type WireErrorCode = keyof typeof WIRE_ERRORS;

const errorBrand = Symbol.for('outrigger.error');
const wireErrorBrand = Symbol.for('outrigger.error.wire');

function hasBrand(value: unknown, brand: symbol): boolean {
  return typeof value === 'object' && value !== null && brand in value;
}

/**
 * Base of every error Outrigger throws. `code` is stable and meant for programs, `message` for people.
 *
 * `instanceof` recognises errors of another copy of this package too, because the check is by brand and not by class.
 */
export class OutriggerError extends Error {
  declare readonly name: string;
  readonly code: string;
  readonly data: Readonly<Record<string, unknown>>;

  constructor(code: string, message: string, options: { data?: Record<string, unknown>; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.data = options.data ?? {};
    Object.defineProperty(this, errorBrand, { value: true });
  }

  /** Whether it is an error of this family, whichever copy of the package made it. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return isErrorOf(this, value);
  }
}

/** An error the other side answered a request with. */
export class WireError extends OutriggerError {
  declare readonly name: 'WireError';
  declare readonly code: WireErrorCode;

  constructor(code: WireErrorCode, message: string, data: Record<string, unknown> = {}) {
    super(code, message, { data });
    Object.defineProperty(this, wireErrorBrand, { value: true });
  }

  /** Whether it is an answer of the other side, whichever copy of the package made it. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return isErrorOf(this, value);
  }
}

/** On the prototype, where the first line of a stack and `console.log` look for it. */
for (const [type, name] of [
  [OutriggerError, 'OutriggerError'],
  [WireError, 'WireError'],
] as const) {
  Object.defineProperty(type.prototype, 'name', { value: name, writable: true, configurable: true });
}

/** Outside the classes, since a bundler gives a class that names itself another name. */
function isErrorOf(type: { readonly prototype: unknown }, value: unknown): boolean {
  if (type === OutriggerError) return hasBrand(value, errorBrand);
  if (type === WireError) return hasBrand(value, wireErrorBrand);
  return Object.prototype.isPrototypeOf.call(type.prototype, value as object);
}
