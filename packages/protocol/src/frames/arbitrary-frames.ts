import fc from 'fast-check';
import { HOLD_REASONS } from '../credential.js';
import { LIMITS } from '../limits.js';
import { OUTCOME_REASONS, type OutcomeReason } from '../outcome-reasons.js';
import { type ClientFrame, type RequestType } from './client.js';
import { SIDECAR_FRAME_SCHEMAS, type SidecarFrame, type SidecarFrameType } from './sidecar.js';

/** Arbitrary frames of every type, for property tests. A frame type without an entry here does not compile. */

type Shape = Record<string, fc.Arbitrary<unknown>>;

/** An object with the fields of `required` and any of those of `optional`. */
function object(required: Shape, optional: Shape = {}): fc.Arbitrary<Record<string, unknown>> {
  const requiredKeys = Object.keys(required);
  return fc.record({ ...required, ...optional }, { requiredKeys, noNullPrototype: true });
}

const id = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,20}$/);
const count = fc.oneof(fc.nat(), fc.constantFrom(0, Number.MAX_SAFE_INTEGER));
const attempt = fc.integer({ min: 1, max: 1000 });
const epochMs = fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }).map((at) => at + 0);
/** Any sequence of UTF-16 code units, so lone surrogates as well. */
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
);
const argument = text.map((value) => value.replaceAll('\u0000', ''));
const fullArgument = argument.map((value) => `x${value}`);
const list = fc.array(fullArgument, { maxLength: 5 });
const yes = fc.constant(true);
const uuid = fc.uuid();
const labels = fc.dictionary(fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,20}$/), argument, { maxKeys: 5 });
const env = fc.dictionary(fc.stringMatching(/^[A-Z][A-Z0-9_]{0,20}$/), argument, { maxKeys: 5 });
/** As JSON has it, which has no -0. */
const json = fc.json().map((value): unknown => JSON.parse(value));
/** The validator refuses or drops `__proto__`, which is never a name anybody means. */
const data = fc.dictionary(
  text.filter((key) => key !== '__proto__'),
  json,
  { noNullPrototype: true },
);
const cursor = object({ attempt, stdout: count, stderr: count });
const state = fc.constantFrom('queued', 'starting', 'running', 'held', 'ending', 'ended');
const credential = object(
  { id, kind: fc.constantFrom('oauth', 'api_key'), secret: fc.stringMatching(/^[\x21-\x7e]{1,200}$/) },
  { expiresAt: epochMs },
);
const atDeadline = fc.constantFrom('leave', 'cancel');
const holdReason = fc.constantFrom(...HOLD_REASONS);

const subscription = { subscription: id, executionId: id, from: cursor, creditBytes: count };

const dispatchRequest = fc
  .tuple(
    object(
      { prompt: fullArgument },
      {
        cwd: argument.map((path) => `/${path}`),
        model: fullArgument.map((name) => name.slice(0, 256)),
        maxTurns: fc.integer({ min: 1, max: 10_000 }),
        appendSystemPrompt: fullArgument,
        allowedTools: list,
        disallowedTools: list,
        permissionMode: fc.constantFrom('plan', 'acceptEdits'),
        settings: data,
        args: list,
        env,
        labels,
        timeoutMs: fc.integer({ min: 1, max: 86_400_000 }),
        graceMs: fc.integer({ min: 1, max: 300_000 }),
        idleTimeoutMs: fc.integer({ min: 1, max: 86_400_000 }),
        toolStallMs: fc.integer({ min: 1, max: 86_400_000 }),
        backgroundTimeoutMs: fc.integer({ min: 1, max: 86_400_000 }),
        queueTimeoutMs: fc.integer({ min: 1, max: 86_400_000 }),
        holdTimeoutMs: fc.integer({ min: 1, max: 86_400_000 }),
        onCredentialFailure: fc.constantFrom('hold', 'resume', 'fail'),
        resumePrompt: fullArgument,
        maxResumes: fc.integer({ min: 0, max: 100 }),
        preflight: fc.boolean(),
        interactive: fc.boolean(),
        interactiveIdleMs: fc.integer({ min: 1, max: 86_400_000 }),
        maxOutputBytes: fc.integer({ min: 1 }),
        whenBusy: fc.constantFrom('refuse', 'queue', 'skip'),
      },
    ),
    fc.oneof(fc.constant({}), object({ sessionId: uuid }), object({ resume: uuid })),
  )
  .map(([request, session]) => ({ ...request, ...session }));

