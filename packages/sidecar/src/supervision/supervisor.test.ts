import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../testing/silent-logger.js';
import { expect, it, onTestFinished } from 'vitest';
import { Credentials } from '../credentials/credentials.js';
import { ExecutionJournal } from '../journal/execution-journal.js';
import { currentRedactor } from '../redaction.js';
import { StateFolder } from '../state/folder.js';
import { environmentAccess } from './access.js';
import { Supervisor } from './supervisor.js';

it('a host that cannot be told keeps neither the next one from being told nor the dispatch from its answer', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-unit-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const state = new StateFolder(folder, null);
  const credentials = new Credentials('env', null);
  const supervisor = new Supervisor({
    agentId: 'agent',
    maxExecutions: 1,
    credentials,
    access: environmentAccess(credentials.slot, null),
    command: 'claude',
    passedVariables: [],
    runUser: null,
    state,
    journal: ExecutionJournal.open(state.journalPath, { logger: silentLogger }),
    markers: [],
    redactor: currentRedactor(() => []),
    logger: silentLogger,
  });
  const heard: string[] = [];
  const broken = () => {
    throw new Error('it broke');
  };
  supervisor.on('state', broken).on('state', (run) => heard.push(`state of ${run.id}`));
  supervisor.on('outcome', broken).on('outcome', (run) => heard.push(`outcome of ${run.id}`));
  const reply = await supervisor.dispatch('skipped', { prompt: 'x', whenBusy: 'skip' });
  expect(reply).toMatchObject({ known: false, state: 'ended', outcome: { reason: 'credential_missing' } });
  expect(heard).toEqual(['state of skipped', 'outcome of skipped']);
  expect(supervisor.counts()).toMatchObject({ live: 0, queued: 0, unacknowledged: 1 });
});
