import { CLIENT_FRAME_SCHEMAS, type SidecarFrame } from '@outrigger/protocol';
import { describe, expect, it } from 'vitest';
import { examplesOf, section } from './support/protocol-page.js';
import { RawClient, refusedUpgrade } from './support/raw-client.js';
import { startSidecar, type TestSidecar } from './support/sidecar.js';

/** What differs from one sidecar or run to the next. */
const VARYING = [
  ...['agentId', 'journalId', 'bootId', 'claudeVersion', 'killMethods', 'limits', 'counts', 'survivors'],
  ...['at', 'since', 'acceptedAt', 'startedAt', 'endedAt', 'closedAt', 'sessionId', 'costUsd', 'result', 'creditBytes'],
  ...['start', 'end', 'lines', 'ends', 'drainId', 'deadlineAt'],
];

/** Whether a frame says all that the page's frame says, what varies aside. */
function says(actual: unknown, shown: unknown): boolean {
  if (typeof shown !== 'object' || shown === null) return actual === shown;
  if (typeof actual !== 'object' || actual === null) return false;
  return Object.entries(shown).every(
    ([key, value]) => (VARYING.includes(key) && !isReplyResult(key, value)) || says(actual[key as never], value),
  );
}

/** The `result` of a reply, unlike that of an outcome, is an object. */
const isReplyResult = (key: string, value: unknown) => key === 'result' && typeof value === 'object';

/** Sends the frames of the client and waits for those of the sidecar, in the order of the page. */
async function replay(heading: string, client: RawClient): Promise<void> {
  for (const { frame, title } of examplesOf(section(heading))) {
    if (frame.type in CLIENT_FRAME_SCHEMAS) {
      client.send(frame);
      continue;
    }
    const arrived = client.waitFor(frame.type as SidecarFrame['type'], (actual) => says(actual, frame));
    await expect(withFrames(arrived, client), `the frame ${title} of "${heading}"`).resolves.toBeDefined();
  }
}

/** A frame that never comes would be told as a time-out alone; after it, everything that did come is told. */
async function withFrames<T>(arrived: Promise<T>, client: RawClient): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`it did not come, but: ${JSON.stringify(client.frames)}`)), 20_000);
  });
  return Promise.race([arrived, late]).finally(() => clearTimeout(timer));
}

describe('a sidecar holds the conversation that PROTOCOL.md shows', () => {
  const walk = async (heading: string, sidecar: TestSidecar) => {
    await using client = await RawClient.open(sidecar);
    await replay(heading, client);
  };
  const hello = async (sidecar: TestSidecar) => RawClient.connect(sidecar);

  it('of a good run', async () => {
    await using sidecar = await startSidecar({ maxExecutions: 1 });
    await walk('### 12.1 A good run', sidecar);
  });

  it('of an agent at capacity (D1)', async () => {
    await using sidecar = await startSidecar({ maxExecutions: 1 });
    await using client = await hello(sidecar);
    await client.dispatch('busy', [{ do: 'hang' }]);
    await replay('### 12.2 An agent at capacity', client);
  });

  it('of a lost connection', async () => {
    await using sidecar = await startSidecar();
    {
      await using lost = await hello(sidecar);
      await lost.dispatch('long', [
        { do: 'fill', lines: 20, lineBytes: 1024 },
        { do: 'write', text: `${'x'.repeat(49)}\n` },
        { do: 'write', to: 'stderr', text: 'Aborted (no core)\n' },
        { do: 'exit', code: 134 },
      ]);
      await lost.outcome('long');
    }
    await walk('### 12.3 A lost connection', sidecar);
  });

  it('of a cancel that comes before its dispatch (O9, D8)', async () => {
    await using sidecar = await startSidecar();
    await using client = await hello(sidecar);
    await replay('### 12.4 A cancel that comes before its dispatch', client);
  });

  it('of a container that is to be replaced (D4)', async () => {
    await using sidecar = await startSidecar();
    await using client = await hello(sidecar);
    await client.dispatch('busy', [{ do: 'hang' }]);
    await replay('### 12.6 A container that is to be replaced', client);
  });

  it('of a run that is talked to', async () => {
    await using sidecar = await startSidecar();
    await using client = await hello(sidecar);
    await replay('### 12.7 A run that is talked to', client);
  });

  it('of a wrong token (B1)', async () => {
    await using sidecar = await startSidecar();
    const { status, code, message, headers } = await refusedUpgrade(sidecar, { token: 'last-months-control-token' });
    const [, answer = ''] = section('### 12.5 A wrong token').split('HTTP/1.1 401');
    expect(status).toBe(401);
    expect(answer).toContain(JSON.stringify({ error: { code, message } }));
    for (const name of ['Connection', 'Content-Type', 'WWW-Authenticate', 'Content-Length']) {
      expect(answer).toContain(`${name}: ${String(headers[name.toLowerCase()])}`);
    }
  });
});
