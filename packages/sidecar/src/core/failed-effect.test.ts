import { describe, expect, it } from 'vitest';
import { LIMITS, cancel, launched, prepared, tell, treeDead, type Told } from '../testing/lives.js';
import { afterFailure } from './failed-effect.js';
import { newLifecycle } from './lifecycle-state.js';

/** Carries nothing out: every effect fails. */
function failEverything(from: Told, at: number): Told {
  return from.effects.reduce<Told>((told, effect) => {
    const event = afterFailure(effect, at, 'it broke');
    return event === null ? told : failEverything(tell([event], told.state), at);
  }, from);
}

describe('an execution of which nothing can be carried out', () => {
  it('ends as spawn_failed before its process was started', () => {
    const { state } = failEverything(tell([prepared()]), 7);
    expect(state).toMatchObject({
      phase: 'ended',
      verdict: { status: 'failed', reason: 'spawn_failed', at: 7 },
      launchError: 'cannot start the process: it broke',
    });
  });

  it('ends as what ended it, with survivors unknown', () => {
    const { state } = failEverything(tell([cancel(5)], tell([prepared(), launched()]).state), 7);
    expect(state).toMatchObject({ phase: 'ended', verdict: { status: 'cancelled', at: 5 }, survivors: null });
  });

  it('ends as spawn_failed when it cannot be prepared after its wait for a slot', () => {
    const { state } = failEverything(tell([{ type: 'slot_free' }], newLifecycle(LIMITS, 'queued')), 7);
    expect(state).toMatchObject({ phase: 'ended', verdict: { reason: 'spawn_failed' } });
  });

  it('stays ended when its end cannot be told', () => {
    const ended = tell(
      [{ type: 'exited', exit: { at: 1, code: 0, signal: null } }, { type: 'logs_read' }, treeDead()],
      tell([prepared(), launched()]).state,
    );
    expect(failEverything(ended, 2000).state.phase).toBe('ended');
  });
});
