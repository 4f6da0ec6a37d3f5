import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { conversation, text, toolUse } from '@outrigger/sdk/testing';
import { describe, expect, it } from 'vitest';
import { CLAUDE_VERSIONS } from './support/claude.js';
import { collect } from './support/fleet.js';
import { startGateway } from './support/gateway.js';

const KEY = 'sk-ant-api03-standing';

/** Asks the gateway for things that are not a run's to ask, as a tool could, and prints what it is told. */
const TOOL = `
const base = process.env.ANTHROPIC_BASE_URL;
const placeholder = process.env.ANTHROPIC_API_KEY;
const ask = async (path, headers) => {
  const answer = await fetch(base + path, { method: 'POST', headers, body: '{}' });
  const { error } = await answer.json();
  return answer.status + ' ' + error.message;
};
console.log(JSON.stringify({
  placeholder,
  base,
  otherPath: await ask('/v1/organizations/invites', { 'x-api-key': placeholder }),
  ownKey: await ask('/v1/messages', { 'x-api-key': 'sk-ant-api03-of-the-tool' }),
  both: await ask('/v1/messages', { 'x-api-key': placeholder, authorization: 'Bearer sk-ant-oat01-of-the-tool' }),
}));
`;

interface Told {
  readonly placeholder: string;
  readonly base: string;
  readonly otherPath: string;
  readonly ownKey: string;
  readonly both: string;
}

/** What a tool printed, from the event that brings its result. */
function toolOutput(lines: readonly string[]): Told {
  const line = lines.find((one) => one.includes('tool_result')) ?? '';
  const [json = ''] = /\{\\"placeholder.*?\\"\}/.exec(line) ?? [];
  return JSON.parse(JSON.parse(`"${json}"`) as string) as Told;
}

describe.each(CLAUDE_VERSIONS)('a tool of the real Claude Code %s', (version) => {
  it('has a placeholder that opens nothing else, nor anything after the run (C15, C20)', async () => {
    await using gateway = await startGateway({
      version,
      credential: null,
      env: { ANTHROPIC_API_KEY: KEY },
      respond: conversation([toolUse('Bash', { command: 'node tool.mjs', description: 'ask' }), text('Done.')]),
    });
    writeFileSync(join(gateway.home, 'tool.mjs'), TOOL);
    const execution = await gateway.dispatch({ prompt: 'Use a tool.', allowedTools: ['Bash'] });
    const events = await collect(execution);
    expect(await execution.outcome).toMatchObject({ status: 'succeeded', result: 'Done.' });

    const told = toolOutput(events.flatMap((event) => (event.type === 'message' ? [event.line] : [])));
    expect(told.placeholder).toMatch(/^outrigger-placeholder-/);
    expect(told.otherPath).toMatch(/^403 outrigger: .*unset ANTHROPIC_BASE_URL/);
    expect(told.ownKey).toMatch(/^403 outrigger: .*unset ANTHROPIC_BASE_URL/);
    expect(told.both).toMatch(/^403 outrigger: /);
    const headers = { 'x-api-key': told.placeholder };
    const late = await fetch(`${told.base}/v1/messages`, { method: 'POST', headers, body: '{}' });
    expect(late.status).toBe(403);

    expect(
      new Set(gateway.api.requests.map(({ path, secret }) => `${path.split('?', 1)[0] ?? ''} ${secret ?? ''}`)),
    ).toEqual(new Set([`/v1/messages ${KEY}`]));
  });
});
