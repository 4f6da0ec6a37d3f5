import { type RateLimit } from '../events.js';
import { executionColumns, type PlacedExecution } from './commands/ps.js';
import { agentColumns, countHeld } from './commands/status.js';
import { layOut, truncate } from './table.js';
import { type Terminal } from './terminal.js';
import { formatDuration } from './values.js';
import { type View } from './watch.js';

/** What `outrigger top` shows at one moment. */
export interface Frame {
  /** Epoch ms. */
  readonly at: number;
  readonly agents: readonly (View & { readonly limit?: RateLimit })[];
  /** Addresses at which nobody was reached yet. */
  readonly unreached: readonly string[];
}

/** Lines that fit the terminal: what does not is counted. */
export function layOutFrame(
  { at, agents, unreached }: Frame,
  { columns, rows, colors }: Pick<Terminal, 'columns' | 'rows' | 'colors'>,
): string[] {
  const present = agents.flatMap(({ status, ...agent }) => (status === null ? [] : [{ ...agent, status }]));
  const silent = agents.filter(({ status }) => status === null).map(({ info }) => info.agentId);
  const executions = agents
    .flatMap(({ info, executions: listed }) => listed.map((each) => ({ ...each, agentId: info.agentId })))
    .filter(({ state }) => state !== 'ended')
    .toSorted((a, b) => rankOf(a) - rankOf(b));
  const live = sum(present.map(({ status }) => status.counts.live));
  const slots = sum(present.map(({ status }) => status.counts.maxExecutions));
  const held = countHeld({ executions });
  const head = [
    `${new Date(at).toISOString().slice(11, 19)}Z`,
    `${present.length}/${agents.length + unreached.length} agents`,
    `${live}/${slots} slots`,
    ...(held === 0 ? [] : [`${held} held`]),
  ].join('  ');
  const [agentTitle = '', ...agentLines] = layOut(
    [...agentColumns().slice(0, 4), { title: 'USED', value: used(at) }, ...agentColumns().slice(4)],
    present,
    columns,
  );
  const [title = '', ...lines] = layOut(executionColumns(executions, at), executions, columns);
  const missing = [...silent, ...unreached].map((name) => colors.red(truncate(`${name} does not answer`, columns)));
  const above = [colors.bold(truncate(head, columns)), '', colors.dim(agentTitle), ...agentLines, ...missing];
  const below = executions.length === 0 ? ['', 'nothing runs'] : ['', colors.dim(title), ...lines];
  return cut([...above, ...below], rows);
}

/** What somebody may have to look at comes first; among its like, the oldest. */
function rankOf({ state }: PlacedExecution): number {
  return state === 'held' ? 0 : state === 'queued' ? 2 : 1;
}

/** The fullest window of the credential's limits. */
function used(nowMs: number) {
  return ({ limit }: { limit?: RateLimit }): string => {
    const windows = Object.entries(limit?.windows ?? {});
    const [fullest] = windows.sort(([, a], [, b]) => (b.utilization ?? 0) - (a.utilization ?? 0));
    if (fullest === undefined) return '-';
    const [name, { utilization, resetsAt }] = fullest;
    const reset = resetsAt === undefined ? '' : ` ${formatDuration(resetsAt - nowMs)}`;
    return utilization === undefined ? '-' : `${Math.round(utilization * 100)}% ${name}${reset}`;
  };
}

function cut(lines: readonly string[], rows: number): string[] {
  // The cursor needs a row of its own.
  if (lines.length < rows) return [...lines];
  const shown = Math.max(1, rows - 2);
  return [...lines.slice(0, shown), `and ${lines.length - shown} more lines`];
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
