/**
 * A host in a process of its own: dispatches a run, follows it, takes its outcome and acknowledges it. Kills itself at the
 * n-th moment at which something goes on that was awaited, counted from the dispatch; 0: it does not, and tells how many there are.
 *
 * Arguments: the sidecar's URL and token, a folder, the execution's id, its prompt, and n.
 */
import { createHook } from 'node:async_hooks';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { createFleet } from '@outrigger/sdk';
import { fileStore } from './file-store.js';

const [url = '', token = '', folder = '', executionId = '', prompt = '', n = '0'] = process.argv.slice(2);
const promises = new Set<number>();
let isCounting = false;
let moments = 0;
createHook({
  init: (asyncId, type) => {
    if (type === 'PROMISE') promises.add(asyncId);
  },
  before: (asyncId) => {
    if (!isCounting || !promises.has(asyncId)) return;
    moments++;
    if (moments === Number(n)) process.kill(process.pid, 'SIGKILL');
  },
}).enable();

const fleet = createFleet({
  store: await fileStore(join(folder, 'store')),
  onOutcome: async (outcome) => {
    await Promise.resolve();
    appendFileSync(join(folder, 'handled'), `${outcome.executionId}\n`);
  },
});
const agent = await fleet.connect({ url, token });
isCounting = true;
const execution = await agent.dispatch({ executionId, prompt, cwd: folder });
for await (const { type } of execution) if (type === 'outcome') break;
await execution.outcome;
await fleet.close();
isCounting = false;
process.stdout.write(String(moments));
