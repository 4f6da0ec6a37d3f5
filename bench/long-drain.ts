/**
 * Does a run of half an hour survive the replacement of its container?
 *
 * The real CLI runs a tool for thirty minutes. A minute after it has begun the container is to be replaced: a new sidecar with a
 * new state folder takes the old one's place under the same address. `MINUTES` in the environment makes it shorter.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createFleet } from '@outrigger/sdk';
import { conversation, startStandInApi, text, toolUse } from '@outrigger/sdk/testing';
import { claudePath } from '../test/support/claude.js';
import { startSidecar } from '../test/support/sidecar.js';

const MINUTES = Number(process.env['MINUTES'] ?? 30);
const MINUTE_MS = 60_000;

const home = mkdtempSync(join(tmpdir(), 'outrigger-bench-home-'));
// The CLI refuses to run a long sleep in the foreground.
const command = `perl -e 'sleep ${MINUTES * 60}'; echo over`;
await using api = await startStandInApi({
  respond: conversation([
    toolUse('Bash', { command, description: 'wait', timeout: 2 * MINUTES * MINUTE_MS }),
    text('Done.'),
  ]),
});
const setup = {
  mode: 'gateway',
  upstream: api.url,
  claude: claudePath('2.1.329'),
  // By itself the CLI stops a tool after ten minutes.
  args: ['--pass-env=BASH_MAX_TIMEOUT_MS'],
  env: { HOME: home, IS_SANDBOX: '1', BASH_MAX_TIMEOUT_MS: String(3 * MINUTES * MINUTE_MS) },
} as const;
const old = await startSidecar({ ...setup, args: [...setup.args] });
await using fleet = createFleet();
const agent = await fleet.connect(old);
const { bootId } = await agent.status();
const execution = await agent.dispatch({
  prompt: 'Begin.',
  cwd: home,
  allowedTools: ['Bash'],
  timeoutMs: 3 * MINUTES * MINUTE_MS,
  toolStallMs: 3 * MINUTES * MINUTE_MS,
});
await sleep(Math.min(MINUTE_MS, (MINUTES * MINUTE_MS) / 4));
const askedAt = Date.now();
const successor = await agent.whileDrained({ deadlineMs: 2 * MINUTES * MINUTE_MS }, async () => {
  await old.stop();
  return startSidecar({ ...setup, args: [...setup.args, `--listen=${new URL(old.url).host}`] });
});
const replacedAt = Date.now();
const outcome = await execution.outcome;
const after = await agent.status();
const ranMs = outcome.endedAt - (outcome.startedAt ?? 0);
const isAfter = replacedAt >= outcome.endedAt && after.bootId !== bootId;
const isRight = outcome.status === 'succeeded' && isAfter && ranMs >= MINUTES * MINUTE_MS;
console.log(`| run | outcome | ran | replacement waited | replaced after the run |
| --- | --- | --- | --- | --- |
| 2.1.329, a tool of ${MINUTES} min | ${outcome.status} | ${minutes(ranMs)} | ${minutes(replacedAt - askedAt)} | ${isAfter} |`);
if (!isRight) {
  for await (const event of execution) if (event.type === 'message') console.error(event.line);
  process.exitCode = 1;
}
await fleet.close();
await Promise.all([old, successor].map((sidecar) => sidecar[Symbol.asyncDispose]()));
rmSync(home, { recursive: true, force: true });

function minutes(ms: number): string {
  return `${(ms / MINUTE_MS).toFixed(1)} min`;
}
