import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Agent, type CredentialNeeded, type Fleet } from '@outrigger/sdk';
import { refusal, type StandInApi } from '@outrigger/sdk/testing';
import { processesIn } from '../../test/support/outside.js';
import { type Check, report } from './checks.js';
import { type SidecarProcess } from './parts.js';
import { followAll, type RunRequest } from './follow.js';
import { answers, RUNS } from './runs.js';
import { colors } from './terminal.js';
import { Timeline } from './timeline.js';

export const TOKENS = ['sk-ant-oat01-stand-in-1', 'sk-ant-oat01-stand-in-2'] as const;
/** How long the host of the demo looks for another token, once every run waits for it. */
const LOOKUP_MS = 1000;
const SHORT_HOLD_MS = 2000;
/** How long there is no sidecar once it was killed. */
const DOWN_MS = 1500;
/** Nothing takes longer unless something is wrong. */
const RUN_MS_MAX = 15_000;

export interface Stage {
  readonly api: StandInApi;
  readonly fleet: Fleet;
  readonly agent: Agent;
  readonly sidecar: SidecarProcess;
}

/** The sidecar is killed in mid-run and started again. Says whether the runs went on as if nothing had happened. */
export async function killSidecar(stage: Stage): Promise<boolean> {
  const timeline = begin('1. The sidecar is killed while three runs are at work, and started again', ['sidecar']);
  const { api, sidecar, agent } = stage;
  let before: number[] = [];
  let after: number[] = [];
  const die = async () => {
    before = processesIn(sidecar.workFolder);
    await sidecar.kill();
    timeline.show('sidecar', 'killed', `with SIGKILL; ${before.length} processes of runs go on`);
    await delay(DOWN_MS);
    await sidecar.start();
    after = processesIn(sidecar.workFolder);
    timeline.show('sidecar', 'started', 'it takes over what it finds');
  };
  let died = Promise.resolve();
  api.respondWith(answers(() => void (died = die())));
  const ended = await followAll(timeline, agent, requests(stage, RUN_MS_MAX));
  await died;
  return report([
    ...ended.map(({ name, outcome, lines }): Check => {
      const log = readFileSync(join(sidecar.stateFolder, 'executions', outcome.executionId, '1', 'stdout'), 'utf8');
      const isComplete = lines.map((line) => `${line}\n`).join('') === log;
      const { status, attempts } = outcome;
      return [`${name}: succeeded, in one process`, status === 'succeeded' && attempts === 1 && isComplete];
    }),
    [`processes of runs, counted from outside: ${before.length}, then the same`, isSubset(RUNS.length, before, after)],
  ]);
}

/** Whether at least so many of the processes of before are there after it; tools may have come to their end. */
function isSubset(countMin: number, before: readonly number[], after: readonly number[]): boolean {
  return before.filter((pid) => after.includes(pid)).length >= countMin;
}

/** The token expires in mid-run, and the host swaps another one in. Says whether all went as it should. */
export async function expireAndSwap(stage: Stage): Promise<boolean> {
  const timeline = begin('2. The token expires while three runs are at work; the host swaps another one in');
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
  const timeline = begin(`3. It expires again, and no other one comes for ${SHORT_HOLD_MS / 1000} s`);
  letExpire(stage, timeline, TOKENS[1]);
  let alive = 0;
  const ended = await followAll(timeline, stage.agent, requests(stage, SHORT_HOLD_MS), ({ type }) => {
    if (type === 'hold') alive = Math.max(alive, processesIn(stage.sidecar.workFolder).length);
  });
  const left = processesIn(stage.sidecar.workFolder).length;
  return report([
    ...ended.map(({ name, outcome }): Check => [
      `${name}: failed with auth_expired`,
      outcome.status === 'failed' && outcome.reason === 'auth_expired',
    ]),
    [`processes, counted from outside: ${alive} while held, ${left} now`, alive > RUNS.length && left === 0],
  ]);
}

function begin(title: string, lanes: readonly string[] = ['host', 'API']): Timeline {
  console.log(`\n${colors.bold(title)}\n`);
  return new Timeline([...lanes, ...RUNS.map(({ name }) => name)]);
}

/** From when all runs are at work on, the stand-in refuses the token. */
function letExpire({ api }: Stage, timeline: Timeline, token: string): void {
  const expire = () => {
    api.refuse(token, refusal.expired());
    timeline.show('API', 'refuses', 'from here on, every request with the token in force');
  };
  api.respondWith(answers(expire));
}

function requests({ sidecar: { workFolder: cwd } }: Stage, holdTimeoutMs: number): RunRequest[] {
  return RUNS.map(({ name, prompt }) => {
    return { name, request: { prompt, cwd, allowedTools: ['Bash'], holdTimeoutMs, timeoutMs: RUN_MS_MAX } };
  });
}
