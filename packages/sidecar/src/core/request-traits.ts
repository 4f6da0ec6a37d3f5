/** What a request to the provider asks for, as far as it matters here. */
export interface RequestTraits {
  readonly model: string | null;
  /** Whether the answer is to come as a stream of events. */
  readonly isStream: boolean;
  /** Whether it asks for one token, which no turn does: the CLI looks how much of a quota is left. */
  readonly isProbe: boolean;
}

/**
 * A longer name is none: hosts are told it, in a frame that has to stay small enough to be sent. Nor is one with what a
 * terminal would obey.
 */
const MODEL_NAME = /^[^\p{Cc}\p{Cs}]{1,256}$/u;
/** How the CLI marks a model that it asks for with a longer context, e.g. `claude-sonnet-4-20250514[1m]`. */
const CONTEXT_MARK = /\[[^\]]*\]$/;

/**
 * Whether a request is one that the CLI makes beside a run's turns, such as one to a small model.
 *
 * @param runModel As the run has told it; null while it has not. 1.0.128 sends its probe before that.
 */
export function isBeside({ model, isProbe }: RequestTraits, runModel: string | null): boolean {
  if (isProbe) return true;
  return model !== null && runModel !== null && model !== runModel.replace(CONTEXT_MARK, '');
}

const UNKNOWN: RequestTraits = { model: null, isStream: false, isProbe: false };

/** @param body Null: it is too large to be looked at, so it is taken for a turn, which is streamed. */
export function traitsOf(body: string | null): RequestTraits {
  if (body === null) return { ...UNKNOWN, isStream: true };
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return UNKNOWN;
  }
  if (typeof value !== 'object' || value === null) return UNKNOWN;
  const { model, stream, max_tokens } = value as { model?: unknown; stream?: unknown; max_tokens?: unknown };
  return {
    model: typeof model === 'string' && MODEL_NAME.test(model) ? model : null,
    isStream: stream === true,
    isProbe: max_tokens === 1,
  };
}
