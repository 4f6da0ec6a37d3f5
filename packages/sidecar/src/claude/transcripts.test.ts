import { readdirSync, readFileSync } from 'node:fs';
import { type OutcomeReason, outcomeSchema } from '@outrigger/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Lifecycle, type LifecycleEvent, newLifecycle } from '../core/lifecycle-state.js';
import { step } from '../core/lifecycle.js';
import { buildOutcome, type RunReport } from '../core/outcome.js';
import { classifyStderr } from './failures.js';
import { interpretLine, linesThatMayMatter, NEW_STREAM, type Reading } from './interpret.js';

const FOLDER = new URL('../../../../test/transcripts/', import.meta.url);
const VERSIONS = ['1.0.128', '2.1.329'] as const;

interface Transcript {
  exitCode: number | null;
  signal: string | null;
  cutOff: boolean;
  stderr: string;
  stdout: string[];
}

interface Expected {
  /** `running`: the CLI was cut off while it tried again, and said nothing that ends a run. */
  readonly reason: OutcomeReason | 'running';
  /** The reason at the first notice of a refused credential, which ends the run before it can tell more. */
  readonly atNotice?: OutcomeReason;
  readonly retryAt?: number;
}

const RESET = 1_800_000_000_000;

/** What each recorded run amounts to: the same on both versions where they do not differ. */
const BOTH: Readonly<Record<string, Expected>> = {
  good: { reason: 'completed' },
  tool: { reason: 'completed' },
  'tool-slow': { reason: 'completed' },
  'tool-refused': { reason: 'completed' },
  subagent: { reason: 'completed' },
  'background-task': { reason: 'completed' },
  'max-turns': { reason: 'max_turns' },
  'resume-unknown': { reason: 'resume_not_found' },
  'unknown-option': { reason: 'crashed' },

  'auth-missing': { reason: 'auth_invalid' },
  'auth-with-newline': { reason: 'auth_invalid' },
  'auth-not-allowed': { reason: 'auth_invalid' },
  'auth-not-a-member': { reason: 'auth_revoked' },
  billing: { reason: 'billing' },
  'organization-disabled': { reason: 'billing' },
  forbidden: { reason: 'permission_denied' },
  'permission-denied': { reason: 'permission_denied' },
  'model-not-found': { reason: 'model_unavailable' },
  'prompt-too-long': { reason: 'prompt_too_long' },
  'thinking-signature': { reason: 'agent_error' },

  overloaded: { reason: 'running' },
  'overloaded-to-the-end': { reason: 'overloaded' },
  'server-error': { reason: 'running' },
  'server-error-to-the-end': { reason: 'provider_error' },
  'api-down': { reason: 'network' },
  'api-resets': { reason: 'network' },
  'api-hangs': { reason: 'network' },
  'api-fails-in-stream': { reason: 'overloaded' },
  'api-cuts-once': { reason: 'completed' },

  'sigterm-while-tool': { reason: 'crashed' },
  'sighup-while-tool': { reason: 'crashed' },
  'sigkill-while-tool': { reason: 'crashed' },
  'sigterm-while-api': { reason: 'crashed' },
};

