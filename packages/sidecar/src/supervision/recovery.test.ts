import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DispatchRequest, type Outcome } from '@outrigger/protocol';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { type Disk, DISK } from '../journal/disk.js';
import { ExecutionJournal } from '../journal/execution-journal.js';
import { StateFolder } from '../state/folder.js';
import { supervisorOptions } from '../testing/supervising.js';
import { type RetentionLimits } from './retention.js';
import { Supervisor } from './supervisor.js';

const HOUR_MS = 3_600_000;
const RESULT = '{"type":"result","subtype":"success","is_error":false,"result":"Done."}';
/** Ends well when the file is there that its prompt names, and at once without a name. */
const CLAUDE = `#!/bin/sh
read -r gate
echo '{"type":"system","subtype":"init"}'
while [ -n "$gate" ] && [ ! -e "$gate" ]; do sleep 0.02; done
echo '${RESULT}'
`;

interface Setup {
  readonly bootId?: string;
  readonly disk?: Disk;
  readonly retention?: Partial<RetentionLimits>;
}

/** Supervisors on one state folder, one after the other, as if each was started when the one before was killed. */
function stateFolder() {
  const path = mkdtempSync(join(tmpdir(), 'outrigger-unit-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  writeFileSync(join(path, 'claude'), CLAUDE, { mode: 0o755 });
  const options = supervisorOptions({ command: join(path, 'claude'), path: join(path, 'state') });
  let { state } = options;
  let isFirst = true;
  return {
    gate: join(path, 'gate'),
    open: (name = 'gate') => writeFileSync(join(path, name), ''),
    logs: () => readdirSync(join(path, 'state/executions')),
    async start({ bootId, retention, disk }: Setup = {}) {
      if (!isFirst) {
        state.unlock();
        state = new StateFolder(join(path, 'state'), null);
      }
      isFirst = false;
      const journal = ExecutionJournal.open(state.journalPath, {
        logger: options.logger,
        ...(bootId === undefined ? {} : { bootId }),
        ...(disk === undefined ? {} : { disk }),
      });
      const supervisor = new Supervisor({ ...options, state, journal, ...(retention && { retention }) });
      await supervisor.recover(() => Promise.resolve());
      return supervisor;
    },
  };
}

const run = (supervisor: Supervisor, prompt: string, more: Partial<DispatchRequest> = {}, id = 'run') =>
  supervisor.dispatch(id, { prompt: `${prompt}\n`, ...more });

function outcomeOf(supervisor: Supervisor, id = 'run'): Promise<Outcome> {
  const known = supervisor.run(id).outcome;
  if (known !== null) return Promise.resolve(known);
  return new Promise((resolve) =>
    supervisor.on('outcome', ({ id: ended }, outcome) => ended === id && resolve(outcome)),
  );
}

const isRunning = (supervisor: Supervisor) =>
  expect.poll(() => supervisor.run('run').attempts[0]?.stdout.size() ?? 0).toBeGreaterThan(0);

describe.each([HOUR_MS, -HOUR_MS])('the wall clock moves by %d ms (R12)', (movedMs) => {
  const move = () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    onTestFinished(() => void vi.useRealTimers());
    vi.setSystemTime(Date.now() + movedMs);
  };

  it('and the deadline of a run stays where it was', async () => {
    const folder = stateFolder();
    const supervisor = await folder.start();
    await run(supervisor, folder.gate, { timeoutMs: 700, graceMs: 50 });
    await isRunning(supervisor);
    move();
    const outcome = await outcomeOf(supervisor);
    expect(outcome).toMatchObject({ status: 'timed_out', reason: 'deadline' });
    expect(outcome.endedAt - (outcome.startedAt ?? 0)).toBe(700);
  });

  it('and so do the deadline and the times of a run that another sidecar takes over', async () => {
    const folder = stateFolder();
    const first = await folder.start();
    const { acceptedAt } = await run(first, folder.gate, { timeoutMs: 1500, graceMs: 50 });
    await isRunning(first);
    move();
    const second = await folder.start();
    const outcome = await outcomeOf(second);
    expect(outcome).toMatchObject({ status: 'timed_out', reason: 'deadline', acceptedAt });
    expect(outcome.endedAt - (outcome.startedAt ?? 0)).toBe(1500);
  });
});

describe('a journal of another boot of the machine', () => {
  it('tells of no process: what ran has its outcome from its logs, though its pid may be somebody else’s', async () => {
    const folder = stateFolder();
    const first = await folder.start({ bootId: 'before' });
    await run(first, folder.gate);
    await isRunning(first);
    const second = await folder.start({ bootId: 'after' });
    expect(await outcomeOf(second)).toMatchObject({
      status: 'failed',
      reason: 'crashed',
      attempts: 1,
      survivors: 0,
      exit: { code: null, signal: null },
    });
    folder.open();
    await first.stop(0);
  });

  it('and its outcomes are as they were, and its ids known', async () => {
    const folder = stateFolder();
    const first = await folder.start({ bootId: 'before' });
    await run(first, '');
    const told = await outcomeOf(first);
    await first.settle();
    const second = await folder.start({ bootId: 'after' });
    expect(second.unacknowledged()).toMatchObject([{ executionId: 'run', outcome: told }]);
    const third = await folder.start({ bootId: 'after' });
    expect((await run(third, '')).outcome).toEqual(told);
  });
});

it('a dispatch that cannot be promised is no execution, and keeps nobody from stopping (R15)', async () => {
  const folder = stateFolder();
  let fail = (): void => undefined;
  const sync = () => new Promise<void>((_resolve, reject) => (fail = () => reject(new Error('EIO'))));
  const supervisor = await folder.start({ disk: { ...DISK, sync } });
  const dispatching = run(supervisor, folder.gate);
  const stopped = supervisor.stop(0);
  fail();
  await expect(dispatching).rejects.toMatchObject({ code: 'disk_low' });
  await vi.waitFor(() => fail());
  expect(supervisor.counts()).toMatchObject({ live: 0, queued: 0, unacknowledged: 0 });
  const again = setInterval(() => fail(), 5);
  onTestFinished(() => clearInterval(again));
  await stopped;
  expect(() => supervisor.run('run')).toThrow('not known');
});

describe('what is not kept any longer', () => {
  it('is known by its id alone, over a restart as well, and is not started again (D8)', async () => {
    const folder = stateFolder();
    const retention = { acknowledgedMax: 0 };
    const first = await folder.start({ retention });
    await run(first, '');
    await outcomeOf(first);
    first.acknowledge('run');
    for (const supervisor of [first, await folder.start({ retention })]) {
      await expect(run(supervisor, '')).rejects.toMatchObject({ code: 'execution_forgotten' });
      await expect(run(supervisor, 'else')).rejects.toMatchObject({ code: 'execution_conflict' });
      expect(await supervisor.cancel('run')).toEqual({ known: true, state: 'ended' });
      expect(() => supervisor.run('run')).toThrow('not known');
      // Another host may not have heard that somebody was first.
      expect(() => supervisor.acknowledge('run')).not.toThrow();
    }
    await expect.poll(folder.logs).toEqual([]);
  });

  it('outcomes outlive their logs, which go when they are too much, the oldest first', async () => {
    const folder = stateFolder();
    const bytes = 100;
    const first = await folder.start({ retention: { logBytesMax: 2 * bytes } });
    for (const id of ['a', 'b', 'c']) {
      await run(first, '', {}, id);
      await outcomeOf(first, id);
    }
    await expect.poll(folder.logs).toEqual(['c']);
    expect(first.run('a').outcome).toMatchObject({ status: 'succeeded' });
    expect(first.run('a').attempts.map(({ stdout }) => [stdout.isDropped, stdout.end])).toEqual([[true, 107]]);
    await first.settle();
    // What was dropped takes no room any more.
    const second = await folder.start({ retention: { logBytesMax: 2 * bytes } });
    await run(second, '', {}, 'd');
    await outcomeOf(second, 'd');
    const dropped = ['a', 'b', 'c'].map((id) => second.run(id).attempts.map(({ stdout }) => stdout.isDropped));
    expect(dropped).toEqual([[true], [true], [true]]);
    expect(second.run('a').attempts[0]?.stdout.end).toBe(107);
  });
});
