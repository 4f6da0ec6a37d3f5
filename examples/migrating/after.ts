import { createFleet, type Outcome } from '@outrigger/sdk';

interface Setup {
  /** Of the agent's sidecar. */
  url: string;
  token: string;
  /** Writes an outcome down, by its `executionId`: it can come twice. */
  save: (outcome: Outcome) => Promise<void>;
}

export async function connectTasks({ url, token, save }: Setup) {
  const fleet = createFleet({ onOutcome: save });
  const agent = await fleet.connect({ url, token });
  return {
    /** Runs a task and resolves with what Claude said. The same id again joins the run that is there, or was. */
    async runTask(id: string, prompt: string, cwd: string): Promise<string> {
      const limits = { timeoutMs: 20 * 60_000, whenBusy: 'queue' } as const;
      const execution = await agent.dispatch({ executionId: id, prompt, cwd, ...limits });
      const { status, reason, message, result } = await execution.outcome;
      if (status !== 'succeeded') throw new Error(`${status} (${reason}): ${message}`);
      return result ?? '';
    },
    /** What runs goes on; its outcomes come to whoever connects next. */
    close: () => fleet.close(),
  };
}
