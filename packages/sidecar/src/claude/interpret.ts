import { LIMITS, type Outcome, type ReasonOf } from '@outrigger/protocol';
import { markedLines } from '../core/marked-lines.js';
import { EMPTY_REPORT, type RunReport } from '../core/outcome.js';
import { blocksOf, isFlagged, parseEvent, type StreamEvent, textOf } from './event.js';
import { classifyFailure, type FailureEvidence, isCredentialFailure, resetTimeInText } from './failures.js';

/** What the stream has said so far, as far as it matters to later lines. */
export interface StreamState {
  readonly report: RunReport;
  readonly openTools: ReadonlySet<string>;
  readonly openTasks: ReadonlySet<string>;
  /** A model has answered in this run: its credential was good then. */
  readonly hasAnswered: boolean;
  /** The last message of this turn, if it was marked as an error. */
  readonly flagged: FailureEvidence | null;
  /** What a model said last in this turn, if nothing marked as an error came after it. */
  readonly lastAnswer: string | null;
  readonly retryAt: number | null;
}

/** What a line means for the supervisor. */
export type Reading =
  | { kind: 'turn_started' }
  /** A model has answered, for the first time. */
  | { kind: 'answered' }
  /** `isOwnTurn`: of a turn that was begun by the end of a background task. */
  | { kind: 'result'; failure: ReasonOf<'failed'> | null; isOwnTurn?: true }
  /** How many background tasks are announced and have not ended. */
  | { kind: 'tasks'; open: number }
  | { kind: 'tools'; open: number }
  /** The provider refused the credential and the CLI is about to try in vain again. */
  | { kind: 'credential_failed'; reason: ReasonOf<'failed'> };

export interface Interpretation {
  readonly state: StreamState;
  readonly readings: readonly Reading[];
}

export const NEW_STREAM: StreamState = {
  report: EMPTY_REPORT,
  openTools: new Set(),
  openTasks: new Set(),
  hasAnswered: false,
  flagged: null,
  lastAnswer: null,
  retryAt: null,
};

/** A line without it cannot matter. */
const MARK = /"(?:assistant|user|system|result|rate_limit_event)"/g;
/** A run that never closes its tools or tasks does not fill memory. */
const OPEN_MAX = 1000;
const ERROR_TEXT_CHARS_MAX = 2000;

/** The lines of a stretch of the stream that can mean something; the others are never made into text. */
export function linesThatMayMatter(bytes: Buffer): string[] {
  return markedLines(bytes, MARK);
}

/** Takes one line of stdout in. A line that is not an event of the stream changes nothing. */
export function interpretLine(state: StreamState, line: string): Interpretation {
  const event = parseEvent(line);
  if (event === null) return { state, readings: [] };
  switch (event.type) {
    case 'system':
      return onSystem(state, event);
    case 'assistant':
      return onAssistant(state, event);
    case 'user':
      return onTools(state, event);
    case 'result':
      return onResult(state, event);
    case 'rate_limit_event':
      return onRateLimit(state, event);
    default:
      return { state, readings: [] };
  }
}

function onSystem(state: StreamState, event: StreamEvent): Interpretation {
  switch (event.subtype) {
    case 'init': {
      const report = withKnown(state.report, { sessionId: event.session_id, model: event.model });
      return { state: { ...state, report, flagged: null, lastAnswer: null }, readings: [{ kind: 'turn_started' }] };
    }
    case 'api_retry':
      return onRetry(state, event);
    case 'task_started':
      // What runs in the foreground is a tool that the turn waits for anyway.
      return onTasks(state, event.is_backgrounded === false ? state.openTasks : plus(state.openTasks, event.task_id));
    case 'task_notification':
      return onTasks(state, minus(state.openTasks, event.task_id));
    case 'background_tasks_changed':
      return onTasks(state, event.tasks === undefined ? state.openTasks : idsOf(event.tasks));
    default:
      return { state, readings: [] };
  }
}

