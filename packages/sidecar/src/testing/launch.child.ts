/**
 * Plays a sidecar that starts a run and is killed: tells what it notes, a line of JSON each, then lives on.
 *
 * Arguments: the attempt's files as JSON, the kill method, the execution's id, and a shell script to run; none: it only
 * makes the marks.
 */
import { Attempt } from '../process/attempt.js';
import { type MarkerName } from '../process/tree/marker.js';
import { probeMarkers } from '../process/tree/tree.js';
import { type AttemptFiles } from '../state/folder.js';

const [json = '', method = '', executionId = '', script] = process.argv.slice(2);
const files = JSON.parse(json) as AttemptFiles;
const note = (what: object) => process.stdout.write(`${JSON.stringify(what)}\n`);

const attempt = new Attempt(files, 2 ** 30, {
  onLaunched: (since, leader) => note({ leader, since }),
  onLaunchFailed: (_at, message) => {
    throw new Error(message);
  },
  onExit: () => undefined,
  onCaughtUp: () => undefined,
  onReading: () => undefined,
  onOutputLimit: () => undefined,
  onGrowth: () => undefined,
  onDegraded: () => undefined,
});
const marks = attempt.mark(probeMarkers(method as MarkerName | 'auto'), executionId);
note({ marks });
if (script !== undefined) {
  const environment = { PATH: process.env['PATH'] ?? '', OUTRIGGER_EXECUTION_ID: executionId };
  attempt.launch({ prefix: [], command: '/bin/sh', argv: ['-c', script], environment, cwd: files.folder, files });
}