const requestFields: Record<RequestType, [Shape, Shape?]> = {
  dispatch: [{ executionId: id, request: dispatchRequest }],
  cancel: [{ executionId: id }],
  send_message: [{ executionId: id, messageId: id, text: fullArgument }],
  end_input: [{ executionId: id }],
  subscribe: [subscription],
  unsubscribe: [{ subscription: id }],
  credit: [{ subscription: id, bytes: fc.integer({ min: 1 }) }],
  ack: [{ executionId: id }],
  status: [{}, { executionId: id, preflight: fc.boolean(), preflightMaxAgeMs: fc.nat(60_000) }],
  swap_credential: [{ credential }, { ifGeneration: fc.option(count), fence: count }],
  drain: [
    { deadlineMs: fc.integer({ min: 0, max: 86_400_000 }) },
    { atDeadline, ttlMs: fc.integer({ min: 1, max: 86_400_000 }) },
  ],
  resume_admission: [{}],
};

const frame = (type: string, required: Shape, optional?: Shape) =>
  object({ type: fc.constant(type), ...required }, optional);

/** Frames of a client, by type. */
export const CLIENT_FRAMES = {
  hello: frame(
    'hello',
    {
      versions: fc.array(attempt, { minLength: 1, maxLength: 32 }),
      client: object({ name: fullArgument.map((name) => name.slice(0, 200)) }, { version: fc.string() }),
    },
    { storeId: id, cursors: fc.array(object(subscription), { maxLength: 4 }) },
  ),
  ...Object.fromEntries(
    Object.entries(requestFields).map(([type, [required, optional]]) => [
      type,
      frame(type, { id, ...required }, optional),
    ]),
  ),
} as Record<ClientFrame['type'], fc.Arbitrary<ClientFrame>>;

const reason = fc.constantFrom(...(Object.keys(OUTCOME_REASONS) as OutcomeReason[]));
const statusAndReason = reason.map((value) => ({ status: OUTCOME_REASONS[value].status, reason: value }));

const outcome = fc
  .tuple(
    statusAndReason,
    object(
      {
        executionId: id,
        message: text,
        retryable: fc.boolean(),
        exit: object({ code: fc.option(fc.integer()), signal: fc.option(fc.string()) }),
        survivors: fc.option(count),
        attempts: count,
        acceptedAt: epochMs,
        endedAt: epochMs,
        closedAt: epochMs,
        heldMs: count,
      },
      {
        retryAt: epochMs,
        result: text,
        resultTruncated: yes,
        sessionId: fc.string(),
        model: fc.string(),
        turns: count,
        costUsd: epochMs,
        usage: object(
          { inputTokens: count, outputTokens: count },
          { cacheCreationInputTokens: count, cacheReadInputTokens: count },
        ),
        startedAt: epochMs,
        credential: object({ id: fc.string(), generation: count }),
        corrected: yes,
      },
    ),
  )
  .map(([verdict, rest]) => ({ ...verdict, ...rest }));

const verdict = fc
  .tuple(statusAndReason, object({ at: epochMs, message: text }))
  .map(([first, rest]) => ({ ...first, ...rest }));

const errorCode = fc.constantFrom('invalid', 'unknown_execution', 'internal');
const counts = object({ live: count, queued: count, maxExecutions: count, unacknowledged: count });
const drainFields: [Shape, Shape] = [
  {
    drainId: text,
    state: fc.constantFrom('draining', 'cancelling', 'failed', 'drained', 'ended'),
    startedAt: epochMs,
    deadlineAt: epochMs,
    atDeadline,
    isFinal: fc.boolean(),
    remaining: fc.array(id, { maxLength: 5 }),
    remainingCount: count,
  },
  { expiresAt: epochMs, cause: fc.constantFrom('resumed', 'expired') },
];
const circuitFields = { openedAt: epochMs, retryAt: epochMs, openings: count, executionId: id, reason };
const hold = object(
  { reason: holdReason, generation: fc.option(count), message: text, until: epochMs },
  { retryAt: epochMs },
);
const summary = object(
  { executionId: id, state, since: epochMs, attempt: count, acceptedAt: epochMs },
  { startedAt: epochMs, labels, hold, verdict, end: cursor, outcome },
);
const position = { subscription: id, executionId: id, attempt };
/** Lines with the offset behind each. */
const lines = fc
  .tuple(
    fc.nat(),
    fc.array(fc.tuple(text, fc.integer({ min: 1, max: 1000 })), { minLength: 1, maxLength: 5 }),
    object(position, { continues: yes }),
  )
  .map(([start, entries, rest]) => {
    const ends = entries.map((_entry, n) => entries.slice(0, n + 1).reduce((end, [, bytes]) => end + bytes, start));
    return { ...rest, start, end: ends.at(-1), lines: entries.map(([line]) => line), ends };
  });

