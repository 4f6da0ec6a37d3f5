import { pino } from 'pino';
import { Credentials } from '../credentials/credentials.js';
import { ExecutionJournal } from '../journal/execution-journal.js';
import { probeMarkers } from '../process/tree/tree.js';
import { currentRedactor } from '../redaction.js';
import { StateFolder } from '../state/folder.js';
import { environmentAccess } from '../supervision/access.js';
import { type SupervisorOptions } from '../supervision/supervisor.js';

/** What a supervisor needs within a test, to start real processes of `command`. `path` is for its state. */
export function supervisorOptions({ command, path }: { command: string; path: string }): SupervisorOptions {
  const state = new StateFolder(path, null);
  const logger = pino({ level: 'silent' });
  const credentials = new Credentials('env', { id: 'standing', kind: 'oauth', secret: 'a-secret' });
  return {
    agentId: 'agent',
    maxExecutions: 2,
    command,
    passedVariables: [],
    credentials,
    access: environmentAccess(credentials.slot, null),
    state,
    journal: ExecutionJournal.open(state.journalPath, { logger }),
    markers: probeMarkers('auto'),
    runUser: null,
    redactor: currentRedactor(() => []),
    logger,
  };
}
