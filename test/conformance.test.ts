import { conformanceChecks, type ConformanceReport, runConformance } from '@outrigger/sdk/conformance';
import { startStandInApi, text } from '@outrigger/sdk/testing';
import { describe, expect, it } from 'vitest';
import { type Alterations, type Frame, startAlteringProxy } from './support/altering-proxy.js';
import { claudePath } from './support/claude.js';
import { section } from './support/protocol-page.js';
import { RawClient } from './support/raw-client.js';
import { hanging, isRunning, temporaryFolder } from './support/runs.js';
import { startSidecar, TOKEN, type TestSidecar } from './support/sidecar.js';

const ALL = conformanceChecks.map(({ id }) => id);

/** What did not pass, with the reason. */
const unpassed = ({ results }: ConformanceReport) =>
  results.flatMap(({ id, result, reason }) => (result === 'passed' ? [] : [`${id} ${result}: ${reason ?? ''}`]));

const failed = ({ results }: ConformanceReport) =>
  results.flatMap(({ id, result }) => (result === 'failed' ? [id] : []));

describe('the conformance suite', () => {
  it('names each check once, with a heading of PROTOCOL.md', () => {
    expect(new Set(ALL).size).toBe(ALL.length);
    for (const check of conformanceChecks) expect(section(`## ${check.section}`)).not.toBe('');
  });

  it('passes a sidecar in full, tells each result as it comes, runs the CLI once and leaves nothing behind', async () => {
    await using sidecar = await startSidecar();
    const told: string[] = [];
    const report = await runConformance(sidecar, { onResult: ({ id }) => told.push(id) });
    expect(unpassed(report)).toEqual([]);
    expect(report).toMatchObject({ passed: ALL.length, failed: 0, skipped: 0 });
    expect(told).toEqual(ALL);
    expect(sidecar.log.filter(({ msg }) => msg === 'execution started')).toHaveLength(1);
    await using client = await RawClient.connect(sidecar);
    expect(await client.request('status')).toMatchObject({ counts: { live: 0, unacknowledged: 0 }, generation: 1 });
  });

  it('passes a sidecar with the real CLI', async () => {
    const api = await startStandInApi({ respond: text('ok') });
    await using sidecar = await startSidecar({
      claude: claudePath('2.1.329'),
      mode: 'gateway',
      upstream: api.url,
      env: { HOME: temporaryFolder(), IS_SANDBOX: '1' },
    });
    const report = await runConformance(sidecar);
    await api.close();
    expect(unpassed(report)).toEqual([]);
    expect(api.requests.filter(({ kind }) => kind === 'main')).toHaveLength(1);
  });

  it('skips what a busy agent cannot show, and does not drain it', async () => {
    await using sidecar = await startSidecar({ maxExecutions: 1 });
    await using client = await RawClient.connect(sidecar);
    await client.dispatch('busy', hanging);
    await isRunning(client, 'busy');
    const report = await runConformance(sidecar);
    expect(failed(report)).toEqual([]);
    const skipped = report.results.filter(({ result }) => result === 'skipped');
    expect(skipped.map(({ id }) => id)).toEqual(expect.arrayContaining(['dispatch.idempotent', 'drain.refuses']));
    expect(skipped.every(({ reason }) => reason !== '')).toBe(true);
    expect(client.frames.map(({ type }) => type)).not.toContain('drain_progress');
  });

  it('runs nowhere without an address that answers, a token that is right, and a wire nobody listens to', async () => {
    await using sidecar = await startSidecar();
    const stranger = { ...sidecar, token: 'not-the-token-of-this-agent' };
    await expect(runConformance(stranger)).rejects.toMatchObject({ code: 'unauthorized' });
    const nobody = { url: 'ws://127.0.0.1:1', token: TOKEN };
    await expect(runConformance(nobody)).rejects.toMatchObject({ code: 'agent_unreachable' });
    await expect(runConformance({ url: 'ws://agent.invalid:7411', token: TOKEN })).rejects.toMatchObject({
      code: 'insecure_url',
    });
  });
});

/** A frame of a type, changed; the others as they are. */
const change = (type: string, how: (frame: Frame) => Frame | Frame[] | undefined) => (frame: Frame) =>
  frame.type === type ? how(frame) : frame;

/** A good reply is an error, and so on. */
const withError = (code: string, how: (error: Frame) => Frame) =>
  change('reply', (frame) => {
    const error = frame['error'] as Frame | undefined;
    return error?.['code'] === code ? { ...frame, error: how(error) } : frame;
  });

