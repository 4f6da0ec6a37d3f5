/**
 * Three runs of the real Claude Code CLI side by side on one agent, against a stand-in API on this machine.
 *
 *     npm run demo              no account and no internet needed
 *     npm run demo -- --real    one short prompt, with CLAUDE_CODE_OAUTH_TOKEN or ANTHROPIC_API_KEY
 */
import { createFleet, type Agent, type DispatchRequest, type Outcome } from '@outrigger/sdk';
import { conversation, startStandInApi, type Step, text, toolUse } from '@outrigger/sdk/testing';
import { installedClaude, startSidecar } from './parts.js';
import { outcomeTable, Timeline } from './timeline.js';

const WORDS_A_CHUNK_MS = 120;

interface DemoRun {
  readonly name: string;
  readonly request: DispatchRequest;
  /** What the stand-in API answers. */
  readonly answers: Step;
}

const slowly = { chunks: 6, chunkDelayMs: WORDS_A_CHUNK_MS };

const RUNS: readonly DemoRun[] = [
  {
    name: 'haiku',
    request: { prompt: 'Write a haiku about a canoe.' },
    answers: text('A hull and a float; the wave that would have turned it passes underneath.', slowly),
  },
  {
    name: 'tests',
    request: { prompt: 'Run the tests and tell me how they went.', allowedTools: ['Bash'] },
    answers: conversation([
      toolUse('Bash', { command: 'sleep 0.5; echo "12 passed, 0 failed"', description: 'Run the tests' }),
      text('All twelve tests pass.', slowly),
    ]),
  },
  {
    name: 'review',
    request: { prompt: 'Review the last commit.' },
    answers: text('One function grew a second reason to change; I would split it.', slowly),
  },
];

async function onStandInApi(): Promise<boolean> {
  const claude = installedClaude();
  await using api = await startStandInApi({
    respond: (request) => RUNS.find((run) => request.prompt.includes(run.request.prompt))?.answers ?? text('?'),
  });
  await using sidecar = await startSidecar(['--claude', claude.path, '--upstream', api.url], {
    CLAUDE_CODE_OAUTH_TOKEN: 'sk-ant-oat01-stand-in',
  });
  console.log(`Claude Code ${claude.version}, three runs on one agent, a stand-in API\n`);
  return await followAll(sidecar, RUNS);
}

async function onRealApi(): Promise<boolean> {
  const credential = ['CLAUDE_CODE_OAUTH_TOKEN', 'ANTHROPIC_API_KEY'].find((name) => process.env[name] !== undefined);
  if (credential === undefined) {
    console.error('--real needs CLAUDE_CODE_OAUTH_TOKEN or ANTHROPIC_API_KEY in the environment');
    return false;
  }
  const claude = installedClaude();
  await using sidecar = await startSidecar(['--claude', claude.path], { [credential]: process.env[credential] ?? '' });
  console.log(`Claude Code ${claude.version}, one run, against the real API with ${credential}\n`);
  const request = { prompt: 'Answer with one short sentence: what is an outrigger?', maxTurns: 1 };
  return await followAll(sidecar, [{ name: 'real', request }]);
}

/** Dispatches all runs at once, shows what they do, and says whether all succeeded. */
async function followAll(
  sidecar: { url: string; token: string; workFolder: string },
  runs: readonly Pick<DemoRun, 'name' | 'request'>[],
): Promise<boolean> {
  const timeline = new Timeline(runs.map((run) => run.name));
  await using fleet = createFleet();
  const agent = await fleet.connect({ url: sidecar.url, token: sidecar.token });
  const outcomes = await Promise.all(
    runs.map(async ({ name, request }) => {
      const outcome = await follow(timeline, agent, name, { ...request, cwd: sidecar.workFolder });
      return [name, outcome] as const;
    }),
  );
  console.log(`\n${outcomeTable(outcomes)}`);
  return outcomes.every(([, outcome]) => outcome.status === 'succeeded');
}

async function follow(timeline: Timeline, agent: Agent, name: string, request: DispatchRequest): Promise<Outcome> {
  timeline.show(name, 'dispatch', request.prompt);
  const execution = await agent.dispatch(request);
  for await (const event of execution) timeline.showEvent(name, event);
  return execution.outcome;
}

const haveAllSucceeded = await (process.argv.includes('--real') ? onRealApi() : onStandInApi());
process.exitCode = haveAllSucceeded ? 0 : 1;
