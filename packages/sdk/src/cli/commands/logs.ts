import { caughtUp } from '../caught-up.js';
import { type Context } from '../context.js';
import { type ExecutionEvent } from '../../events.js';
import { type Execution } from '../../execution.js';
import { followText } from '../follow.js';

export interface LogsFlags {
  follow?: boolean;
  /** Lines as Claude Code printed them, instead of what the assistant said. */
  raw?: boolean;
  stderr?: boolean;
}

/** Prints what a run has printed, and with `follow` what it prints from now on, to its outcome. */
export async function logs(context: Context, executionId: string, flags: LogsFlags): Promise<void> {
  await using session = await context.connect();
  const execution = await session.fleet.execution(executionId);
  const agent = session.agents.find(({ id }) => id === execution.agentId);
  const isOver = execution.state === 'ended';
  const printing = print(context, execution, flags);
  const leaving = new Promise<void>((resolve) => context.stopping.addEventListener('abort', () => resolve()));
  const isReadSoFar = flags.follow === true || isOver || agent === undefined ? [] : [caughtUp(agent, execution)];
  const ends = [printing, leaving, ...isReadSoFar];
  // What comes first ends it; what the others come to once everything is closed is of no interest.
  for (const end of ends) end.catch(() => undefined);
  await Promise.race(ends);
}

async function print(context: Context, execution: Execution, flags: LogsFlags): Promise<void> {
  const { terminal } = context;
  if (context.isJson) for await (const event of execution) context.printJson(event);
  else if (flags.raw === true || flags.stderr === true) await printLines(context, execution, flags);
  else if (flags.follow === true) await followText(context, execution);
  else for await (const text of execution.text({ commit: 'message' })) terminal.print(text);
}

async function printLines({ terminal }: Context, execution: Execution, flags: LogsFlags): Promise<void> {
  const type: ExecutionEvent['type'] = flags.stderr === true ? 'stderr' : 'message';
  for await (const event of execution) {
    if (event.type === type && 'line' in event) terminal.print(event.line);
  }
}
