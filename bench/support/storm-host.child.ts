/**
 * A host in a process of its own, to be forked with `--expose-gc`, that takes one {@link HostJob} at a time and sends a
 * {@link HostAnswer} for each. Its argument says what it is: `memory` or the URL of a Redis, for a fleet over that store; `ws` for
 * bare sockets that are connected again after a second, as many programs do it.
 */
import { createFleet, type Logger, memoryStore, type Store } from '@outrigger/sdk';
import { redisStore } from '@outrigger/sdk/redis';
import { WebSocket } from 'ws';
import { type HostAnswer, type HostJob, type Targets } from './storm.js';

const RECONNECT_MS = 1000;
const kind = process.argv[2] ?? '';

const taken = new Set<string>();
let onTaken = (): void => undefined;
const take = (executionId: string) => {
  taken.add(executionId);
  onTaken();
};

let failed = 0;
let timedOut = 0;
let warnings: string[] = [];

const connect = kind === 'ws' ? connectBare : connectFleet();
process.on('message', (job: HostJob) => void work(job).then((answer) => process.send?.(answer)));
process.on('disconnect', () => process.exit());

async function work(job: HostJob): Promise<HostAnswer> {
  if (job.do === 'connect') await Promise.all(job.targets.map(connect));
  if (job.do === 'taken') {
    await new Promise<void>((resolve) => {
      onTaken = () => {
        if (taken.size >= job.count) resolve();
      };
      onTaken();
    });
  }
  const at = Date.now();
  const counted = { failed, timedOut, warnings };
  [failed, timedOut, warnings] = [0, 0, []];
  if (job.do === 'measure') for (let n = 0; n < 3; n++) globalThis.gc?.();
  const { rss: rssBytes, heapUsed: heapBytes } = process.memoryUsage();
  return { at, rssBytes, heapBytes, ...counted };
}

function connectFleet(): (target: Targets[number]) => Promise<unknown> {
  const store: Store = kind === 'memory' ? memoryStore() : redisStore({ url: kind });
  const ignore = () => undefined;
  const warn = (context: { failures?: number; err?: Error }, message: string) => {
    if (message !== 'reconnecting') warnings.push(`${message}: ${context.err?.message ?? ''}`);
    // The first one is the connection that was cut.
    else if ((context.failures ?? 0) > 1) {
      failed += 1;
      if (/within|sent nothing/.test(context.err?.message ?? '')) timedOut += 1;
    }
  };
  const logger: Logger = { debug: ignore, info: ignore, warn, error: warn };
  const fleet = createFleet({
    logger,
    onOutcome: ignore,
    store: {
      ...store,
      putExecution: async (record, dispatchId) => {
        await store.putExecution(record, dispatchId);
        take(record.executionId);
      },
    },
  });
  return (target) => fleet.connect(target);
}

async function connectBare({ url, token }: Targets[number]): Promise<void> {
  const socket = new WebSocket(url, 'outrigger.v1', {
    headers: { authorization: `Bearer ${token}` },
    perMessageDeflate: false,
  });
  let isOpen = false;
  socket.on('error', () => (failed += 1));
  socket.on('close', () => setTimeout(() => void connectBare({ url, token }), RECONNECT_MS));
  socket.on('open', () => socket.send(JSON.stringify({ type: 'hello', versions: [1], client: { name: 'bare' } })));
  await new Promise<void>((resolve) => {
    socket.on('message', (data: Buffer) => {
      const frame = JSON.parse(data.toString()) as {
        type: string;
        executions?: { executionId: string; state: string }[];
        outcome?: { executionId: string };
      };
      for (const { executionId, state } of frame.executions ?? []) if (state === 'running') take(executionId);
      if (frame.outcome !== undefined) {
        socket.send(JSON.stringify({ type: 'ack', id: 'a', executionId: frame.outcome.executionId }));
      }
      if (frame.type === 'snapshot' && !isOpen) {
        isOpen = true;
        resolve();
      }
    });
  });
}
