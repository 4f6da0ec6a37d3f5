/** Lines of Claude Code's stream, for tests. */
import { interpretLine, NEW_STREAM, type Reading, type StreamState } from '../claude/interpret.js';

export const INIT = { type: 'system', subtype: 'init', session_id: 's', model: 'claude-sonnet-5-5' };
export const GOOD = { type: 'result', subtype: 'success', is_error: false, result: 'done' };

export const answer = (text: string, more: object = {}) => ({
  type: 'assistant',
  message: { model: 'claude-sonnet-5-5', content: [{ type: 'text', text }] },
  ...more,
});

/** What the CLI prints as if it were an answer when something failed. */
export const synthetic = (text: string, more: object = {}) => ({
  type: 'assistant',
  message: { model: '<synthetic>', content: [{ type: 'text', text }] },
  ...more,
});

export const toolUse = (id: string, input: unknown = {}) => ({
  type: 'assistant',
  message: { model: 'claude-sonnet-5-5', content: [{ type: 'tool_use', id, name: 'Bash', input }] },
});

export const toolResult = (id: string, content: unknown = 'out') => ({
  type: 'user',
  message: { role: 'user', content: [{ type: 'tool_result', tool_use_id: id, content }] },
});

export interface Heard {
  readonly state: StreamState;
  readonly readings: Reading[];
}

/** What a run has told once it has printed these events, or lines. */
export function hear(events: readonly (object | string)[], from: StreamState = NEW_STREAM): Heard {
  return events.reduce<Heard>(
    (heard, event) => {
      const { state, readings } = interpretLine(heard.state, typeof event === 'string' ? event : JSON.stringify(event));
      return { state, readings: [...heard.readings, ...readings] };
    },
    { state: from, readings: [] },
  );
}
