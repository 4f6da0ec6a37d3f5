import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, it, onTestFinished } from 'vitest';
import { currentRedactor } from '../redaction.js';
import { StateFolder } from '../state/folder.js';
import { Supervisor } from './supervisor.js';

it('a host that cannot be told keeps neither the next one from being told nor the dispatch from its answer', () => {
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-unit-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const supervisor = new Supervisor({
    agentId: 'agent',
    maxExecutions: 1,
    credential: null,
    command: 'claude',
    upstream: null,
    passedVariables: [],
    runUser: null,
    state: new StateFolder(folder, null),
    markers: [],
    redactor: currentRedactor(() => []),
    logger: pino({ level: 'silent' }),
  });
  const heard: string[] = [];
  const broken = () => {
    throw new Error('it broke');
  };
  supervisor.on('state', broken).on('state', (run) => heard.push(`state of ${run.id}`));
  supervisor.on('outcome', broken).on('outcome', (run) => heard.push(`outcome of ${run.id}`));
  const reply = supervisor.dispatch('skipped', { prompt: 'x', whenBusy: 'skip' });
  expect(reply).toMatchObject({ known: false, state: 'ended', outcome: { reason: 'credential_missing' } });
  expect(heard).toEqual(['state of skipped', 'state of skipped', 'outcome of skipped']);
  expect(supervisor.counts()).toMatchObject({ live: 0, queued: 0, unacknowledged: 1 });
});