const EXPECTED: Readonly<Record<(typeof VERSIONS)[number], Readonly<Record<string, Expected>>>> = {
  '1.0.128': {
    ...BOTH,
    'auth-expired': { reason: 'running' },
    'auth-expired-to-the-end': { reason: 'auth_expired' },
    'auth-expired-later': { reason: 'auth_expired' },
    'auth-invalid': { reason: 'running' },
    'auth-invalid-to-the-end': { reason: 'auth_invalid' },
    'auth-invalid-credentials': { reason: 'auth_invalid' },
    'auth-invalid-api-key': { reason: 'auth_invalid' },
    'auth-not-allowed-401': { reason: 'auth_invalid' },
    'auth-not-supported': { reason: 'auth_invalid' },
    'auth-revoked': { reason: 'auth_revoked' },
    'auth-revoked-later': { reason: 'auth_revoked' },
    // It names the reset in words only.
    'rate-limited': { reason: 'rate_limited' },
    'rate-limited-weekly': { reason: 'rate_limited' },
    throttled: { reason: 'rate_limited' },
    'headerless-429': { reason: 'rate_limited' },
    'sigint-while-tool': { reason: 'no_result' },
    // It announces no background tasks and waits for none.
    'sigterm-while-task': { reason: 'completed' },
    'sigkill-while-task': { reason: 'completed' },
  },
  '2.1.329': {
    ...BOTH,
    'auth-expired': { reason: 'auth_expired', atNotice: 'auth_invalid' },
    'auth-expired-to-the-end': { reason: 'auth_expired', atNotice: 'auth_invalid' },
    'auth-expired-later': { reason: 'auth_expired', atNotice: 'auth_expired' },
    'auth-invalid': { reason: 'auth_invalid', atNotice: 'auth_invalid' },
    'auth-invalid-to-the-end': { reason: 'auth_invalid', atNotice: 'auth_invalid' },
    'auth-invalid-credentials': { reason: 'auth_invalid', atNotice: 'auth_invalid' },
    'auth-invalid-api-key': { reason: 'auth_invalid', atNotice: 'auth_invalid' },
    'auth-not-allowed-401': { reason: 'auth_invalid', atNotice: 'auth_invalid' },
    'auth-not-supported': { reason: 'auth_invalid', atNotice: 'auth_invalid' },
    'auth-revoked': { reason: 'auth_revoked', atNotice: 'auth_revoked' },
    'auth-revoked-later': { reason: 'auth_revoked', atNotice: 'auth_revoked' },
    'rate-limited': { reason: 'rate_limited', retryAt: RESET },
    'rate-limited-weekly': { reason: 'rate_limited', retryAt: RESET },
    throttled: { reason: 'overloaded' },
    'headerless-429': { reason: 'overloaded' },
    'sigint-while-tool': { reason: 'agent_error' },
    'sigterm-while-task': { reason: 'crashed' },
    'sigkill-while-task': { reason: 'crashed' },
  },
};

function transcript(version: string, name: string): Transcript {
  return JSON.parse(readFileSync(new URL(`${version}/${name}.json`, FOLDER), 'utf8')) as Transcript;
}

function toEvent(reading: Reading, at: number): LifecycleEvent | null {
  switch (reading.kind) {
    case 'turn_started':
      return { type: 'turn_started' };
    case 'result':
      return { type: 'result', result: { at, failure: reading.failure } };
    case 'tasks':
      return { type: 'tasks', at, open: reading.open };
    case 'credential_failed':
      return { type: 'credential_failed', at, reason: reading.reason };
    case 'answered':
    case 'tools':
      return null;
  }
}

/** A recorded run, told to the lifecycle line by line as the sidecar does; each line takes a millisecond. */
function replay(recorded: Transcript, isNoticeHeard: boolean): { lifecycle: Lifecycle; report: RunReport } {
  let lifecycle = newLifecycle({
    timeoutMs: 1e6,
    graceMs: 1e5,
    backgroundTimeoutMs: 1e5,
    holdTimeoutMs: 1000,
    onCredentialFailure: 'fail',
    maxResumes: 0,
    interactiveIdleMs: null,
  });
  let stream = NEW_STREAM;
  const tell = (event: LifecycleEvent) => {
    lifecycle = step(lifecycle, event).state;
  };
  const isClosing = () => lifecycle.phase === 'closing';
  tell({ type: 'prepared', at: 0 });
  tell({ type: 'launched', at: 0 });
  for (const [at, line] of recorded.stdout.entries()) {
    if (linesThatMayMatter(Buffer.from(line)).length === 0) continue;
    const { state, readings } = interpretLine(stream, line);
    stream = state;
    for (const reading of readings) {
      const event = toEvent(reading, at);
      if (event !== null && (isNoticeHeard || event.type !== 'credential_failed')) tell(event);
    }
    // Where something else than the end of the process ends a run, its logs are fixed as they are then.
    if (isClosing()) break;
  }
  if (!isClosing() && !recorded.cutOff) {
    tell({ type: 'exited', exit: { at: recorded.stdout.length, code: recorded.exitCode, signal: recorded.signal } });
  }
  tell({ type: 'logs_read', stderrFailure: classifyStderr(recorded.stderr) });
  tell({ type: 'tree_dead', at: 1e6, survivors: 0 });
  return { lifecycle, report: stream.report };
}

