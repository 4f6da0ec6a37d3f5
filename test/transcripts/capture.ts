/**
 * Records what the real Claude Code CLI prints in situations that matter, one file each, per version:
 *
 *     npx tsx --tsconfig tsconfig.run.json test/transcripts/capture.ts
 *
 * Run it again when a version is added; the files are fixtures of the tests that read them.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { conversation, refusal, type Step, startStandInApi, text, toolUse, withStatus } from '@outrigger/sdk/testing';
import { execa } from 'execa';
import { CLAUDE_VERSIONS, claudePath, type ClaudeVersion } from '../support/claude.js';

/** A CLI that falls silent is cut off here; what it printed until then is the transcript. */
const CUT_OFF_MS = 12_000;

interface Situation {
  readonly answers: Step;
  readonly args?: string[];
}

const SITUATIONS: Readonly<Record<string, Situation>> = {
  good: { answers: text('All is well.') },
  tool: {
    answers: conversation([toolUse('Bash', { command: 'echo from the tool', description: 'say' }), text('It spoke.')]),
    args: ['--allowedTools', 'Bash'],
  },
  'background-task': {
    answers: conversation([
      toolUse('Bash', { command: 'sleep 1; echo late', description: 'wait', run_in_background: true }),
      text('Started it.'),
      text('It has ended.'),
    ]),
    args: ['--allowedTools', 'Bash'],
  },
  'max-turns': {
    answers: toolUse('Bash', { command: 'true', description: 'nothing' }),
    args: ['--allowedTools', 'Bash', '--max-turns', '1'],
  },
  'resume-unknown': { answers: text('?'), args: ['--resume', '11111111-2222-4333-8444-555555555555'] },
  'auth-expired': { answers: refusal.expired() },
  'auth-invalid': { answers: refusal.invalid() },
  'auth-not-allowed': { answers: refusal.notAllowedForOrganization() },
  'auth-revoked': { answers: refusal.revoked() },
  'rate-limited': { answers: refusal.rateLimited({ claim: 'five_hour', resetsAt: 1_800_000_000 }) },
  throttled: { answers: refusal.throttled({ retryAfterSeconds: 2 }) },
  'headerless-429': { answers: refusal.headerless429() },
  billing: { answers: refusal.billing() },
  'organization-disabled': { answers: refusal.organizationDisabled() },
  'model-not-found': { answers: refusal.modelNotFound() },
  'prompt-too-long': { answers: refusal.promptTooLong() },
  'thinking-signature': { answers: refusal.thinkingSignature() },
  'permission-denied': { answers: withStatus(403, refusal.missingScope()) },
  overloaded: { answers: refusal.overloaded() },
  'server-error': { answers: refusal.serverError() },
};

async function capture(version: ClaudeVersion, name: string, situation: Situation): Promise<void> {
  await using api = await startStandInApi({ respond: situation.answers });
  const home = await mkdtemp(join(tmpdir(), 'outrigger-transcript-'));
  const args = ['-p', '--output-format', 'stream-json', '--verbose', ...(situation.args ?? [])];
  const result = await execa(claudePath(version), args, {
    extendEnv: false,
    cwd: home,
    env: {
      PATH: process.env['PATH'],
      HOME: home,
      IS_SANDBOX: '1',
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
      DISABLE_AUTOUPDATER: '1',
      ANTHROPIC_BASE_URL: api.url,
      CLAUDE_CODE_OAUTH_TOKEN: 'sk-ant-oat01-stand-in',
    },
    input: 'Do what you are asked.',
    timeout: CUT_OFF_MS,
    reject: false,
  });
  await rm(home, { recursive: true, force: true });
  const folder = join('test', 'transcripts', version);
  await mkdir(folder, { recursive: true });
  const record = {
    exitCode: result.exitCode ?? null,
    cutOff: result.timedOut,
    stderr: result.stderr.replaceAll(home, '/home/agent'),
    stdout: result.stdout.replaceAll(home, '/home/agent').split('\n').map(shorten),
  };
  await writeFile(join(folder, `${name}.json`), `${JSON.stringify(record, null, 2)}\n`);
  console.log(
    `${version} ${name}: exit ${record.exitCode ?? 'none'}${record.cutOff ? ', cut off' : ''}, ${record.stdout.length} lines`,
  );
}

/** The long lists of tools and commands in the first event say nothing here. */
function shorten(line: string): string {
  if (!line.startsWith('{')) return line;
  const event = JSON.parse(line) as Record<string, unknown>;
  for (const [key, value] of Object.entries(event)) {
    if (Array.isArray(value) && value.length > 3 && event['type'] === 'system') event[key] = value.slice(0, 3);
  }
  return JSON.stringify(event);
}

const wanted = process.argv.slice(2);
for (const version of CLAUDE_VERSIONS) {
  for (const [name, situation] of Object.entries(SITUATIONS)) {
    if (wanted.length === 0 || wanted.includes(name)) await capture(version, name, situation);
  }
}
