import { type Execution } from '../../execution.js';
import { type Context } from '../context.js';
import { followJson, followText } from '../follow.js';
import { readPrompt, requestOf, type RunFlags } from '../run-request.js';
import { pickAgents, type Session } from '../session.js';

/** Dispatches a run and follows it to its outcome, which it takes. */
export async function run(context: Context, words: readonly string[], flags: RunFlags): Promise<void> {
  const prompt = await readPrompt(words, context.stdin);
  await using session = await context.connect();
  const execution = await dispatch(session, prompt, flags);
  if (flags.detach === true) {
    if (context.isJson) context.printJson({ executionId: execution.id, agentId: execution.agentId });
    else context.terminal.print(execution.id);
    return;
  }
  const cancel = () => {
    context.terminal.note(`${execution.id}: cancelling; once more stops waiting for it`);
    execution.cancel().catch(() => undefined);
  };
  context.stopping.addEventListener('abort', cancel, { once: true });
  const { status } = await (context.isJson ? followJson : followText)(context, execution);
  context.stopping.removeEventListener('abort', cancel);
  context.exitWithStatus(status);
}

function dispatch(session: Session, prompt: string, flags: RunFlags): Promise<Execution> {
  const { id, agent: name } = flags;
  const request = { ...requestOf(prompt, flags), ...(id !== undefined && { executionId: id }) };
  const [only, ...others] = name === undefined ? session.agents : pickAgents(session, [name]);
  return only !== undefined && others.length === 0 ? only.dispatch(request) : session.fleet.dispatch(request);
}