const rightToken = { authorization: `Bearer ${TOKEN}` };

describe('a sidecar that', () => {
  it.each<[string, string[], () => Alterations]>([
    [
      'takes every token',
      ['upgrade.token-missing', 'upgrade.token-wrong'],
      () => ({ upgrade: (headers) => ({ ...headers, ...rightToken }) }),
    ],
    ['takes a token in the URL', ['upgrade.token-in-url'], () => ({ path: (path) => path.replace(/\?token=.*/, '') })],
    ['serves every path', ['upgrade.path'], () => ({ path: (path) => path.replace('conformance', '') })],
    ['takes every Origin', ['upgrade.origin'], () => ({ upgrade: ({ origin: _origin, ...headers }) => headers })],
    [
      'does not say which versions it speaks',
      ['hello.version'],
      () => ({ toClient: change('error', (frame) => (frame['code'] === 'unsupported_version' ? [] : frame)) }),
    ],
    [
      'drops what it does not know',
      ['frames.strict'],
      () => ({
        toSidecar: change('dispatch', (frame) => {
          const { timeoutMS: _typo, ...request } = frame['request'] as Frame;
          return { ...frame, request };
        }),
      }),
    ],
    [
      'has no code of its own for an unknown type',
      ['frames.unknown-type'],
      () => ({ toClient: withError('unknown_type', (error) => ({ ...error, code: 'invalid' })) }),
    ],
    [
      'starts a repeated dispatch anew, as far as it tells',
      ['dispatch.idempotent'],
      () => ({
        toClient: change('reply', (frame) => {
          const result = frame['result'] as Frame | undefined;
          return result?.['known'] === true && 'outcome' in result
            ? { ...frame, result: { ...result, known: false } }
            : frame;
        }),
      }),
    ],
    [
      'takes another request under the same id',
      ['dispatch.conflict'],
      () => ({ toClient: withError('execution_conflict', (error) => ({ ...error, code: 'internal' })) }),
    ],
    [
      'forgets a cancel of an unknown id',
      ['cancel.unknown'],
      () => ({
        toClient: change('outcome', (frame) => {
          const outcome = frame['outcome'] as Frame;
          return outcome['attempts'] === 0 ? { ...frame, outcome: { ...outcome, attempts: 1 } } : frame;
        }),
      }),
    ],
    [
      'sends without credit',
      ['output.credit'],
      () => ({ toSidecar: change('subscribe', (frame) => ({ ...frame, creditBytes: 1_000_000 })) }),
    ],
    [
      'forgives an overdraft',
      ['output.credit'],
      () => ({ toSidecar: change('credit', (frame) => ({ ...frame, bytes: 1_000_000 })) }),
    ],
    [
      'goes on from the beginning after a reconnect',
      ['output.cursor'],
      () => ({
        toSidecar: change('hello', (hello) => {
          const cursors = (hello['cursors'] ?? []) as Frame[];
          const isRest = cursors.some(({ subscription }) => subscription === 'rest');
          const from = { attempt: 1, stdout: 0, stderr: 0 };
          return isRest ? { ...hello, cursors: cursors.map((cursor) => ({ ...cursor, from })) } : hello;
        }),
      }),
    ],
    [
      'leaves out of its snapshot what nobody has acknowledged',
      ['outcome.until-ack'],
      () => ({ toClient: change('snapshot', (page) => ({ ...page, executions: [] })) }),
    ],
    [
      'does not listen to an ack',
      ['outcome.until-ack'],
      () => ({
        toSidecar: change('ack', (frame) => ({ ...frame, type: 'status' })),
      }),
    ],
    [
      'refuses nothing while it drains, as far as it tells',
      ['drain.refuses'],
      () => ({ toClient: withError('draining', (error) => ({ ...error, code: 'at_capacity' })) }),
    ],
    [
      'does not say which generation is in force',
      ['credential.stale-generation'],
      () => ({ toClient: withError('stale_generation', ({ data: _data, ...error }) => error) }),
    ],
    [
      'takes a swap for another generation',
      ['credential.stale-generation'],
      () => ({ toSidecar: change('swap_credential', ({ ifGeneration: _generation, ...frame }) => frame) }),
    ],
  ])('%s is told by %j alone', async (_what, wanted, alterations) => {
    await using sidecar: TestSidecar = await startSidecar();
    await using broken = await startAlteringProxy(sidecar.url, alterations());
    const report = await runConformance({ url: broken.url, token: sidecar.token });
    expect(failed(report), unpassed(report).join('\n')).toEqual(wanted);
  });
});
