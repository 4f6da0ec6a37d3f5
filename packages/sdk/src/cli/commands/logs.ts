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
  const { terminal } = context;
  const execution = await session.fleet.execution(executionId);
  const agent = session.agents.find(({ id }) => id === execution.agentId);
  const isOver = execution.state === 'ended';
  let printedCount = 0;
  const say = (text: string) => {
    printedCount += 1;
    terminal.print(text);
  };
  const printing = print(context, execution, { ...flags, say });
  const leaving = new Promise<void>((resolve) => context.stopping.addEventListener('abort', () => resolve()));
  const isReadSoFar = flags.follow === true || isOver || agent === undefined ? [] : [caughtUp(agent, execution)];
  const ends = [printing, leaving, ...isReadSoFar];
  // What comes first ends it; what the others come to once everything is closed is of no interest.
  for (const end of ends) end.catch(() => undefined);
  await Promise.race(ends);
  // Somebody would take it for a fault.
  const isOdd = printedCount === 0 && terminal.isWatched && !context.isJson && flags.follow !== true;
  if (isOdd) terminal.note(`outrigger: ${execution.id} ${describeSilence(flags, isOver)}`);
}

function describeSilence({ raw, stderr }: LogsFlags, isOver: boolean): string {
  if (stderr === true) return 'has printed nothing on its standard error';
  if (raw === true) return 'has printed nothing';
  // What it says is text once its message is known to count.
  return `has said nothing${isOver ? '' : ' that is complete'}; --raw shows all that it has printed`;
}

type Say = (text: string) => void;

async function print(context: Context, execution: Execution, flags: LogsFlags & { say: Say }): Promise<void> {
  if (context.isJson) for await (const event of execution) context.printJson(event);
  else if (flags.raw === true || flags.stderr === true) await printLines(execution, flags);
  else if (flags.follow === true) await followText(context, execution);
  else for await (const text of execution.text({ commit: 'message' })) flags.say(text);
}

async function printLines(execution: Execution, { stderr, say }: LogsFlags & { say: Say }): Promise<void> {
  const type: ExecutionEvent['type'] = stderr === true ? 'stderr' : 'message';
  for await (const event of execution) {
    if (event.type === type && 'line' in event) say(event.line);
  }
}
