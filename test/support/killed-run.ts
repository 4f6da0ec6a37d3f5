import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Outcome } from '@outrigger/sdk';
import { type ApiRequest, startStandInApi, type Step, text, toolUse } from '@outrigger/sdk/testing';
import { claudePath, type ClaudeVersion } from './claude.js';
import { connectFleet } from './fleet.js';
import { processesIn } from './outside.js';
import { startRestartable } from './restart.js';
import { makeFolder } from './runs.js';

export interface Kill {
  /** From the dispatch to the SIGKILL of the sidecar. Milliseconds. */
  readonly afterMs: number;
  /** From the SIGKILL to the next start. */
  readonly downMs: number;
}

export interface KilledRun {
  readonly outcome: Outcome;
  /** From the dispatch to the outcome at the host. */
  readonly tookMs: number;
  /** What was not as it should be; empty when nothing was. */
  readonly faults: string[];
}

const SLOWLY = { chunks: 4, chunkDelayMs: 40 };
const TOOL_TURNS = 2;

/** Uses a tool twice, then answers. Each answer is another one, so that it can be told which was sent. */
function conversationOf(sent: Map<ApiRequest, string>): Step {
  return (request) => {
    const name = `answer ${sent.size} to turn ${request.turn}`;
    if (request.kind === 'main') sent.set(request, name);
    if (request.turn >= TOOL_TURNS) return text(name, SLOWLY);
    return toolUse('Bash', { command: `sleep 0.3; echo '${name}'`, description: 'say' });
  };
}

/**
 * One run of the real CLI with tools, whose sidecar is killed at that moment and started again; null: it is not. Compares what came of it with
 * what the API sent, and counts processes from outside.
 */
export async function runKilled(version: ClaudeVersion, kill: Kill | null): Promise<KilledRun> {
  const home = makeFolder();
  const starts = join(home.path, 'starts');
  const sent = new Map<ApiRequest, string>();
  await using api = await startStandInApi({ respond: conversationOf(sent) });
  await using sidecar = await startRestartable({
    mode: 'gateway',
    upstream: api.url,
    claude: countedClaude(version, home.path, starts),
    env: { HOME: home.path, IS_SANDBOX: '1' },
  });
  const handled: Outcome[] = [];
  await using host = await connectFleet(sidecar, { onOutcome: (outcome) => void handled.push(outcome) });
  const dispatchedAt = performance.now();
  const dispatching = host.agent.dispatch({
    executionId: 'run',
    prompt: 'Begin.',
    cwd: home.path,
    allowedTools: ['Bash'],
  });
  dispatching.catch(() => undefined);
  const killing = (async () => {
    if (kill === null) return;
    await sleep(kill.afterMs);
    await sidecar.kill();
    await sleep(kill.downMs);
    await sidecar.start();
  })();
  const execution = await dispatching;
  const lines: string[] = [];
  for await (const event of execution) {
    if (event.type === 'message') lines.push(event.line);
    if (event.type === 'gap') lines.push('a gap');
  }
  const outcome = await execution.outcome;
  const tookMs = performance.now() - dispatchedAt;
  await killing;

  const log = readFileSync(join(sidecar.stateDir, 'executions/run/1/stdout'), 'utf8');
  const answered = [...sent].filter(([{ ended }]) => ended === 'answered');
  const last = [...Array(TOOL_TURNS + 1).keys()].map((turn) => answered.findLast(([at]) => at.turn === turn)?.[1]);
  const seen = {
    ...{ status: outcome.status, attempts: outcome.attempts, survivors: outcome.survivors, result: outcome.result },
    output: lines.map((line) => `${line}\n`).join('') === log,
    answers: last.map((name) => name !== undefined && log.includes(name)),
    starts: readFileSync(starts, 'utf8').trim().split('\n').length,
    left: processesIn(home.path).length,
    outcomes: handled.length,
  };
  const expected: typeof seen = {
    ...{ status: 'succeeded', attempts: 1, survivors: 0, result: last.at(-1) },
    ...{ output: true, answers: [true, true, true], starts: 1, left: 0, outcomes: 1 },
  };
  const isRight = JSON.stringify(seen) === JSON.stringify(expected);
  home.remove();
  return { outcome, tookMs, faults: isRight ? [] : [JSON.stringify({ kill, seen, expected, outcome })] };
}

/** The real CLI, of which each start as a run leaves a line. */
function countedClaude(version: ClaudeVersion, folder: string, starts: string): string {
  const path = join(folder, 'claude');
  writeFileSync(path, `#!/bin/sh\n[ "$1" = -p ] && echo $$ >>${starts}\nexec ${claudePath(version)} "$@"\n`, {
    mode: 0o755,
  });
  if (!existsSync(starts)) appendFileSync(starts, '');
  return path;
}
