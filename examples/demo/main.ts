/**
 * Three runs of the real Claude Code CLI on one agent, against a stand-in API on this machine. While all three are at work the
 * agent's sidecar is killed and started again. Then their token expires: another one is swapped in; then none comes.
 *
 *     npm run demo              no account and no internet needed
 *     npm run demo -- --real    one short prompt, with CLAUDE_CODE_OAUTH_TOKEN or ANTHROPIC_API_KEY
 */
import { createFleet } from '@outrigger/sdk';
import { startStandInApi } from '@outrigger/sdk/testing';
import { expireAndSwap, expireForGood, killSidecar, TOKENS } from './acts.js';
import { followAll } from './follow.js';
import { installedClaude, startSidecar } from './parts.js';
import { Timeline } from './timeline.js';

async function onStandInApi(): Promise<boolean> {
  const claude = installedClaude();
  await using api = await startStandInApi({ accept: [...TOKENS] });
  await using sidecar = await startSidecar(['--claude', claude.path, '--upstream', api.url], {
    CLAUDE_CODE_OAUTH_TOKEN: TOKENS[0],
  });
  await using fleet = createFleet();
  const agent = await fleet.connect({ url: sidecar.url, token: sidecar.token });
  console.log(`Claude Code ${claude.version}, three runs on one agent, a stand-in API`);
  const stage = { api, fleet, agent, sidecar };
  let isGood = true;
  for (const act of [killSidecar, expireAndSwap, expireForGood]) isGood = (await act(stage)) && isGood;
  return isGood;
}

async function onRealApi(): Promise<boolean> {
  const credential = ['CLAUDE_CODE_OAUTH_TOKEN', 'ANTHROPIC_API_KEY'].find((name) => process.env[name] !== undefined);
  if (credential === undefined) {
    console.error('--real needs CLAUDE_CODE_OAUTH_TOKEN or ANTHROPIC_API_KEY in the environment');
    return false;
  }
  const claude = installedClaude();
  await using sidecar = await startSidecar(['--claude', claude.path], { [credential]: process.env[credential] ?? '' });
  await using fleet = createFleet();
  const agent = await fleet.connect({ url: sidecar.url, token: sidecar.token });
  console.log(`Claude Code ${claude.version}, one run, against the real API with ${credential}\n`);
  const prompt = 'Answer with one short sentence: what is an outrigger?';
  const run = { name: 'real', request: { prompt, maxTurns: 1, cwd: sidecar.workFolder } };
  const [ended] = await followAll(new Timeline([run.name]), agent, [run]);
  return ended?.outcome.status === 'succeeded';
}

const isGood = await (process.argv.includes('--real') ? onRealApi() : onStandInApi());
process.exitCode = isGood ? 0 : 1;
