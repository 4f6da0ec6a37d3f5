import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type DispatchRequest, type Outcome } from '@outrigger/protocol';
import { silentLogger } from '../testing/silent-logger.js';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { Credentials } from '../credentials/credentials.js';
import { ExecutionJournal } from '../journal/execution-journal.js';
import { probeMarkers } from '../process/tree/tree.js';
import { currentRedactor } from '../redaction.js';
import { StateFolder } from '../state/folder.js';
import { environmentAccess } from './access.js';
import { Run, type RunContext } from './run.js';

const RESULT = '{"type":"result","subtype":"success","is_error":false,"result":"Done."}';

function context(overrides: Partial<RunContext> = {}): RunContext {
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-unit-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'claude'), `#!/bin/sh\necho '${RESULT}'\n`, { mode: 0o755 });
  const state = new StateFolder(join(folder, 'state'), null);
  const credentials = new Credentials('env', { id: 'standing', kind: 'api_key', secret: 'a-secret' });
  return {
    command: join(folder, 'claude'),
    credentials,
    access: environmentAccess(credentials.slot, null),
    passedVariables: [],
    runUser: null,
    state,
    notes: ExecutionJournal.open(state.journalPath, { logger: silentLogger }),
    markers: probeMarkers('auto'),
    redactor: currentRedactor(() => []),
    logger: silentLogger,
    waitToBeLetIn: (_id, begin) => {
      begin();
      return () => undefined;
    },
    onState: () => undefined,
    onOutcome: () => undefined,
    ...overrides,
  };
}

/** Runs a dispatch to its end. */
async function outcomeOf(request: DispatchRequest, overrides: Partial<RunContext> = {}): Promise<Outcome> {
  const { ended, onOutcome } = listener();
  const init = { id: 'run', digest: 'digest', request, isQueued: false };
  Run.accept(init, context({ onOutcome, ...overrides })).begin();
  return ended;
}

function listener() {
  let onOutcome: RunContext['onOutcome'] = () => undefined;
  const ended = new Promise<Outcome>((resolve) => (onOutcome = (_run, outcome) => resolve(outcome)));
  return { ended, onOutcome };
}

/** Lets every thread that serves files wait, as a disk that hangs does. Returns how to end that. */
function occupyThreads(): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-unit-'));
  const threads = Number(process.env['UV_THREADPOOL_SIZE'] ?? 4);
  const fifos = Array.from({ length: threads }, (_value, n) => join(folder, `fifo-${n}`));
  execFileSync('mkfifo', fifos);
  const opened = fifos.map((fifo) => open(fifo, 'r'));
  return () => {
    fifos.forEach((fifo) => closeSync(openSync(fifo, 'r+')));
    opened.forEach((file) => void file.then((handle) => handle.close()));
    rmSync(folder, { recursive: true });
  };
}

function throws(): never {
  throw new Error('it broke');
}

it('a run that has ended keeps its outcome, and nothing of what it was asked', async () => {
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  const runs: Run[] = [];
  const onState = (run: Run) => runs.push(run);
  const start = () => {
    const request: DispatchRequest = { prompt: 'x', labels: { kept: 'yes' } };
    return { ended: outcomeOf(request, { onState }), request: new WeakRef(request) };
  };
  const { ended, request } = start();
  await ended;
  await setImmediate();
  collectGarbage();
  expect(request.deref()).toBeUndefined();
  expect(runs.at(-1)?.summary()).toMatchObject({ labels: { kept: 'yes' }, outcome: { result: 'Done.' } });
});

describe('a run ends with its outcome', () => {
  it('though nobody can be told of its states', async () => {
    expect(await outcomeOf({ prompt: 'x' }, { onState: throws })).toMatchObject({
      reason: 'completed',
      result: 'Done.',
    });
  });

  it('though its launch cannot be put together', async () => {
    const request = { prompt: 'x', allowedTools: 5 } as unknown as DispatchRequest;
    const outcome = await outcomeOf(request);
    expect(outcome).toMatchObject({ status: 'failed', reason: 'spawn_failed', attempts: 0, survivors: 0 });
    expect(outcome.message).toContain('cannot start the process: ');
  });

  it('though its files are never made, for the disk hangs', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const release = occupyThreads();
    onTestFinished(() => {
      release();
      vi.useRealTimers();
    });
    const ended = outcomeOf({ prompt: 'x' });
    vi.runAllTimers();
    const outcome = await ended;
    expect(outcome).toMatchObject({ reason: 'spawn_failed', attempts: 0 });
    expect(outcome.message).toContain('its files could not be made within 30000 ms');
  });

  it('though what it printed cannot be redacted, and then without it', async () => {
    const outcome = await outcomeOf({ prompt: 'x' }, { redactor: throws });
    expect(outcome).toMatchObject({ reason: 'completed', exit: { code: 0 } });
    expect(outcome).not.toHaveProperty('result');
  });
});
