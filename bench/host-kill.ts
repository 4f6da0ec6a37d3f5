/**
 * Does every outcome reach the next host, wherever the first one dies?
 *
 * A host dispatches a run, follows it, stores its outcome and acknowledges it. It is killed with SIGKILL at each moment at which
 * something goes on that was awaited, one moment after the other; the next host does the same work. Counted: runs that were started
 * twice or whose outcome was not stored, or is still sent.
 */
import { countMoments, killHost } from '../test/support/killed-host.js';
import { startSidecar } from '../test/support/sidecar.js';

/** Hosts at once. */
const WORKERS = 2;

const faults: string[] = [];
let moments = 0;
let next = 1;
await Promise.all(
  Array.from({ length: WORKERS }, async () => {
    // All hosts of an agent are one consumer, and these do not share a store.
    await using sidecar = await startSidecar();
    // The moments differ a little from run to run; the last ones are beyond the end.
    moments = Math.max(moments, Math.ceil((await countMoments(sidecar)) * 1.1));
    for (let n = next++; n <= moments; n = next++) {
      faults.push(...(await killHost(sidecar, n)));
      process.stderr.write(`\r${n}/${moments}, ${faults.length} faults`);
    }
  }),
);
process.stderr.write('\n');
faults.forEach((fault) => console.error(fault));
if (faults.length > 0) process.exitCode = 1;
console.log(`| moments at which a host was killed | started once, stored once, acknowledged |
| --- | --- |
| ${moments} | ${moments - faults.length} |`);
