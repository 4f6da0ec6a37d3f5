import { type FakeStep } from '@outrigger/sdk/testing';
import { describe, expect, it } from 'vitest';
import { readOutput } from './support/output.js';
import { RawClient } from './support/raw-client.js';
import { startSidecar } from './support/sidecar.js';

const turn = (text: string, ...before: FakeStep[]): FakeStep[] => [
  { do: 'init' },
  ...before,
  { do: 'assistant', text },
  { do: 'result' },
];

describe('an interactive run', () => {
  it('has a stdin that does not end, and ends well when nobody has said anything for its idle time', async () => {
    await using sidecar = await startSidecar();
    await using client = await RawClient.connect(sidecar);
    const prompt = turn('Hello.', { do: 'printEnv' });
    await client.dispatch('silent', prompt, { interactive: true, interactiveIdleMs: 300 });
    const outcome = await client.outcome('silent');
    expect(outcome).toMatchObject({ status: 'succeeded', reason: 'completed', result: 'Hello.', survivors: 0 });
    expect(outcome.exit).toEqual({ code: null, signal: 'SIGTERM' });
    expect(outcome.endedAt - (outcome.startedAt ?? 0)).toBeGreaterThanOrEqual(300);
    const { stdout } = await readOutput(client, 'silent');
    const env = stdout.lines.map((line) => JSON.parse(line) as object)[1];
    expect(env).toMatchObject({ subtype: 'fake_env', stdio: { stdin: 'pipe', stdout: 'file', stderr: 'file' } });
    expect(env).toHaveProperty('argv', expect.arrayContaining(['--input-format=stream-json']));
  });
});