function onTasks(state: StreamState, openTasks: ReadonlySet<string>): Interpretation {
  if (openTasks === state.openTasks) return { state, readings: [] };
  return { state: { ...state, openTasks }, readings: [{ kind: 'tasks', open: openTasks.size }] };
}

function onRetry(state: StreamState, event: StreamEvent): Interpretation {
  const reason = classifyFailure({ subtype: event.subtype, status: event.error_status, error: event.error });
  if (reason === null || !isCredentialFailure(reason)) return { state, readings: [] };
  const report = {
    ...state.report,
    errorText: `The provider refused the credential (${event.error_status ?? event.error ?? ''}). It is wrong, or has expired.`,
  };
  return {
    state: { ...state, report },
    readings: [{ kind: 'credential_failed', reason: refineCredentialFailure(reason, state) }],
  };
}

/** A notice of a retry carries no text: what was accepted earlier in the run and is refused now has expired. */
function refineCredentialFailure(reason: ReasonOf<'failed'>, state: StreamState): ReasonOf<'failed'> {
  return reason === 'auth_invalid' && state.hasAnswered ? 'auth_expired' : reason;
}

function onAssistant(state: StreamState, event: StreamEvent): Interpretation {
  const isFromSubagent = event.parent_tool_use_id != null;
  if (isFlagged(event)) {
    // What fails a subagent is for the run itself to deal with.
    if (isFromSubagent) return { state, readings: [] };
    return { state: { ...state, flagged: evidenceOf(event, textOf(event)), lastAnswer: null }, readings: [] };
  }
  const answered = { ...state, hasAnswered: true };
  const news: Reading[] = state.hasAnswered ? [] : [{ kind: 'answered' }];
  if (isFromSubagent) return withNews(onTools(answered, event), news);
  const lastAnswer = comparable(textOf(event)) || state.lastAnswer;
  const tools = onTools({ ...answered, flagged: null, lastAnswer }, event);
  return withNews(tools, [...news, { kind: 'turn_started' }]);
}

function withNews({ state, readings }: Interpretation, news: readonly Reading[]): Interpretation {
  return { state, readings: [...news, ...readings] };
}

function onTools(state: StreamState, event: StreamEvent): Interpretation {
  let openTools = state.openTools;
  for (const block of blocksOf(event)) {
    if (block.type === 'tool_use') openTools = plus(openTools, block.id);
    if (block.type === 'tool_result') openTools = minus(openTools, block.tool_use_id);
  }
  if (openTools === state.openTools) return { state, readings: [] };
  return { state: { ...state, openTools }, readings: [{ kind: 'tools', open: openTools.size }] };
}

function onRateLimit(state: StreamState, event: StreamEvent): Interpretation {
  const info = event.rate_limit_info;
  if (info?.status !== 'rejected' || info.resetsAt === undefined) return { state, readings: [] };
  return { state: { ...state, retryAt: info.resetsAt * 1000 }, readings: [] };
}

/**
 * `subtype: "success"` alone means nothing: a refused credential ends with it as well. What a result repeats must not
 * have been flagged either.
 */
function onResult(state: StreamState, event: StreamEvent): Interpretation {
  const repeatsFlagged = state.flagged !== null && event.result !== undefined && state.flagged.text === event.result;
  const isGood = event.subtype === 'success' && event.is_error !== true && !repeatsFlagged;
  const failure = isGood ? null : failureOf(state, event);
  const text = truncateUtf8(event.result ?? '', LIMITS.resultBytesMax);
  const report: RunReport = {
    ...withKnown(state.report, {
      sessionId: event.session_id,
      turns: event.num_turns,
      costUsd: event.total_cost_usd,
      usage: event.usage === undefined ? undefined : toUsage(event.usage),
    }),
    resultText: event.result === undefined ? null : text.text,
    isResultTruncated: text.isTruncated,
    errorText: isGood ? null : errorText(event),
    retryAt: failure === 'rate_limited' ? (state.retryAt ?? resetTimeInText(event.result ?? '')) : null,
  };
  const isOwnTurn = event.origin?.kind === 'task-notification';
  // Nothing waits for a tool any longer.
  const tools: Reading[] = state.openTools.size === 0 ? [] : [{ kind: 'tools', open: 0 }];
  return {
    state: { ...state, report, openTools: NEW_STREAM.openTools },
    readings: [...tools, { kind: 'result', failure, ...(isOwnTurn ? { isOwnTurn } : {}) }],
  };
}

