import { setTimeout as delay } from 'node:timers/promises';
import { type Agent, type CredentialNeeded, type Fleet } from '@outrigger/sdk';
import { refusal, type StandInApi } from '@outrigger/sdk/testing';
import { processesIn } from '../../test/support/outside.js';
import { type Check, report } from './checks.js';
import { followAll, type RunRequest } from './follow.js';
import { answers, RUNS } from './runs.js';
import { colors } from './terminal.js';
import { Timeline } from './timeline.js';

export const TOKENS = ['sk-ant-oat01-stand-in-1', 'sk-ant-oat01-stand-in-2'] as const;
/** How long the host of the demo looks for another token, once every run waits for it. */
const LOOKUP_MS = 1000;
const SHORT_HOLD_MS = 2000;
/** Nothing takes longer unless something is wrong. */
const RUN_MS_MAX = 15_000;

export interface Stage {
  readonly api: StandInApi;
  readonly fleet: Fleet;
  readonly agent: Agent;
  readonly workFolder: string;
}

/** The token expires in mid-run, and the host swaps another one in. Says whether all went as it should. */
export async function expireAndSwap(stage: Stage): Promise<boolean> {
  const timeline = begin('1. The token expires while three runs are at work; the host swaps another one in');
  const { api, fleet, agent } = stage;
  letExpire(stage, timeline, TOKENS[0]);
  let swaps = 0;
  let held = 0;
  let onAllHeld = (): void => undefined;
  const areAllHeld = new Promise<void>((resolve) => (onAllHeld = resolve));
  const onNeeded = async ({ generation, reason }: CredentialNeeded) => {
    timeline.show('host', 'is told', `${reason}; it fetches another token`);
    await areAllHeld;
    await delay(LOOKUP_MS);
    const credential = { id: 'second', kind: 'oauth', secret: TOKENS[1] } as const;
    const inForce = await agent.swapCredential(credential, { ifGeneration: generation });
    timeline.show('host', 'swapped', `generation ${inForce} is in force`);
    swaps += 1;
  };
  fleet.on('credentialNeeded', (need) => void onNeeded(need));
  const ended = await followAll(timeline, agent, requests(stage, RUN_MS_MAX), ({ type }) => {
    if (type === 'hold' && ++held === RUNS.length) onAllHeld();
  });
  fleet.removeAllListeners('credentialNeeded');
  const refused = api.requests.filter(({ status }) => status === 401).length;
  return report([
    ...ended.map(({ name, outcome, events }): Check => [
      `${name}: held, released, succeeded, in one process`,
      outcome.status === 'succeeded' && outcome.attempts === 1 && events.has('hold') && events.has('released'),
    ]),
    [`${refused} requests were refused, one of each run; swaps: ${swaps}`, refused === RUNS.length && swaps === 1],
  ]);
}

/** The token expires in mid-run, and no other one comes. Says whether all went as it should. */
export async function expireForGood(stage: Stage): Promise<boolean> {
  const timeline = begin(`2. It expires again, and no other one comes for ${SHORT_HOLD_MS / 1000} s`);
  letExpire(stage, timeline, TOKENS[1]);
  let alive = 0;
  const ended = await followAll(timeline, stage.agent, requests(stage, SHORT_HOLD_MS), ({ type }) => {
    if (type === 'hold') alive = Math.max(alive, processesIn(stage.workFolder).length);
  });
  const left = processesIn(stage.workFolder).length;
  return report([
    ...ended.map(({ name, outcome }): Check => [
      `${name}: failed with auth_expired`,
      outcome.status === 'failed' && outcome.reason === 'auth_expired',
    ]),
    [`processes, counted from outside: ${alive} while held, ${left} now`, alive > RUNS.length && left === 0],
  ]);
}

function begin(title: string): Timeline {
  console.log(`\n${colors.bold(title)}\n`);
  return new Timeline(['host', 'API', ...RUNS.map(({ name }) => name)]);
}

/** From when all runs are at work on, the stand-in refuses the token. */
function letExpire({ api }: Stage, timeline: Timeline, token: string): void {
  const expire = () => {
    api.refuse(token, refusal.expired());
    timeline.show('API', 'refuses', 'from here on, every request with the token in force');
  };
  api.respondWith(answers(expire));
}

function requests({ workFolder: cwd }: Stage, holdTimeoutMs: number): RunRequest[] {
  return RUNS.map(({ name, prompt }) => {
    return { name, request: { prompt, cwd, allowedTools: ['Bash'], holdTimeoutMs, timeoutMs: RUN_MS_MAX } };
  });
}
