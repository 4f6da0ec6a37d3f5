import { pino } from 'pino';
import { Credentials } from '../credentials/credentials.js';
import { probeMarkers } from '../process/tree/tree.js';
import { currentRedactor } from '../redaction.js';
import { StateFolder } from '../state/folder.js';
import { environmentAccess } from '../supervision/access.js';
import { type SupervisorOptions } from '../supervision/supervisor.js';

/** What a supervisor needs within a test, to start real processes of `command`. `path` is for its state. */
export function supervisorOptions({ command, path }: { command: string; path: string }): SupervisorOptions {
  const credentials = new Credentials('env', { id: 'standing', kind: 'oauth', secret: 'a-secret' });
  return {
    agentId: 'agent',
    maxExecutions: 2,
    command,
    passedVariables: [],
    credentials,
    access: environmentAccess(credentials.slot, null),
    state: new StateFolder(path, null),
    markers: probeMarkers('auto'),
    runUser: null,
    redactor: currentRedactor(() => []),
    logger: pino({ level: 'silent' }),
  };
}
