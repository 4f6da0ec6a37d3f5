import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DispatchRequest } from '@outrigger/sdk';
import { conversation, hang, refusal, startStandInApi, type Step, text, toolUse } from '@outrigger/sdk/testing';
import { describe, expect, it } from 'vitest';
import { CLAUDE_VERSIONS, claudePath } from './support/claude.js';
import { collect, connectFleet } from './support/fleet.js';
import { startSidecar } from './support/sidecar.js';

describe.each(CLAUDE_VERSIONS)('the real Claude Code %s', (version) => {
  /** A stand-in API, a sidecar with the CLI on an empty home, and a host. */
  async function setUp(respond: Step) {
    const home = mkdtempSync(join(tmpdir(), 'outrigger-home-'));
    const api = await startStandInApi({ respond });
    const sidecar = await startSidecar({
      claude: claudePath(version),
      mode: 'gateway',
      upstream: api.url,
      env: { HOME: home, IS_SANDBOX: '1' },
    });
    const host = await connectFleet(sidecar);
    return {
      api,
      dispatch: (request: DispatchRequest) => host.agent.dispatch({ cwd: home, ...request }),
      [Symbol.asyncDispose]: async () => {
        await host[Symbol.asyncDispose]();
        await sidecar[Symbol.asyncDispose]();
        await api.close();
        rmSync(home, { recursive: true, force: true });
      },
    };
  }

  it('runs a prompt to its end, and the host sees each event, the text and one outcome', async () => {
    await using it = await setUp(text('The answer is 42.'));
    const execution = await it.dispatch({ prompt: 'What is the answer?' });
    const events = await collect(execution);
    expect(await execution.outcome).toMatchObject({
      status: 'succeeded',
      reason: 'completed',
      result: 'The answer is 42.',
      exit: { code: 0, signal: null },
      survivors: 0,
    });
    const types = events.flatMap((event) => (event.type === 'message' ? [event.message?.['type']] : []));
    expect(types.filter((type) => type !== 'rate_limit_event')).toEqual(['system', 'assistant', 'result']);
    expect(await collect(execution.text())).toEqual(['The answer is 42.']);
    expect(it.api.requests.find((request) => request.kind === 'main')?.prompt).toContain('What is the answer?');
  });

  it('runs a tool, and hands the options of a dispatch on to the CLI', async () => {
    await using it = await setUp(
      conversation([toolUse('Bash', { command: 'echo "from $WHERE"', description: 'say' }), text('It spoke.')]),
    );
    const execution = await it.dispatch({
      prompt: 'Use a tool.',
      allowedTools: ['Bash'],
      model: 'claude-3-5-haiku-latest',
      appendSystemPrompt: 'Speak like a sailor.',
      env: { WHERE: 'the bilge' },
      settings: { includeCoAuthoredBy: false },
    });
    expect(await execution.outcome).toMatchObject({ status: 'succeeded', result: 'It spoke.' });
    const requests = it.api.requests.filter((request) => request.kind === 'main' || request.turn > 0);
    const last = JSON.stringify(requests.at(-1)?.body);
    expect(last).toContain('from the bilge');
    expect(last).toContain('Speak like a sailor.');
    expect(requests.at(-1)?.model).toContain('haiku');
  });

  it('goes on with a session that an earlier execution named', async () => {
    await using it = await setUp(text('Noted.'));
    const sessionId = '6f6b1c9e-3f0a-4a51-9a3c-0d5a3c1f9b11';
    const first = await it.dispatch({ prompt: 'Remember the word barnacle.', sessionId });
    expect(await first.outcome).toMatchObject({ status: 'succeeded', sessionId });
    const second = await it.dispatch({ prompt: 'Which word?', resume: sessionId });
    expect(await second.outcome).toMatchObject({ status: 'succeeded' });
    const asked = it.api.requests.filter((request) => request.kind === 'main').at(-1);
    expect(JSON.stringify(asked?.body)).toContain('barnacle');
  });

  it('is cancelled while it waits for the API, and its process is gone', async () => {
    await using it = await setUp(hang());
    const execution = await it.dispatch({ prompt: 'Wait.' });
    await it.api.waitForRequest((request) => request.kind === 'main');
    await execution.cancel();
    expect(await execution.outcome).toMatchObject({ status: 'cancelled', reason: 'requested', survivors: 0 });
  });

  it('never gives the text of an API error for an answer (T1)', async () => {
    await using it = await setUp(refusal.promptTooLong());
    const execution = await it.dispatch({ prompt: 'Talk.' });
    const outcome = await execution.outcome;
    expect(outcome).toMatchObject({ status: 'failed' });
    expect(outcome.message).toMatch(/prompt is too long/i);
    expect(await collect(execution.text())).toEqual([]);
    expect(await collect(execution.text({ commit: 'message' }))).toEqual([]);
    const events = await collect(execution);
    const quarantined = events.filter((event) => event.type === 'message' && event.quarantined);
    expect(quarantined.length).toBeGreaterThan(0);
  });
});
