import { type DetailedRefusal } from '../credentials/holds.js';
import { type CredentialInForce } from '../credentials/slot.js';
import { type GatewayContext } from './context.js';
import { type Gate } from './gate.js';

/** A timer cannot be set for longer. */
const TIMER_MS_MAX = 2 ** 31 - 1;
/** Runs that wait for the same reset do not all ask in the same moment. */
const SPREAD_MS = 2000;

export interface CredentialWait {
  readonly gate: Gate;
  readonly refusal: DetailedRefusal;
  /** Whether the request is one beside the run's own. */
  readonly isSide: boolean;
  readonly signal: AbortSignal;
  /** What was refused; null: there was none. */
  readonly current: CredentialInForce | null;
}

/**
 * Holds a request until another credential is in force, or the one that was refused will be accepted again by what the
 * provider said.
 *
 * @returns Null for a request beside the run's own that has waited as long as the run may: its refusal does not end the run.
 * @throws The signal's reason
 */
export async function waitForCredential(
  { gate, refusal, isSide, signal, current }: CredentialWait,
  { holds }: GatewayContext,
): Promise<CredentialInForce | null> {
  signal.throwIfAborted();
  const cleanups: (() => void)[] = [];
  const after = (ms: number, run: () => void) => {
    const timer = setTimeout(run, Math.min(ms, TIMER_MS_MAX));
    cleanups.push(() => clearTimeout(timer));
  };
  try {
    return await new Promise<CredentialInForce | null>((resolve, reject) => {
      const onGone = () => reject(signal.reason as Error);
      signal.addEventListener('abort', onGone, { once: true });
      cleanups.push(() => signal.removeEventListener('abort', onGone));
      cleanups.push(holds.enter({ executionId: gate.user.executionId, refusal, onRelease: resolve }));
      cleanups.push(isSide ? gate.wait() : gate.hold(refusal));
      if (isSide) after(gate.user.holdTimeoutMs, () => resolve(null));
      const { retryAt } = refusal;
      if (retryAt !== undefined && current !== null) {
        after(Math.max(0, retryAt - Date.now()) + Math.random() * SPREAD_MS, () => resolve(current));
      }
    });
  } finally {
    cleanups.forEach((cleanup) => cleanup());
  }
}