const sidecarFields: Record<SidecarFrameType, fc.Arbitrary<Record<string, unknown>>> = {
  welcome: object(
    {
      version: fc.nat(),
      agentId: id,
      journalId: text,
      bootId: text,
      sidecarVersion: text,
      claudeVersion: fc.option(text),
      capabilities: fc.array(text),
      killMethods: fc.subarray(['cgroup', 'rlimit', 'lineage']),
      isolation: fc.constantFrom('none', 'uid'),
      limits: fc.constant({ ...LIMITS }),
      credentialMode: fc.constantFrom('gateway', 'env'),
      generation: fc.option(count),
      credentialId: fc.option(id),
      counts,
      refused: fc.array(object({ subscription: id, code: errorCode, message: text }), { maxLength: 3 }),
    },
    {
      otherStores: fc.array(id, { maxLength: 3 }),
      drain: object(...drainFields),
      circuit: object({ ...circuitFields, state: fc.constantFrom('open', 'half_open') }),
    },
  ),
  snapshot: object({ executions: fc.array(summary, { maxLength: 3 }), more: fc.boolean() }),
  reply: fc.oneof(
    object({ id, ok: yes, result: data }),
    object({
      id,
      ok: fc.constant(false),
      error: object({ code: errorCode, message: text }, { data }),
    }),
  ),
  state: object({ executionId: id, state, at: epochMs, attempt: count }, { hold, verdict, end: cursor }),
  output: lines,
  stderr: lines,
  gap: object({
    ...position,
    start: count,
    end: count,
    log: fc.constantFrom('stdout', 'stderr'),
    reason: fc.constantFrom('line_too_long', 'removed', 'retention'),
  }),
  outcome: object({ outcome, end: cursor }),
  credential_needed: object(
    {
      at: epochMs,
      generation: fc.option(count),
      credentialId: fc.option(id),
      reason: holdReason,
      message: text,
      scope: fc.constantFrom('credential', 'model'),
      executions: fc.array(id, { maxLength: 5 }),
    },
    { retryAt: epochMs, window: text, model: text },
  ),
  credential_changed: object({
    at: epochMs,
    generation: count,
    credentialId: id,
    kind: fc.constantFrom('oauth', 'api_key'),
  }),
  rate_limit: object(
    {
      at: epochMs,
      generation: count,
      credentialId: id,
      status: text,
      windows: fc.dictionary(
        fc.stringMatching(/^[0-9a-z_]{1,10}$/).filter((name) => name !== '__proto__'),
        object({}, { status: text, utilization: epochMs, resetsAt: epochMs }),
        { maxKeys: 3, noNullPrototype: true },
      ),
    },
    { window: text, resetsAt: epochMs, isOverageInUse: fc.boolean() },
  ),
  drain_progress: object({ ...drainFields[0], at: epochMs }, drainFields[1]),
  circuit_opened: object(circuitFields),
  circuit_closed: object({ at: epochMs, openedAt: epochMs, executionId: id }),
  error: object({ code: text, message: text }),
};

/** Frames of a sidecar, by type. */
export const SIDECAR_FRAMES = Object.fromEntries(
  Object.keys(SIDECAR_FRAME_SCHEMAS).map((type) => [
    type,
    sidecarFields[type as SidecarFrameType].map((fields) => ({ type, ...fields })),
  ]),
) as Record<SidecarFrameType, fc.Arbitrary<SidecarFrame>>;
