import { type RequestType, type Result, WireError } from '@outrigger/protocol';
import { dispatchAnswerOf, dispatchRefusalOf, swapRefusalOf, swapResultOf } from '../core/measures.js';
import { type Meter } from '../metrics/meter.js';

/** Tells of a request that was answered, as far as anybody counts such. */
export function meterAnswer(meter: Meter | undefined, type: RequestType, result: Result<RequestType>): void {
  if (type === 'dispatch') meter?.dispatchAnswered(dispatchAnswerOf(result as Result<'dispatch'>));
  if (type === 'swap_credential') meter?.swapAnswered(swapResultOf(result as Result<'swap_credential'>));
}

/** The same of one that was refused, or failed. */
export function meterRefusal(meter: Meter | undefined, type: RequestType, error: unknown): void {
  const code = error instanceof WireError ? error.code : undefined;
  if (type === 'dispatch') meter?.dispatchAnswered(dispatchRefusalOf(code));
  if (type === 'swap_credential') meter?.swapAnswered(swapRefusalOf(code));
}
