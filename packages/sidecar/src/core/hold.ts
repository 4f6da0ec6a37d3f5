import { type Lifecycle, type Refusal, type Step } from './lifecycle-state.js';

/** A run waits for another credential. All its holds share one budget of time. */

export function beginHold(state: Lifecycle, at: number, refusal: Refusal): Step {
  const until = at + Math.max(0, state.limits.holdTimeoutMs - state.heldMs);
  // Others tell a hold from the run before it by its later time, in whole milliseconds.
  const since = Math.max(at, (state.since ?? 0) + 1);
  return {
    state: { ...state, hold: { since: at, until, refusal }, refusal, since },
    effects: [{ do: 'set_hold', at: until }, { do: 'announce_state' }],
  };
}

export function endHold(state: Lifecycle, at: number): Step {
  return { state: withoutHold(state, at), effects: [{ do: 'set_hold', at: null }, { do: 'announce_state' }] };
}

export function withoutHold(state: Lifecycle, at: number): Lifecycle {
  return { ...state, hold: null, heldMs: heldUntil(state, at), since: at };
}

/** Milliseconds the run had been held at that moment. */
export function heldUntil({ hold, heldMs }: Lifecycle, at: number): number {
  return heldMs + (hold === null ? 0 : Math.max(0, Math.min(at, hold.until) - hold.since));
}
