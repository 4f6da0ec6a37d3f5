import { type AtDeadline, type Drain as PublicDrain } from '@outrigger/protocol';

/**
 * A drain: nothing is admitted, and what runs goes on until the deadline. A value without a clock; times are milliseconds of
 * whichever clock the caller has. The states are drawn at `drainSchema` of the protocol; one that has ended is `null` here.
 */
export interface Drain {
  readonly drainId: string;
  readonly state: Exclude<PublicDrain['state'], 'ended'>;
  readonly startedAt: number;
  readonly deadlineAt: number;
  readonly atDeadline: AtDeadline;
  /** When it ends by itself; null: it does not. */
  readonly expiresAt: number | null;
  /** The sidecar stops once it is over, so admission is not resumed. */
  readonly isFinal: boolean;
}

/** What somebody asks for. */
export interface DrainWish {
  readonly deadlineMs: number;
  readonly atDeadline: AtDeadline;
  /** Null: for good. */
  readonly ttlMs: number | null;
  readonly isFinal: boolean;
}

/**
 * The drain that stands once somebody has asked for one. Two are one: the earlier deadline, the stricter choice, the later
 * end. One that has failed has no deadline left to keep, so what is asked for then is another one.
 *
 * @param drainId of a drain that has to begin
 */
export function requestDrain(
  standing: Drain | null,
  wish: DrainWish,
  { nowMs, drainId }: { readonly nowMs: number; readonly drainId: string },
): Drain {
  const wished: Drain = {
    drainId,
    state: 'draining',
    startedAt: nowMs,
    deadlineAt: nowMs + wish.deadlineMs,
    atDeadline: wish.atDeadline,
    expiresAt: wish.ttlMs === null ? null : nowMs + wish.ttlMs,
    isFinal: wish.isFinal,
  };
  if (standing === null) return wished;
  const kept = { expiresAt: later(standing.expiresAt, wished.expiresAt), isFinal: standing.isFinal || wish.isFinal };
  if (standing.state === 'failed') return { ...wished, ...kept };
  return {
    ...standing,
    ...kept,
    deadlineAt: Math.min(standing.deadlineAt, wished.deadlineAt),
    atDeadline: standing.atDeadline === 'cancel' ? 'cancel' : wish.atDeadline,
  };
}

export interface DrainStep {
  /** Null: it has ended by itself, and admission is resumed. */
  readonly drain: Drain | null;
  /** What still runs is to be cancelled now. */
  readonly mustCancel: boolean;
}

/**
 * Advances a drain to where it has to be now. Of a deadline and an end that have both passed only the earlier one is dealt
 * with; {@link nextLookAt} then says that another look is due.
 *
 * @param live executions that hold a slot
 */
export function advanceDrain(
  drain: Drain,
  { nowMs, live }: { readonly nowMs: number; readonly live: number },
): DrainStep {
  const isDue = drain.state === 'draining' && drain.deadlineAt <= nowMs;
  const isExpired = !drain.isFinal && drain.expiresAt !== null && drain.expiresAt <= nowMs;
  const isOverFirst = !isDue || (drain.expiresAt ?? Infinity) <= drain.deadlineAt;
  if (isExpired && isOverFirst) return { drain: null, mustCancel: false };
  if (live === 0) return { drain: { ...drain, state: 'drained' }, mustCancel: false };
  if (!isDue) return { drain, mustCancel: false };
  const mustCancel = drain.atDeadline === 'cancel';
  return { drain: { ...drain, state: mustCancel ? 'cancelling' : 'failed' }, mustCancel };
}

/** When time alone changes something; null: never. */
export function nextLookAt({ state, deadlineAt, expiresAt, isFinal }: Drain): number | null {
  const moments = [state === 'draining' ? deadlineAt : null, isFinal ? null : expiresAt].filter((at) => at !== null);
  return moments.length === 0 ? null : Math.min(...moments);
}

/** Null, for good, is the latest. */
function later(a: number | null, b: number | null): number | null {
  return a === null || b === null ? null : Math.max(a, b);
}