/** A result that repeats a model's answer shows what the model said, and nothing about what failed. */
function failureOf(state: StreamState, event: StreamEvent): ReasonOf<'failed'> {
  const isAnswer = event.result !== undefined && comparable(event.result) === state.lastAnswer;
  const own = evidenceOf(event, isAnswer ? undefined : errorText(event));
  const evidence = { ...own, error: own.error ?? state.flagged?.error };
  return classifyFailure(evidence) ?? 'agent_error';
}

function evidenceOf(event: StreamEvent, text: string | undefined): FailureEvidence {
  return {
    status: event.api_error_status,
    error: event.error,
    apiType: event.api_error_type,
    apiError: event.api_error,
    terminalReason: event.terminal_reason,
    subtype: event.subtype,
    text,
  };
}

function errorText(event: StreamEvent): string {
  const errors = (event.errors ?? []).filter((error) => typeof error === 'string');
  const said = event.result ?? (errors.length > 0 ? errors.join('; ') : undefined);
  return beginning(said ?? `Claude Code ended with ${event.subtype ?? 'an error'}.`);
}

function toUsage(usage: NonNullable<StreamEvent['usage']>): NonNullable<Outcome['usage']> {
  return {
    inputTokens: usage.input_tokens,
    outputTokens: usage.output_tokens,
    ...(usage.cache_creation_input_tokens == null
      ? {}
      : { cacheCreationInputTokens: usage.cache_creation_input_tokens }),
    ...(usage.cache_read_input_tokens == null ? {} : { cacheReadInputTokens: usage.cache_read_input_tokens }),
  };
}

/** What a later event does not say, an earlier one still does. */
function withKnown(report: RunReport, values: { [K in keyof RunReport]?: RunReport[K] | undefined }): RunReport {
  return { ...report, ...Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) };
}

/** As much of a text as it takes to tell it from others. */
function comparable(text: string): string {
  return beginning(text.trim());
}

function idsOf(tasks: NonNullable<StreamEvent['tasks']>): ReadonlySet<string> {
  return new Set(tasks.slice(0, OPEN_MAX).map((task) => task.task_id));
}

function plus(set: ReadonlySet<string>, id: string | undefined): ReadonlySet<string> {
  return id === undefined || set.size >= OPEN_MAX ? set : new Set([...set, id]);
}

function minus(set: ReadonlySet<string>, id: string | undefined): ReadonlySet<string> {
  return id === undefined || !set.has(id) ? set : new Set([...set].filter((other) => other !== id));
}

/** Cuts a text to at most `bytesMax` bytes of UTF-8, never within a character. */
export function truncateUtf8(text: string, bytesMax: number): { text: string; isTruncated: boolean } {
  const bytes = Buffer.from(text);
  if (bytes.length <= bytesMax) return { text, isTruncated: false };
  let end = bytesMax;
  while (end > 0 && ((bytes[end] ?? 0) & 0b1100_0000) === 0b1000_0000) end--;
  return { text: bytes.toString('utf8', 0, end), isTruncated: true };
}

/** A copy: a slice would keep the whole text in memory. */
function beginning(text: string): string {
  return Buffer.from(text.slice(0, ERROR_TEXT_CHARS_MAX)).toString();
}
