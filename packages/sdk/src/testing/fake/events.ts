import { randomUUID } from 'node:crypto';
import { type AssistantStep, type InitStep, type ResultStep } from './steps.js';

/** The CLI version that the fake stands for. */
export const fakedVersion = '2.1.329';

/** What the fake's lines have in common, and what a later line repeats of earlier ones. */
export interface Session {
  readonly id: string;
  readonly model: string;
  readonly cwd: string;
  readonly startedAtMs: number;
  /** Further prompts can come on stdin. */
  readonly isInteractive: boolean;
  lastText: string;
  hasFailed: boolean;
}

/** The `system/init` line. */
export function initEvent(session: Session, step: InitStep): object {
  return {
    type: 'system',
    subtype: 'init',
    cwd: session.cwd,
    session_id: session.id,
    tools: ['Task', 'Bash', 'Edit', 'Read', 'Write'],
    mcp_servers: [],
    model: step.model ?? session.model,
    permissionMode: 'default',
    slash_commands: [],
    apiKeySource: 'none',
    claude_code_version: fakedVersion,
    output_style: 'default',
    agents: [],
    uuid: randomUUID(),
    ...step.extra,
  };
}

/** An `assistant` line. */
export function assistantEvent(session: Session, step: AssistantStep): object {
  const { error } = step;
  return {
    type: 'assistant',
    message: {
      id: `msg_fake_${randomUUID()}`,
      type: 'message',
      role: 'assistant',
      model: step.model ?? (error === undefined ? session.model : '<synthetic>'),
      content: [{ type: 'text', text: step.text }],
      stop_reason: error === undefined ? null : 'stop_sequence',
      stop_sequence: error === undefined ? null : '',
      usage: { input_tokens: 10, output_tokens: 1 },
    },
    parent_tool_use_id: null,
    session_id: session.id,
    uuid: randomUUID(),
    timestamp: new Date().toISOString(),
    ...(error === undefined ? {} : { error, is_api_error_message: true }),
    ...step.extra,
  };
}

/** A `result` line, its keys in the order of 2.1.329, where `type` comes late. */
export function resultEvent(session: Session, step: ResultStep): object {
  const durationMs = Math.round(performance.now() - session.startedAtMs);
  const usage = {
    input_tokens: 10,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
    output_tokens: 4,
    server_tool_use: { web_search_requests: 0, web_fetch_requests: 0 },
    service_tier: 'standard',
  };
  return {
    duration_api_ms: durationMs,
    stop_reason: 'end_turn',
    session_id: session.id,
    total_cost_usd: step.total_cost_usd ?? 0.000032,
    usage: step.usage ?? usage,
    modelUsage: { [session.model]: { inputTokens: 10, outputTokens: 4, costUSD: step.total_cost_usd ?? 0.000032 } },
    permission_denials: [],
    terminal_reason: step.api_error_status === undefined ? 'completed' : 'api_error',
    is_error: step.is_error ?? false,
    num_turns: step.num_turns ?? 1,
    subtype: step.subtype ?? 'success',
    api_error_status: step.api_error_status ?? null,
    ...(step.errors ? { errors: step.errors } : { result: step.result ?? session.lastText }),
    type: 'result',
    duration_ms: durationMs,
    uuid: randomUUID(),
    ...step.extra,
  };
}
