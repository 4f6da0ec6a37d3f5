import { type ExecutionEvent, type Execution } from '@outrigger/sdk';
import { type ApiRequest, refusal, type Step, text, toolUse } from '@outrigger/sdk/testing';
import { describe, expect, it } from 'vitest';
import { CLAUDE_VERSIONS } from './support/claude.js';
import { collect, signal } from './support/fleet.js';
import { startGateway, TOKEN_A, TOKEN_B, TOKEN_C, type TestGateway } from './support/gateway.js';
import { processesIn } from './support/outside.js';

/** Each run uses a tool, and comes back from it with a token that has expired meanwhile. */
const EXPIRES_IN_MID_TURN: Step = ({ turn, secret }) => {
  if (turn === 0) return toolUse('Bash', { command: 'true', description: 'nothing' });
  return secret === TOKEN_A ? refusal.expired() : text('Done.');
};

const prompts = (n: number) => Array.from({ length: n }, (_, index) => `run ${index}`);

async function dispatchAll({ dispatch }: TestGateway, n: number, holdTimeoutMs?: number): Promise<Execution[]> {
  const more = { allowedTools: ['Bash'], ...(holdTimeoutMs === undefined ? {} : { holdTimeoutMs }) };
  return Promise.all(prompts(n).map((prompt) => dispatch({ prompt, ...more })));
}

const countOf = ({ api }: TestGateway, wanted: (request: ApiRequest) => boolean) => api.requests.filter(wanted).length;

/** What the events of a run tell of its holds, and of tries of the CLI's own. */
function traces(events: readonly ExecutionEvent[]): string[] {
  return events.flatMap((event) => {
    if (event.type === 'hold') return [`hold ${event.reason} ${event.generation}`];
    if (event.type === 'released') return [`released ${event.generation}`];
    return event.type === 'message' && event.message?.['subtype'] === 'api_retry' ? ['api_retry'] : [];
  });
}

describe.each(CLAUDE_VERSIONS)('the real Claude Code %s', (version) => {
  it('waits in mid-turn for a new credential, and several runs go on with it as if nothing had happened (C1)', async () => {
    await using gateway = await startGateway({ version, respond: EXPIRES_IN_MID_TURN });
    const executions = await dispatchAll(gateway, 3);
    const notice = await gateway.needed.waitFor();
    expect(notice).toMatchObject({
      generation: 1,
      credentialId: 'standing',
      reason: 'auth_expired',
      scope: 'credential',
    });
    expect(notice.message).toContain('OAuth token has expired');
    await gateway.api.waitForRequest(
      () => countOf(gateway, ({ ended, status }) => status === 401 && ended !== null) === 3,
    );

    expect(await gateway.agent.swapCredential(TOKEN_B, { ifGeneration: 1 })).toBe(2);
    const outcomes = await Promise.all(executions.map(({ outcome }) => outcome));
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ status: 'succeeded', result: 'Done.', attempts: 1 });
      expect(outcome.credential).toEqual({ id: 'token-b', generation: 2 });
      expect(outcome.heldMs).toBeGreaterThan(0);
    }
    for (const execution of executions) {
      expect(traces(await collect(execution))).toEqual(['hold auth_expired 1', 'released 2']);
    }
    // One refusal and one good answer for each run, whatever the CLI would have tried by itself.
    expect(countOf(gateway, ({ kind, turn }) => kind === 'main' && turn === 1)).toBe(6);
    expect(gateway.needed.all).toHaveLength(1);
    expect(gateway.changed.all).toMatchObject([{ generation: 2, credentialId: 'token-b', kind: 'oauth' }]);
  });

  it('fails with the reason of the refusal when no credential comes in time, and nothing of it is left (C1)', async () => {
    await using gateway = await startGateway({ version, respond: EXPIRES_IN_MID_TURN });
    const [execution] = await dispatchAll(gateway, 1, 400);
    const outcome = await execution?.outcome;
    expect(outcome).toMatchObject({ status: 'failed', reason: 'auth_expired', heldMs: 400, survivors: 0 });
    expect(outcome?.message).toContain('OAuth token has expired');
    expect(processesIn(gateway.home)).toEqual([]);
    expect((await gateway.agent.status()).counts.live).toBe(0);
  });

  it('survives a limit that one run has hit, and so do its four siblings in mid-turn (C2)', async () => {
    const resetsAt = Date.now() + 3_600_000;
    const isHit = signal();
    const respond: Step = ({ prompt, secret }) => {
      if (secret !== TOKEN_A) return text('Done.');
      if (prompt.includes('run 0')) return refusal.rateLimited({ claim: 'five_hour', resetsAt });
      // The siblings wait for an answer when the limit is hit, and it is theirs as well.
      return isHit.given.then(() => refusal.rateLimited({ claim: 'five_hour', resetsAt }));
    };
    await using gateway = await startGateway({ version, respond, maxExecutions: 5 });
    const executions = await dispatchAll(gateway, 5);
    const notice = await gateway.needed.waitFor();
    expect(notice).toMatchObject({ reason: 'rate_limited', window: 'five_hour', scope: 'credential', generation: 1 });
    expect(notice.retryAt).toBe(Math.ceil(resetsAt / 1000) * 1000);
    await gateway.api.waitForRequest(() => countOf(gateway, ({ kind }) => kind === 'main') === 5);
    isHit.give();
    await gateway.api.waitForRequest(() => countOf(gateway, ({ status }) => status === 429) === 5);
    await gateway.agent.swapCredential(TOKEN_B);
    const outcomes = await Promise.all(executions.map((execution) => execution.outcome));
    expect(outcomes.map(({ status, attempts }) => `${status} ${attempts}`)).toEqual(Array(5).fill('succeeded 1'));
    expect(gateway.needed.all).toHaveLength(1);
  });
});

it('holds a run again under the generation of a credential that is refused as well, once for each (C11)', async () => {
  const respond: Step = ({ secret }) => {
    if (secret === TOKEN_A) return refusal.expired();
    return secret === TOKEN_B.secret ? refusal.revoked() : text('Done.');
  };
  await using gateway = await startGateway({ version: '2.1.329', respond });
  const executions = await dispatchAll(gateway, 2);
  await gateway.api.waitForRequest(() => countOf(gateway, ({ status }) => status === 401) === 2);
  await gateway.agent.swapCredential(TOKEN_B);
  const second = await gateway.needed.waitFor(({ generation }) => generation === 2);
  expect(second).toMatchObject({ reason: 'auth_revoked', credentialId: 'token-b' });
  await gateway.api.waitForRequest(() => countOf(gateway, ({ status }) => status === 403) === 2);
  await gateway.agent.swapCredential(TOKEN_C);
  for (const execution of executions) {
    expect(await execution.outcome).toMatchObject({
      status: 'succeeded',
      credential: { id: 'token-c', generation: 3 },
    });
    const held = ['hold auth_expired 1', 'released 2', 'hold auth_revoked 2', 'released 3'];
    expect(traces(await collect(execution))).toEqual(held);
  }
  const secrets = [TOKEN_A, TOKEN_B.secret, TOKEN_C.secret];
  expect(secrets.map((secret) => countOf(gateway, (request) => request.secret === secret))).toEqual([2, 2, 2]);
  expect(gateway.needed.all).toHaveLength(2);
});
