import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { createFleet, OutriggerError } from '@outrigger/sdk';

const fleet = createFleet();
const agent = await fleet.connect({
  url: process.env['OUTRIGGER_URL'] ?? 'ws://127.0.0.1:7411',
  token: process.env['OUTRIGGER_TOKEN'] ?? '',
});
fleet.on('drainProgress', ({ state, remaining }) => console.log([state, ...remaining].join(' ')));

// Yours: e.g. `docker compose up --detach --force-recreate agent-7`. It has to keep URL, token, agent id and, for outcomes that
// nobody has taken yet, the state folder.
const [file = 'true', ...args] = (process.env['REPLACE_COMMAND'] ?? '').split(' ');

try {
  await agent.whileDrained({ deadlineMs: 30 * 60_000 }, () => promisify(execFile)(file, args));
  console.log('replaced: a new sidecar has answered');
} catch (error) {
  if (!(error instanceof OutriggerError && error.code === 'drain_failed')) throw error;
  console.error(error.message); // nothing was replaced, and the agent admits again
  process.exitCode = 1;
} finally {
  await fleet.close();
}
