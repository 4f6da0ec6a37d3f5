import { type ApiRequest, conversation, type Step, text, toolUse } from '@outrigger/sdk/testing';

/** A run of the demo, and what the stand-in API answers it. */
export interface DemoRun {
  readonly name: string;
  readonly prompt: string;
  readonly tool: Step;
  readonly end: Step;
}

const bash = (command: string, description: string) => toolUse('Bash', { command, description });
const slowly = { chunks: 6, chunkDelayMs: 60 };

export const RUNS: readonly DemoRun[] = [
  {
    name: 'tests',
    prompt: 'Run the tests and tell me how they went.',
    tool: bash('sleep 0.6; echo "12 passed, 0 failed"', 'Run the tests'),
    end: text('All twelve tests pass.', slowly),
  },
  {
    name: 'server',
    prompt: 'Start the development server in the background.',
    // In a session of its own and deaf to a polite end: who ends the run has to find it.
    tool: bash(`setsid sh -c 'trap "" TERM; sleep 600' >/dev/null 2>&1 & echo listening on 8080`, 'Start the server'),
    end: text('The server is up.', slowly),
  },
  {
    name: 'review',
    prompt: 'Review the last commit.',
    tool: bash('sleep 0.3; echo "1 file changed, 40 insertions(+)"', 'Show the commit'),
    end: text('One function grew a second reason to change; I would split it.', slowly),
  },
];

/** Answers all runs; their first turns at the same time, and `onUnderway` just before. */
export function answers(onUnderway: () => void): Step {
  const asked = new Set<string>();
  let go = (): void => undefined;
  const areUnderway = new Promise<void>((resolve) => (go = resolve)).then(onUnderway);
  return async (request: ApiRequest) => {
    const run = RUNS.find(({ prompt }) => request.prompt.includes(prompt));
    if (run === undefined) return text('?');
    if (request.turn === 0) {
      if (asked.add(run.name).size === RUNS.length) go();
      await areUnderway;
    }
    return conversation([run.tool, run.end]);
  };
}
