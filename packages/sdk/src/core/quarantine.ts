import { assistantText, isErrorMessage, isGoodResult, type StreamMessage } from './stream-message.js';

/**
 * Tells error text printed as if it were an answer.
 *
 * The CLI prints what the API refused as an assistant message, and repeats it as the `result` of its last line, which
 * may even say `subtype: "success"`.
 */
export interface Quarantine {
  /** Latest error texts, to know a result that repeats one. */
  readonly errorTexts: readonly string[];
}

export const EMPTY_QUARANTINE: Quarantine = { errorTexts: [] };

/** Error texts remembered. The CLI repeats the last; a few more allow for background tasks in between. */
const ERROR_TEXTS_MAX = 16;

/** Judges the next message of the stream. */
export function quarantine(state: Quarantine, message: StreamMessage): { state: Quarantine; isQuarantined: boolean } {
  if (isErrorMessage(message)) {
    const text = assistantText(message).trim();
    if (text === '') return { state, isQuarantined: true };
    return { state: { errorTexts: [...state.errorTexts, text].slice(-ERROR_TEXTS_MAX) }, isQuarantined: true };
  }
  if (message['type'] !== 'result') return { state, isQuarantined: false };
  const text = typeof message['result'] === 'string' ? message['result'].trim() : '';
  return { state, isQuarantined: !isGoodResult(message) || state.errorTexts.includes(text) };
}
