import { type DispatchRequest, type WireErrorCode } from '@outrigger/protocol';

/** What admission looks at; `live` is counted from the live executions at the moment of asking. */
export interface AdmissionFacts {
  readonly known: { readonly digest: string } | null;
  readonly digest: string;
  readonly isCancelRemembered: boolean;
  readonly isDraining: boolean;
  /** The circuit breaker lets nothing in. */
  readonly isCircuitOpen: boolean;
  readonly hasCredential: boolean;
  readonly isDiskLow: boolean;
  readonly live: number;
  readonly maxExecutions: number;
  readonly queued: number;
  readonly queuedMax: number;
  readonly whenBusy: NonNullable<DispatchRequest['whenBusy']>;
}

export type AdmissionReason = Extract<
  WireErrorCode,
  'draining' | 'circuit_open' | 'credential_missing' | 'disk_low' | 'at_capacity'
>;

export type Admission =
  | { verdict: 'known' }
  | { verdict: 'conflict' }
  | { verdict: 'cancelled' }
  | { verdict: 'refuse'; code: AdmissionReason }
  | { verdict: 'skip'; reason: AdmissionReason }
  | { verdict: 'queue' }
  | { verdict: 'start' };

/** Whether a dispatch starts. A refusal the caller asked to have recorded is `skip`, never a state that lingers. */
export function admit(facts: AdmissionFacts): Admission {
  if (facts.known !== null) return { verdict: facts.known.digest === facts.digest ? 'known' : 'conflict' };
  if (facts.isCancelRemembered) return { verdict: 'cancelled' };
  const reason = refusal(facts);
  if (reason === null) return { verdict: 'start' };
  if (reason === 'at_capacity' && facts.whenBusy === 'queue' && facts.queued < facts.queuedMax)
    return { verdict: 'queue' };
  return facts.whenBusy === 'skip' ? { verdict: 'skip', reason } : { verdict: 'refuse', code: reason };
}

function refusal(facts: AdmissionFacts): AdmissionReason | null {
  if (facts.isDraining) return 'draining';
  if (facts.isCircuitOpen) return 'circuit_open';
  if (!facts.hasCredential) return 'credential_missing';
  if (facts.isDiskLow) return 'disk_low';
  // Who waits is first in line for a slot that has just become free.
  if (facts.live >= facts.maxExecutions || facts.queued > 0) return 'at_capacity';
  return null;
}
