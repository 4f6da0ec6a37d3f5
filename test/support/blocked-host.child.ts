/**
 * A host whose event loop stands still for twice the time of what it holds, and which then goes on as if nothing had happened.
 * Prints a line once it holds everything, and then what came of each late write, as JSON.
 *
 * Arguments: the URL of Redis, the prefix of its keys, an agentId, and for how long it holds, in ms.
 */
import { redisStore } from '@outrigger/sdk/redis';
import { outcomeOf } from '../../packages/sdk/src/store/contract-values.js';

const [url = '', prefix = '', agentId = '', ms = '0'] = process.argv.slice(2);
// Where the machine is busy the first answer takes its time; what is tested begins after that.
const store = redisStore({ url, prefix, deadlineMs: 60_000 });
const mine = { holder: 'blocked', ttlMs: Number(ms) };
const end = { attempt: 1, stdout: 0, stderr: 0 };
const open = { agentId, executionId: 'open', createdAt: 1 };
await store.putExecution(open, 'dispatch');
const { claim } = await store.recordOutcome({ agentId, outcome: outcomeOf('ended'), end }, mine);
const { version } = await store.readDocument('pool');
const fence = await store.acquireLease(agentId, mine);
process.stdout.write('holding\n');

Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2 * Number(ms));

const lost = { ...outcomeOf('open'), status: 'lost' as const, reason: 'agent_gone' as const };
const late = await Promise.allSettled([
  store.recordOutcome({ agentId, outcome: lost, end, fence: fence ?? 0 }, mine),
  store.forgetExecution(open, fence ?? 0),
  store.markHandled({ agentId, executionId: 'ended' }, claim ?? 0),
  store.writeDocument('pool', { value: 'late', ifVersion: version, version: 'late' }),
]);
const said = late.map((each) => (each.status === 'fulfilled' ? each.value : (each.reason as { code: string }).code));
process.stdout.write(`${JSON.stringify(said)}\n`);
await store.close();