function outcomeOf({ lifecycle, report }: ReturnType<typeof replay>) {
  const credential = { id: 'a', generation: 1 };
  const facts = { executionId: 'e1', credential, acceptedAtEpochMs: 1_700_000_000_000, acceptedAtMs: 0 };
  return lifecycle.verdict === null ? null : buildOutcome({ ...facts, lifecycle, report }, lifecycle.verdict);
}

describe.each(VERSIONS)('what Claude Code %s printed', (version) => {
  it('is known for every situation that was recorded', () => {
    const recorded = readdirSync(new URL(version, FOLDER)).map((file) => file.replace('.json', ''));
    expect(recorded.sort()).toEqual(Object.keys(EXPECTED[version]).sort());
  });

  it.each(Object.entries(EXPECTED[version]))('is read right: %s', (name, { reason, retryAt }) => {
    const outcome = outcomeOf(replay(transcript(version, name), false));
    expect(outcome?.reason ?? 'running').toBe(reason);
    if (outcome === null) return;
    expect(outcome.retryAt).toBe(retryAt);
    expect(outcomeSchema.parse(outcome)).toEqual(outcome);
  });

  it.each(Object.entries(EXPECTED[version]))(
    'C1: names a refused credential at its first notice: %s',
    (name, { reason, atNotice }) => {
      const { stdout, ...recorded } = transcript(version, name);
      const { lifecycle } = replay({ stdout, ...recorded }, true);
      expect(lifecycle.verdict?.reason ?? 'running').toBe(atNotice ?? reason);
      if (atNotice === undefined) return;
      expect(lifecycle.verdict?.at).toBe(stdout.findIndex((line) => line.includes('"api_retry"')));
    },
  );

  it('names nothing of the machine it was recorded on', () => {
    for (const name of Object.keys(EXPECTED[version])) {
      const { stdout, stderr } = transcript(version, name);
      expect(stdout.join('\n') + stderr).not.toMatch(/outrigger|\/root|node_modules/);
    }
  });
});

it('T1: nothing a failed run prints is its result', () => {
  for (const version of VERSIONS) {
    for (const name of Object.keys(EXPECTED[version])) {
      const outcome = outcomeOf(replay(transcript(version, name), false));
      expect(outcome?.result !== undefined, `${version} ${name}`).toBe(outcome?.status === 'succeeded');
    }
  }
});

it('O13: the result of a run with a background task is the second one', () => {
  const { lifecycle, report } = replay(transcript('2.1.329', 'background-task'), false);
  expect(report.resultText).toBe('It has ended.');
  expect(lifecycle.verdict?.at).toBe(lifecycle.result?.at);
});

it('O11: a line of another shape never loses a result, and never throws', () => {
  const lines = VERSIONS.flatMap((version) =>
    Object.keys(EXPECTED[version]).flatMap((name) => transcript(version, name).stdout),
  ).filter((line) => line.startsWith('{'));
  const mutated = fc.constantFrom(...lines).chain((line) => {
    const event = JSON.parse(line) as Record<string, unknown>;
    const fields = fc.constantFrom(...Object.keys(event).filter((name) => name !== 'type'));
    return fc.dictionary(fields, fc.jsonValue(), { maxKeys: 4 }).map((odd) => ({ ...event, ...odd }));
  });
  fc.assert(
    fc.property(fc.array(mutated, { minLength: 1, maxLength: 8 }), (events) => {
      const stdout = events.map((event) => JSON.stringify(event));
      const told = replay({ exitCode: 0, signal: null, cutOff: false, stderr: '', stdout }, false);
      expect(told.lifecycle.result !== null).toBe(events.some((event) => event['type'] === 'result'));
      const outcome = outcomeOf(told);
      expect(outcomeSchema.parse(outcome)).toEqual(outcome);
    }),
    { numRuns: 500 },
  );
});
