import { setTimeout as delay } from 'node:timers/promises';
import { createLogUpdate } from 'log-update';
import { type RateLimit } from '../../events.js';
import { type Context } from '../context.js';
import { onQuitKey } from '../quit-key.js';
import { type Session } from '../session.js';
import { type Frame, layOutFrame } from '../top-frame.js';
import { askAll, Watch } from '../watch.js';

export interface TopFlags {
  /** Milliseconds between two looks. */
  interval: number;
  once?: boolean;
}

/** How long an agent may take to answer, at least, before it is shown as silent. */
const PATIENCE_MS_MIN = 1000;
/** Where nobody looks again. */
const PATIENCE_ONCE_MS = 10_000;

/** Shows agents, slots, runs, holds and credentials as they change, until it is stopped. */
export async function top(context: Context, { interval, once = false }: TopFlags): Promise<void> {
  await using session = await context.connect();
  const { terminal, stdin } = context;
  const isOnScreen = terminal.canRedraw && !once && !context.isJson;
  const leaving = new AbortController();
  const stopping = AbortSignal.any([context.stopping, leaving.signal]);
  const isOver = () => stopping.aborted;
  using _keys = isOnScreen && stdin.isTTY ? onQuitKey(stdin, () => leaving.abort()) : null;
  const limits = new Map<string, RateLimit>();
  session.fleet.on('rateLimit', (limit) => limits.set(limit.agentId, limit));
  const watches = watchAll(session, stopping);
  const patienceMs = once ? PATIENCE_ONCE_MS : Math.max(interval, PATIENCE_MS_MIN);
  const update = createLogUpdate(sized(process.stdout), { showCursor: false });
  const show = (frame: Frame) => {
    if (context.isJson) context.printJson(frame);
    else (isOnScreen ? update : terminal.print)(layOutFrame(frame, terminal).join('\n'));
  };
  while (!isOver()) {
    await askAll(watches, { patienceMs, stopping });
    if (isOver()) break;
    show(frameOf(watches, limits));
    if (once) break;
    await delay(interval, undefined, { signal: stopping }).catch(() => undefined);
  }
  if (isOnScreen) update.done();
  // Who was away when it began may have come.
  if (watches.every(({ view }) => view !== null)) context.exitWith('ok');
}

/** It shows nothing on a terminal that says it has 0 rows. */
function sized(stream: NodeJS.WriteStream): NodeJS.WriteStream {
  const size = {
    isTTY: stream.isTTY,
    write: stream.write.bind(stream),
    get columns() {
      return stream.columns || undefined;
    },
    get rows() {
      return stream.rows || undefined;
    },
  };
  return size as Partial<NodeJS.WriteStream> as NodeJS.WriteStream;
}

/** Also those that were not there yet: they are tried again. */
function watchAll({ fleet, agents, unreached }: Session, stopping: AbortSignal): Watch[] {
  return [
    ...agents.map((agent) => new Watch({ url: agent.id, agent, reach: () => Promise.resolve(agent) }, stopping)),
    ...unreached.map(({ address }) => new Watch({ url: address.url, reach: () => fleet.connect(address) }, stopping)),
  ];
}

function frameOf(watches: readonly Watch[], limits: ReadonlyMap<string, RateLimit>): Frame {
  const agents = watches.flatMap(({ view }) => {
    if (view === null) return [];
    const limit = limits.get(view.info.agentId);
    return [{ ...view, ...(limit && { limit }) }];
  });
  return { at: Date.now(), agents, unreached: watches.flatMap(({ url, view }) => (view === null ? [url] : [])) };
}
