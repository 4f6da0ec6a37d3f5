import { type ExecutionState, OutriggerError, WIRE_ERRORS } from '@outrigger/protocol';
import { SDK_ERRORS } from '../errors.js';

const CODES = new Set([...Object.keys(WIRE_ERRORS), ...Object.keys(SDK_ERRORS)]);

/** What came of a dispatch, as far as a word for it goes. */
export interface AnsweredDispatch {
  readonly known: boolean;
  /** Of the execution right after the answer. */
  readonly state?: ExecutionState | undefined;
  readonly error?: unknown;
}

/** How a dispatch was answered: one word of a small set, among them the codes of all errors there are. */
export function dispatchAnswer({ known, state, error }: AnsweredDispatch): string {
  if (error instanceof OutriggerError && CODES.has(error.code)) return error.code;
  if (error !== undefined) return 'failed';
  if (known) return 'known';
  return state === 'queued' ? 'queued' : 'accepted';
}
