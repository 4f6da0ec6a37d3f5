import { type Effect, type LifecycleEvent } from './lifecycle-state.js';

/**
 * What it means for an execution that an effect could not be carried out, so that it still ends, with a reason.
 *
 * @returns Null for an effect it can go on without: others were not told, or nothing is left to decide.
 */
export function afterFailure(effect: Effect, at: number, message: string): LifecycleEvent | null {
  switch (effect.do) {
    case 'prepare':
      return { type: 'launch_failed', at, message: `cannot prepare the execution: ${message}` };
    case 'spawn':
      return { type: 'launch_failed', at, message: `cannot start the process: ${message}` };
    case 'adopt':
      return { type: 'adoption_failed', at, message: `cannot take over the process: ${message}`, survivors: null };
    case 'tell_message':
      return { type: 'input_failed', at, message: `it cannot be told anything: ${message}` };
    case 'read_logs':
      return { type: 'logs_read' };
    case 'kill':
      return { type: 'tree_dead', at, survivors: null };
    case 'announce_running':
    case 'announce_state':
    case 'set_hold':
    case 'await_credential':
    case 'set_deadline':
    case 'set_grace':
    case 'announce_ending':
    case 'announce_outcome':
      return null;
  }
}
