import { type Outcome, OUTCOME_REASONS, outcomeSchema, type Verdict } from '@outrigger/protocol';
import { describe, expect, it } from 'vitest';
import { type Lifecycle, newLifecycle } from './lifecycle-state.js';
import {
  buildOutcome,
  describe as describeVerdict,
  EMPTY_REPORT,
  type OutcomeFacts,
  redactMessage,
  redactOutcome,
  type RunReport,
} from './outcome.js';
import { createRedactor } from './redact.js';

const SUCCEEDED: Verdict = { status: 'succeeded', reason: 'completed', at: 1500 };
const CRASHED: Verdict = { status: 'failed', reason: 'crashed', at: 1500 };
const CREDENTIAL = { id: 'team-a', generation: 3 };
const AGENT_ERROR: Verdict = { status: 'failed', reason: 'agent_error', at: 1500 };

const unstarted: Lifecycle = {
  ...newLifecycle({
    timeoutMs: 1,
    graceMs: 1,
    backgroundTimeoutMs: 1,
    holdTimeoutMs: 1000,
    onCredentialFailure: 'fail',
    maxResumes: 0,
    interactiveIdleMs: null,
  }),
  survivors: 0,
  endedAt: 1600,
};
const started: Lifecycle = {
  ...unstarted,
  startedAt: 1100.4,
  exit: { at: 1490, code: 0, signal: null },
  survivors: 2,
};

const REPORT: RunReport = {
  resultText: 'done',
  isResultTruncated: false,
  errorText: 'it broke',
  sessionId: 's',
  model: 'm',
  turns: 0,
  costUsd: 0,
  usage: { inputTokens: 1, outputTokens: 2 },
  retryAt: 1_800_000_000_000,
};

function build(facts: Partial<OutcomeFacts>, verdict: Verdict): Outcome {
  const outcome = buildOutcome(
    {
      executionId: 'e1',
      lifecycle: started,
      report: EMPTY_REPORT,
      credential: null,
      acceptedAtEpochMs: 1_700_000_000_000.4,
      acceptedAtMs: 1000,
      ...facts,
    },
    verdict,
  );
  expect(outcomeSchema.parse(outcome)).toEqual(outcome);
  return outcome;
}

