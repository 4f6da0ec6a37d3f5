import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Outcome } from '@outrigger/protocol';
import { fakeScript, type FakeStep } from '@outrigger/sdk/testing';
import { describe, expect, it } from 'vitest';
import { recordsIn } from './support/journal.js';
import { processesIn } from './support/outside.js';
import { RawClient } from './support/raw-client.js';
import { type RestartableSidecar, startRestartable } from './support/restart.js';
import { hanging, hasPrinted, isWaiting, refused, SECOND, temporaryFolder } from './support/runs.js';

interface Stage {
  readonly client: RawClient;
  readonly dispatch: (id: string, steps: FakeStep[], options?: object) => Promise<unknown>;
}

/** Lives that leave every kind of record. Each says what its runs may come to, wherever the sidecar was killed. */
const LIVES: Readonly<Record<string, { live: (stage: Stage) => Promise<unknown>; ends: string[] }>> = {
  'a good run': {
    live: async ({ client, dispatch }) => {
      await dispatch('a', [{ do: 'init' }, { do: 'result', result: 'x' }]);
      await client.outcome('a');
      await client.request('ack', { executionId: 'a' });
    },
    ends: ['completed'],
  },
  'a run that is cancelled': {
    live: async ({ client, dispatch }) => {
      await dispatch('a', hanging, { graceMs: 100 });
      await hasPrinted(client, 'a');
      await client.request('cancel', { executionId: 'a' });
      await client.outcome('a');
    },
    // Its processes are dead by now, and where the cancel is not known nobody can say of what.
    ends: ['requested', 'crashed'],
  },
  'a run that waits for a credential between two attempts, and goes on': {
    live: async ({ client, dispatch }) => {
      const resumePrompt = fakeScript([{ do: 'init' }, { do: 'result', result: 'x' }]);
      await dispatch('a', refused, { onCredentialFailure: 'resume', resumePrompt });
      await isWaiting(client, 'a');
      await client.request('swap_credential', { credential: SECOND });
      await client.outcome('a');
    },
    ends: ['completed', 'auth_invalid'],
  },
  'a run that is refused, one that waits in the queue, one that was cancelled before': {
    live: async ({ client, dispatch }) => {
      await client.request('cancel', { executionId: 'c' });
      await dispatch('a', hanging, { graceMs: 100 });
      await hasPrinted(client, 'a');
      await dispatch('s', hanging, { whenBusy: 'skip' });
      await dispatch('q', [{ do: 'init' }, { do: 'result' }], { whenBusy: 'queue' });
      await dispatch('c', hanging);
      await client.request('cancel', { executionId: 'a' });
      await client.outcome('q');
    },
    ends: ['completed', 'requested', 'crashed', 'at_capacity'],
  },
};

const startsIn = (folder: string) =>
  existsSync(join(folder, 'starts')) ? readFileSync(join(folder, 'starts'), 'utf8').split('\n').filter(Boolean) : [];

/** Lives that life, then kills the sidecar. @returns its journal, whole */
async function liveAndDie(sidecar: RestartableSidecar, folder: string, live: (stage: Stage) => Promise<unknown>) {
  await using client = await RawClient.connect(sidecar);
  const dispatch: Stage['dispatch'] = (id, steps, options = {}) => {
    const counted: FakeStep[] = [{ do: 'touch', path: join(folder, 'starts'), text: `${id}\n` }, ...steps];
    return client.dispatch(id, counted, { cwd: folder, ...options });
  };
  await live({ client, dispatch });
  await sidecar.kill();
  for (const pid of processesIn(folder)) process.kill(pid, 'SIGKILL');
  return readFileSync(join(sidecar.stateDir, 'journal'), 'utf8').split('\n').filter(Boolean);
}

describe.each(Object.entries(LIVES))('of %s', (_name, { live, ends }) => {
  it('wherever the sidecar was killed, each execution that was accepted ends once, and what was told stands (R2, I2)', async () => {
    const folder = temporaryFolder();
    const [work, backup] = [join(folder, 'work'), join(folder, 'backup')];
    mkdirSync(work);
    const stateDir = join(folder, 'state');
    await using sidecar = await startRestartable({ stateDir, maxExecutions: 1 });
    const lines = await liveAndDie(sidecar, work, live);
    cpSync(stateDir, backup, { recursive: true });
    const startsBefore = startsIn(work);
    const told = new Map<string, Outcome>();
    for (const { is, id = '', outcome } of recordsIn(stateDir)) if (is === 'ended') told.set(id, outcome as Outcome);

    for (let kept = 1; kept <= lines.length; kept++) {
      rmSync(stateDir, { recursive: true });
      cpSync(backup, stateDir, { recursive: true });
      writeFileSync(join(work, 'starts'), startsBefore.map((line) => `${line}\n`).join(''));
      writeFileSync(
        join(stateDir, 'journal'),
        lines
          .slice(0, kept)
          .map((line) => `${line}\n`)
          .join(''),
      );
      const records = recordsIn(stateDir);
      await sidecar.start();
      await using client = await RawClient.connect(sidecar);
      const accepted = records.filter(({ is }) => is === 'accepted').map(({ id = '' }) => id);
      for (const id of accepted) {
        const hasStarted = records.some((record) => record.is === 'starting' && record.id === id);
        const hasEnded = records.some((record) => record.is === 'ended' && record.id === id);
        const { execution } = await client.request('status', { executionId: id });
        // What was never started is now, and would go on for ever.
        const isOpen = execution?.outcome === undefined && !hasStarted;
        if (isOpen) await client.request('cancel', { executionId: id });
        const outcome = execution?.outcome ?? (await outcomeOf(client, id));
        const where = `${id} behind ${kept} records, the last one ${records.at(-1)?.is}`;
        expect(ends.concat(isOpen ? ['requested'] : []), where).toContain(outcome.reason);
        expect(outcome.survivors, where).toBe(0);
        if (hasEnded) expect(outcome, where).toEqual(told.get(id));
        const count = (all: string[]) => all.filter((line) => line === id).length;
        if (hasStarted) expect(count(startsIn(work)), where).toBe(count(startsBefore));
      }
      expect(processesIn(work)).toEqual([]);
      expect(await client.request('status')).toMatchObject({ counts: { live: 0, queued: 0 } });
      await sidecar.kill();
    }
  }, 120_000);
});

/** A further attempt waits for a credential where the one that came is not known any more. */
async function outcomeOf(client: RawClient, id: string): Promise<Outcome> {
  const { execution } = await client.request('status', { executionId: id });
  if (execution?.state === 'held') {
    await isWaiting(client, id);
    await client.request('swap_credential', { credential: SECOND });
  }
  return client.outcome(id);
}
