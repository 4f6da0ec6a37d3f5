import { type Result, type WireErrorCode } from '@outrigger/protocol';

const REFUSED_DISPATCH = [
  'invalid',
  'execution_conflict',
  'execution_forgotten',
  'at_capacity',
  'draining',
  'circuit_open',
  'disk_low',
  'credential_missing',
  'credential_refused',
] as const satisfies readonly WireErrorCode[];

/** How a dispatch can be answered, in one word each; `failed`: with an error of the sidecar's own. */
export const DISPATCH_ANSWERS = [
  'accepted',
  'queued',
  'known',
  'skipped',
  'cancelled',
  ...REFUSED_DISPATCH,
  'failed',
] as const;
export type DispatchAnswer = (typeof DISPATCH_ANSWERS)[number];

const REFUSED_SWAP = ['stale_generation', 'stale_fence'] as const satisfies readonly WireErrorCode[];

/** What can come of a swap; `unchanged`: the same secret was in force. */
export const SWAP_RESULTS = ['applied', 'unchanged', ...REFUSED_SWAP, 'failed'] as const;
export type SwapResult = (typeof SWAP_RESULTS)[number];

/** The status a run got for a request; `cut`: its connection ended without one. */
export const CODE_CLASSES = ['2xx', '3xx', '4xx', '5xx', 'cut'] as const;
export type CodeClass = (typeof CODE_CLASSES)[number];

export function dispatchAnswerOf(result: Pick<Result<'dispatch'>, 'known' | 'state' | 'outcome'>): DispatchAnswer {
  if (result.known) return 'known';
  if (result.state === 'queued') return 'queued';
  const status = result.outcome?.status;
  return status === 'skipped' || status === 'cancelled' ? status : 'accepted';
}

/** @param code Of the error; undefined: it was none of the protocol's. */
export function dispatchRefusalOf(code: string | undefined): DispatchAnswer {
  return REFUSED_DISPATCH.find((known) => known === code) ?? 'failed';
}

export function swapResultOf({ changed }: Pick<Result<'swap_credential'>, 'changed'>): SwapResult {
  return changed ? 'applied' : 'unchanged';
}

/** @param code Of the error; undefined: it was none of the protocol's. */
export function swapRefusalOf(code: string | undefined): SwapResult {
  return REFUSED_SWAP.find((known) => known === code) ?? 'failed';
}

/** @param status Null: none was sent. */
export function codeClassOf(status: number | null): CodeClass {
  return CODE_CLASSES.find((name) => name === `${Math.floor((status ?? 0) / 100)}xx`) ?? 'cut';
}