describe('an outcome', () => {
  it('has everything that is known of a run that succeeded', () => {
    expect(build({ report: REPORT, credential: CREDENTIAL }, SUCCEEDED)).toEqual({
      executionId: 'e1',
      status: 'succeeded',
      reason: 'completed',
      message: OUTCOME_REASONS.completed.meaning,
      retryable: false,
      result: 'done',
      sessionId: 's',
      model: 'm',
      turns: 0,
      costUsd: 0,
      usage: { inputTokens: 1, outputTokens: 2 },
      exit: { code: 0, signal: null },
      survivors: 2,
      attempts: 1,
      acceptedAt: 1_700_000_000_000,
      startedAt: 1_700_000_000_101,
      endedAt: 1_700_000_000_500,
      closedAt: 1_700_000_000_600,
      heldMs: 0,
      credential: CREDENTIAL,
    });
  });

  it('has no more than the least of a run that was never started', () => {
    const verdict: Verdict = { status: 'cancelled', reason: 'drained', at: 1500 };
    expect(build({ lifecycle: unstarted, credential: CREDENTIAL }, verdict)).toEqual({
      executionId: 'e1',
      status: 'cancelled',
      reason: 'drained',
      message: OUTCOME_REASONS.drained.meaning,
      retryable: true,
      exit: { code: null, signal: null },
      survivors: 0,
      attempts: 0,
      acceptedAt: 1_700_000_000_000,
      endedAt: 1_700_000_000_500,
      closedAt: 1_700_000_000_600,
      heldMs: 0,
    });
  });

  it('has a result only when the run succeeded, since a failed one may hold an error as if it were an answer', () => {
    const report = { ...REPORT, isResultTruncated: true };
    const failed = build({ report }, AGENT_ERROR);
    expect(failed).not.toHaveProperty('result');
    expect(failed).not.toHaveProperty('resultTruncated');
    expect(build({ report }, SUCCEEDED)).toMatchObject({ result: 'done', resultTruncated: true });
  });

  it('has no result where the run reported nothing', () => {
    const outcome = build({ report: EMPTY_REPORT }, SUCCEEDED);
    expect(outcome).not.toHaveProperty('result');
    expect(outcome).not.toHaveProperty('resultTruncated');
  });

  it('names no credential where none was used', () => {
    expect(build({ credential: null }, SUCCEEDED)).not.toHaveProperty('credential');
  });

  it('says when to try again where a limit was the reason, and nowhere else', () => {
    const rateLimited: Verdict = { status: 'failed', reason: 'rate_limited', at: 1500 };
    expect(build({ report: REPORT }, rateLimited)).toMatchObject({ retryable: true, retryAt: 1_800_000_000_000 });
    expect(build({ report: EMPTY_REPORT }, rateLimited)).not.toHaveProperty('retryAt');
    for (const verdict of [SUCCEEDED, CRASHED, AGENT_ERROR]) {
      expect(build({ report: REPORT }, verdict)).not.toHaveProperty('retryAt');
    }
  });

  it('is retryable when its reason is', () => {
    expect(build({}, CRASHED).retryable).toBe(true);
    expect(build({}, AGENT_ERROR).retryable).toBe(OUTCOME_REASONS.agent_error.retryable);
  });

  it('says when to try again as the provider said it to the gateway, rather than to the run', () => {
    const rateLimited: Verdict = { status: 'failed', reason: 'rate_limited', at: 1500 };
    const refusal = { reason: 'rate_limited', message: 'used up', generation: 1 } as const;
    const retryAt = (lifecycle: Partial<Lifecycle>) =>
      build({ lifecycle: { ...started, ...lifecycle }, report: REPORT }, rateLimited).retryAt;
    expect(retryAt({ refusal: { ...refusal, retryAt: 1_900_000_000_000 } })).toBe(1_900_000_000_000);
    expect(retryAt({ refusal })).toBe(REPORT.retryAt);
    expect(retryAt({ refusal: { ...refusal, reason: 'billing', retryAt: 1_900_000_000_000 } })).toBe(REPORT.retryAt);
  });

  it('says how long the run was held, up to its end, and how many attempts it had', () => {
    const refusal = { reason: 'auth_expired', message: '', generation: 1 } as const;
    const hold = { since: 1400.2, until: 1700, refusal };
    const lifecycle = { ...started, attempt: 3, heldMs: 10, hold };
    expect(build({ lifecycle }, SUCCEEDED)).toMatchObject({ heldMs: 110, attempts: 3 });
    expect(build({ lifecycle: { ...lifecycle, hold: null } }, SUCCEEDED)).toMatchObject({ heldMs: 10 });
    expect(build({ lifecycle: { ...unstarted, attempt: 1 } }, CRASHED)).toMatchObject({ heldMs: 0, attempts: 0 });
  });

  it('was closed at its end where nothing later is known', () => {
    expect(build({ lifecycle: { ...started, endedAt: null } }, SUCCEEDED).closedAt).toBe(1_700_000_000_500);
  });
});

