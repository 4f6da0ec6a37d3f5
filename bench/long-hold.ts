/**
 * Does a run survive a hold of ten minutes, on every version of the CLI?
 *
 * The API refuses the credential (401, expired) in the middle of a run that uses a tool; the host answers ten minutes
 * later. Both versions at once. The bare CLI gives up on a request that gets no answer after 300 s (1.0.128) or 360 s
 * (2.1.329).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { conversation, refusal, text, toolUse } from '@outrigger/sdk/testing';
import { CLAUDE_VERSIONS, type ClaudeVersion } from '../test/support/claude.js';
import { CREDENTIAL } from './support/process.js';
import { failuresPrinted, startRealClaude, turnsOf } from './support/real-claude.js';

const HOLD_MS = 600_000;
const PROMPT = 'Use a tool.';

const rows = await Promise.all(CLAUDE_VERSIONS.map(held));
console.log(`| | held for | outcome | exit code | refused requests | requests after the swap | retries or errors printed |
| --- | --- | --- | --- | --- | --- | --- |
${rows.join('\n')}`);

async function held(version: ClaudeVersion): Promise<string> {
  await using claude = await startRealClaude({
    version,
    respond: conversation([
      toolUse('Bash', { command: 'echo tool', description: 'speak' }),
      (request) => (request.secret === CREDENTIAL ? refusal.expired() : text('Done.')),
    ]),
  });
  const execution = await claude.dispatch({ prompt: PROMPT, allowedTools: ['Bash'] });
  const failures = failuresPrinted(execution);
  await claude.api.waitForRequest((request) => request.status === 401);
  await sleep(HOLD_MS);
  await claude.agent.swapCredential({ id: 'next', kind: 'oauth', secret: 'sk-ant-oat01-next' });
  const { status, result, exit, heldMs, survivors } = await execution.outcome;
  const asked = turnsOf(claude.api, PROMPT, 1);
  const refused = asked.filter((request) => request.status === 401);
  const isGood = status === 'succeeded' && result === 'Done.' && survivors === 0;
  if (!isGood || asked.length !== 2 || refused.length !== 1) process.exitCode = 1;
  const cells = [`${(heldMs / 1000).toFixed(1)} s`, status, exit.code, refused.length, asked.length - refused.length];
  return `| ${version} | ${[...cells, (await failures).length].join(' | ')} |`;
}
