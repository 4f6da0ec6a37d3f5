import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type FakeStep, fakeScript, refusal, type StandInApi, startStandInApi, text } from '@outrigger/sdk/testing';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { claudePath } from './support/claude.js';
import { PYTHON } from './support/python.js';
import { RawClient } from './support/raw-client.js';
import { temporaryFolder } from './support/runs.js';
import { startSidecar, type TestSidecar } from './support/sidecar.js';
import { TcpProxy } from './support/tcp-proxy.js';

const CLIENT = fileURLToPath(new URL('../examples/python-client/client.py', import.meta.url));
const REFUSED = 'a-credential-for-tests';
const SPARE = 'the-spare-token';

interface Call {
  sidecar: TestSidecar;
  /** @default the sidecar's own */
  url?: string;
  prompt: string;
  flags?: string[];
  token?: string;
}

/** Runs the client to its end. */
async function runClient({ sidecar, url = sidecar.url, prompt, flags = [], token = sidecar.token }: Call) {
  const outcomeFile = join(temporaryFolder(), 'outcome.json');
  const args = [CLIENT, 'py-1', prompt, `--url=${url}`, `--outcome=${outcomeFile}`, ...flags];
  const { stdout, stderr, exitCode } = await execa(PYTHON, args, {
    env: { OUTRIGGER_TOKEN: token, SPARE_TOKEN: SPARE },
    reject: false,
  });
  const outcome = () => JSON.parse(readFileSync(outcomeFile, 'utf8')) as unknown;
  return { lines: stdout.split('\n'), said: stderr.split('\n'), exitCode, outcome };
}

const script = (...steps: FakeStep[]) => fakeScript([{ do: 'init' }, ...steps, { do: 'result', result: 'done' }]);

/** A provider that refuses the sidecar's own credential and takes the spare one. */
async function startApi(): Promise<StandInApi> {
  const api = await startStandInApi({ accept: [SPARE], respond: text('The answer is 42.') });
  api.refuse(REFUSED, refusal.expired());
  return api;
}

const unacknowledged = async (sidecar: TestSidecar) => {
  await using client = await RawClient.connect(sidecar);
  return (await client.request('status')).counts.unacknowledged;
};

describe('the Python client', () => {
  it('reads every line once, in order, though its connection is cut again and again, and acknowledges the outcome', async () => {
    await using sidecar = await startSidecar();
    await using network = await TcpProxy.to(sidecar.url, {
      budgetOf: (connection) => [2_000, 90_000, 150_000, 70_001][connection],
    });
    const run = await runClient({
      sidecar,
      url: network.url,
      prompt: script({ do: 'fill', lines: 600 }, { do: 'write', to: 'stderr', text: 'a warning\n' }),
    });
    expect(run.exitCode, run.said.join('\n')).toBe(0);
    const numbers = run.lines.flatMap((line) => {
      const { type, n } = JSON.parse(line) as { type: string; n?: number };
      return type === 'fill' ? [n] : [];
    });
    expect(numbers).toEqual(Array.from({ length: 600 }, (_, n) => n));
    expect(network.connections).toBe(5);
    expect(run.said).toContain('a warning');
    expect(run.outcome()).toMatchObject({ executionId: 'py-1', status: 'succeeded', result: 'done' });
    expect(await unacknowledged(sidecar)).toBe(0);
  });

  it('joins the parts of a line that is longer than its credit and than a frame', async () => {
    await using sidecar = await startSidecar();
    const run = await runClient({ sidecar, prompt: script({ do: 'fill', lines: 1, lineBytes: 400_000 }) });
    expect(run.exitCode, run.said.join('\n')).toBe(0);
    expect(run.lines.map((line) => line.length)).toContain(399_999);
    for (const line of run.lines) expect(() => JSON.parse(line) as unknown).not.toThrow();
  });

  it('answers a refused credential by a swap, and drains the agent afterwards, which then admits again', async () => {
    const api = await startApi();
    await using sidecar = await startSidecar({ mode: 'gateway', upstream: api.url });
    const run = await runClient({ sidecar, prompt: script({ do: 'request' }), flags: ['--drain'] });
    await api.close();
    expect(run.said).toEqual([
      'the agent needs another credential: auth_expired',
      'drained',
      'admits again',
      'py-1: succeeded (completed)',
    ]);
    expect(run.outcome()).toMatchObject({ status: 'succeeded', credential: { id: 'spare', generation: 2 } });
    await using client = await RawClient.connect(sidecar);
    await client.dispatch('afterwards', 'hello');
  });

  it('tells a run that failed, and an agent that does not want it', async () => {
    await using sidecar = await startSidecar();
    const failed = await runClient({ sidecar, prompt: fakeScript([{ do: 'exit', code: 3 }]) });
    expect(failed).toMatchObject({ exitCode: 1, said: ['py-1: failed (crashed)'] });
    const taken = await runClient({ sidecar, prompt: 'another prompt under the same id' });
    expect(taken.exitCode).toBe(2);
    expect(taken.said.join()).toMatch(/^given up: dispatch: execution_conflict: /);
    const stranger = await runClient({ sidecar, prompt: 'hello', token: 'not-the-token-of-this-agent' });
    expect(stranger).toMatchObject({ exitCode: 2, said: ['given up: the agent answered 401'] });
  });

  it('sees the real CLI through a refused credential and a cut connection', async () => {
    const api = await startApi();
    await using sidecar = await startSidecar({
      claude: claudePath('2.1.329'),
      mode: 'gateway',
      upstream: api.url,
      env: { HOME: temporaryFolder(), IS_SANDBOX: '1' },
    });
    await using network = await TcpProxy.to(sidecar.url, { budgetOf: (connection) => [4_000][connection] });
    const run = await runClient({ sidecar, url: network.url, prompt: 'What is the answer?' });
    await api.close();
    expect(run.exitCode, run.said.join('\n')).toBe(0);
    expect(network.connections).toBe(2);
    expect(run.said).toContain('the agent needs another credential: auth_expired');
    expect(run.outcome()).toMatchObject({ status: 'succeeded', result: 'The answer is 42.' });
    expect(run.lines.map((line) => (JSON.parse(line) as { type: string }).type)).toContain('assistant');
  });
});