describe('the message', () => {
  const message = (verdict: Verdict, lifecycle: Partial<Lifecycle> = {}, report = EMPTY_REPORT) =>
    describeVerdict(verdict, { ...started, ...lifecycle }, report);
  const spawnFailed: Verdict = { status: 'failed', reason: 'spawn_failed', at: 1 };
  const exit = (code: number | null, signal: string | null) => ({ exit: { at: 1, code, signal } });

  it('P6: of a start that failed says why', () => {
    expect(message(spawnFailed, { launchError: 'no such file: claude' })).toBe('no such file: claude');
    expect(message(spawnFailed)).toBe(OUTCOME_REASONS.spawn_failed.meaning);
    expect(message(AGENT_ERROR, { launchError: 'no such file: claude' })).toBe(OUTCOME_REASONS.agent_error.meaning);
  });

  it('of a crash says how it ended', () => {
    const { meaning } = OUTCOME_REASONS.crashed;
    expect(message(CRASHED, exit(3, null))).toBe(`${meaning} Exit code 3.`);
    expect(message(CRASHED, exit(0, null))).toBe(`${meaning} Exit code 0.`);
    expect(message(CRASHED, exit(null, 'SIGKILL'))).toBe(`${meaning} Signal SIGKILL.`);
    expect(message(CRASHED, exit(null, null))).toBe(`${meaning} Exit code unknown.`);
    expect(message(CRASHED, { exit: null })).toBe(meaning);
    expect(message(AGENT_ERROR, exit(3, null))).toBe(OUTCOME_REASONS.agent_error.meaning);
  });

  it('of a network that failed says why the gateway did not get through, where that is known', () => {
    const network: Verdict = { status: 'failed', reason: 'network', at: 1 };
    const requestFailure = 'getaddrinfo ENOTFOUND provider.test';
    const explained = `The last request to the provider failed: ${requestFailure}`;
    expect(message(network, {}, { ...REPORT, requestFailure })).toBe(`it broke ${explained}`);
    const { meaning } = OUTCOME_REASONS.network;
    expect(message(network, {}, { ...EMPTY_REPORT, requestFailure })).toBe(`${meaning} ${explained}`);
    expect(message(network, {}, { ...REPORT, requestFailure: null })).toBe('it broke');
    expect(message(AGENT_ERROR, {}, { ...REPORT, requestFailure })).toBe('it broke');
  });

  it('of a failure is what the process said of it', () => {
    expect(message(AGENT_ERROR, {}, REPORT)).toBe('it broke');
    expect(message(AGENT_ERROR)).toBe(OUTCOME_REASONS.agent_error.meaning);
  });

  it.each(['crashed', 'no_result', 'out_of_memory', 'output_limit'] as const)(
    'C8: of a failure seen from outside (%s) is not what the process said of something else',
    (reason) => {
      const verdict: Verdict = { status: 'failed', reason, at: 1 };
      expect(message(verdict, { exit: null }, REPORT)).toBe(OUTCOME_REASONS[reason].meaning);
    },
  );

  it('of a refused credential is what the provider said of it, where that is known', () => {
    const expired: Verdict = { status: 'failed', reason: 'auth_expired', at: 1 };
    const { meaning } = OUTCOME_REASONS.auth_expired;
    const refused = (words: string) => ({
      refusal: { reason: 'auth_expired', message: words, generation: 1 } as const,
    });
    expect(message(expired, refused('it ran out'), REPORT)).toBe(`${meaning} The provider said: it ran out`);
    expect(message(expired, refused(''), REPORT)).toBe('it broke');
    expect(message(expired, refused(meaning))).toBe(meaning);
    expect(message(AGENT_ERROR, refused('it ran out'), REPORT)).toBe('it broke');
  });

  it('of anything else is what the reason means', () => {
    const deadline: Verdict = { status: 'timed_out', reason: 'deadline', at: 1 };
    expect(message(deadline, {}, REPORT)).toBe(OUTCOME_REASONS.deadline.meaning);
    expect(message(SUCCEEDED, {}, REPORT)).toBe(OUTCOME_REASONS.completed.meaning);
  });
});

describe('an outcome that is to leave the sidecar', () => {
  const secret = 'sk-ant-0123456789';
  const setUp = () => ({
    redactor: createRedactor([secret], (bytes) => Buffer.from(bytes).toString('base64')),
    outcome: build({ report: { ...REPORT, resultText: `a ${secret}` } }, SUCCEEDED),
  });

  it('T6: has no secret in anything the run has said', () => {
    const { redactor, outcome } = setUp();
    const said = { ...outcome, message: `m ${secret}`, sessionId: `s ${secret}`, model: `o ${secret}` };
    expect(redactOutcome(said, redactor)).toEqual({
      ...outcome,
      result: 'a [redacted]',
      message: 'm [redacted]',
      sessionId: 's [redacted]',
      model: 'o [redacted]',
    });
  });

  it('T6: does not end in the beginning of a secret that it was cut in', () => {
    const { redactor, outcome } = setUp();
    const result = `a ${secret.slice(0, -1)}`;
    expect(redactOutcome({ ...outcome, result, resultTruncated: true }, redactor).result).toBe('a [redacted]');
    expect(redactOutcome({ ...outcome, result }, redactor).result).toBe(result);
    expect(redactMessage(result, redactor)).toBe('a [redacted]');
  });

  it('gets no field it did not have', () => {
    const { redactor, outcome } = setUp();
    const { result: _result, sessionId: _sessionId, model: _model, ...bare } = outcome;
    expect(redactOutcome(bare, redactor)).toEqual(bare);
  });
});
