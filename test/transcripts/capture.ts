/**
 * Records what the real Claude Code CLI prints in situations that matter, one file each, per version:
 *
 *     npx tsx --tsconfig tsconfig.run.json test/transcripts/capture.ts [situation …]
 *
 * Run it again when a version is added; the files are fixtures of the tests that read them. Ids, times and durations
 * change with every run.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import {
  conversation,
  cut,
  errorInStream,
  hang,
  inOrder,
  refusal,
  reset,
  type Step,
  startStandInApi,
  text,
  toolUse,
  withStatus,
} from '@outrigger/sdk/testing';
import { execa } from 'execa';
import { CLAUDE_VERSIONS, claudePath, type ClaudeVersion } from '../support/claude.js';

/** A CLI that falls silent is cut off here; what it printed until then is the transcript. */
const CUT_OFF_MS = 12_000;
/** From the line that starts a tool to the tool itself. */
const TOOL_START_MS = 1000;
/** Most of the time is spent waiting for the CLI's retries. */
const AT_ONCE = 3;

interface Situation {
  readonly answers: Step;
  readonly args?: string[];
  readonly env?: Readonly<Record<string, string>>;
  /** What the CLI is sent once stdout holds this text. */
  readonly signal?: { readonly name: NodeJS.Signals; readonly after: string };
  /** Nobody listens where the API should be. */
  readonly isApiDown?: true;
}

const bash = (command: string, more: object = {}) => toolUse('Bash', { command, description: 'a command', ...more });
/** Newer versions refuse a plain `sleep`. */
const ENDLESS = 'tail -f /dev/null';
const BASH_ALLOWED = ['--allowedTools', 'Bash'];
/** The CLI gives up after the first retry instead of the tenth. */
const ONE_RETRY = { CLAUDE_CODE_MAX_RETRIES: '1' };
const MID_TOOL = { answers: conversation([bash(ENDLESS), text('?')]), args: BASH_ALLOWED };
const MID_TASK = {
  answers: conversation([bash(ENDLESS, { run_in_background: true }), text('Started it.')]),
  args: BASH_ALLOWED,
};

const SITUATIONS: Readonly<Record<string, Situation>> = {
  good: { answers: text('All is well.') },
  tool: { answers: conversation([bash('echo from the tool'), text('It spoke.')]), args: BASH_ALLOWED },
  'tool-slow': { answers: conversation([bash('sleep 4'), text('It slept.')]), args: BASH_ALLOWED },
  'tool-refused': { answers: conversation([bash('touch x'), text('I was not allowed to.')]) },
  subagent: {
    answers: ({ body, turn }) => {
      if (JSON.stringify(body).includes('You are the helper.') && turn === 0) return text('The helper has answered.');
      return conversation([
        toolUse('Task', { description: 'help', prompt: 'You are the helper.', subagent_type: 'general-purpose' }),
        text('The helper helped.'),
      ]);
    },
  },
  'background-task': {
    answers: conversation([
      bash('sleep 1; echo late', { run_in_background: true }),
      text('Started it.'),
      text('It has ended.'),
    ]),
    args: BASH_ALLOWED,
  },
  'max-turns': { answers: bash('true'), args: [...BASH_ALLOWED, '--max-turns', '1'] },
  'resume-unknown': { answers: text('?'), args: ['--resume', '11111111-2222-4333-8444-555555555555'] },
  'unknown-option': { answers: text('?'), args: ['--no-such-option'] },

  'auth-expired': { answers: refusal.expired() },
  'auth-expired-to-the-end': { answers: refusal.expired(), env: ONE_RETRY },
  'auth-expired-later': {
    answers: conversation([bash('true'), refusal.expired()]),
    args: BASH_ALLOWED,
    env: ONE_RETRY,
  },
  'auth-invalid': { answers: refusal.invalid() },
  'auth-invalid-to-the-end': { answers: refusal.invalid(), env: ONE_RETRY },
  'auth-invalid-credentials': { answers: refusal.invalidCredentials(), env: ONE_RETRY },
  'auth-invalid-api-key': {
    answers: refusal.invalidApiKey(),
    env: { ...ONE_RETRY, CLAUDE_CODE_OAUTH_TOKEN: '', ANTHROPIC_API_KEY: 'sk-ant-api03-stand-in' },
  },
  'auth-missing': { answers: text('?'), env: { CLAUDE_CODE_OAUTH_TOKEN: '' } },
  'auth-with-newline': {
    answers: text('?'),
    env: { ...ONE_RETRY, CLAUDE_CODE_OAUTH_TOKEN: 'sk-ant-oat01-two\nlines' },
  },
  'auth-not-allowed': { answers: refusal.notAllowedForOrganization() },
  'auth-not-allowed-401': { answers: withStatus(401, refusal.notAllowedForOrganization()), env: ONE_RETRY },
  'auth-not-supported': { answers: refusal.notSupported(), env: ONE_RETRY },
  'auth-not-a-member': { answers: refusal.notAMember(), env: ONE_RETRY },
  'auth-revoked': { answers: refusal.revoked() },
  'auth-revoked-later': { answers: conversation([bash('true'), refusal.revoked()]), args: BASH_ALLOWED },
  'rate-limited': { answers: refusal.rateLimited({ claim: 'five_hour', resetsAt: 1_800_000_000_000 }) },
  'rate-limited-weekly': { answers: refusal.rateLimited({ claim: 'seven_day', resetsAt: 1_800_000_000_000 }) },
  throttled: { answers: refusal.throttled({ retryAfterSeconds: 2 }), env: ONE_RETRY },
  'headerless-429': { answers: refusal.headerless429(), env: ONE_RETRY },
  billing: { answers: refusal.billing() },
  'organization-disabled': { answers: refusal.organizationDisabled() },
  forbidden: { answers: withStatus(403, refusal.missingScope({ message: 'Request not allowed' })), env: ONE_RETRY },
  'permission-denied': { answers: withStatus(403, refusal.missingScope()) },
  'model-not-found': { answers: refusal.modelNotFound() },
  'prompt-too-long': { answers: refusal.promptTooLong() },
  'thinking-signature': { answers: refusal.thinkingSignature() },
  overloaded: { answers: refusal.overloaded() },
  'overloaded-to-the-end': { answers: refusal.overloaded(), env: ONE_RETRY },
  'server-error': { answers: refusal.serverError() },
  'server-error-to-the-end': { answers: refusal.serverError(), env: ONE_RETRY },
  'api-down': { answers: text('?'), isApiDown: true, env: ONE_RETRY },
  'api-resets': { answers: reset(), env: ONE_RETRY },
  'api-hangs': { answers: hang(), env: { ...ONE_RETRY, API_TIMEOUT_MS: '1000' } },
  'api-fails-in-stream': { answers: errorInStream(3), env: ONE_RETRY },
  'api-cuts-once': { answers: inOrder([cut(3), text('All is well.')]) },

  'sigterm-while-tool': { ...MID_TOOL, signal: { name: 'SIGTERM', after: '"tool_use"' } },
  'sigint-while-tool': { ...MID_TOOL, signal: { name: 'SIGINT', after: '"tool_use"' } },
  'sighup-while-tool': { ...MID_TOOL, signal: { name: 'SIGHUP', after: '"tool_use"' } },
  'sigkill-while-tool': { ...MID_TOOL, signal: { name: 'SIGKILL', after: '"tool_use"' } },
  'sigterm-while-api': { answers: hang(), signal: { name: 'SIGTERM', after: '"init"' } },
  'sigterm-while-task': { ...MID_TASK, signal: { name: 'SIGTERM', after: '"result"' } },
  'sigkill-while-task': { ...MID_TASK, signal: { name: 'SIGKILL', after: '"result"' } },
};

async function capture(version: ClaudeVersion, name: string, situation: Situation): Promise<void> {
  await using api = await startStandInApi({ respond: situation.answers });
  const { url, port } = api;
  if (situation.isApiDown === true) await api.close();
  const home = await mkdtemp(join(tmpdir(), 'outrigger-transcript-'));
  const running = execa(
    claudePath(version),
    ['-p', '--output-format', 'stream-json', '--verbose', ...(situation.args ?? [])],
    {
      extendEnv: false,
      cwd: home,
      env: {
        PATH: process.env['PATH'],
        HOME: home,
        IS_SANDBOX: '1',
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
        DISABLE_AUTOUPDATER: '1',
        ANTHROPIC_BASE_URL: url,
        CLAUDE_CODE_OAUTH_TOKEN: 'sk-ant-oat01-stand-in',
        ...situation.env,
      },
      input: 'Do what you are asked.',
      timeout: CUT_OFF_MS,
      reject: false,
    },
  );
  const { signal } = situation;
  if (signal !== undefined) void sendOnce(running, signal);
  const result = await running;
  await rm(home, { recursive: true, force: true });

  const anonymous = (printed: string) =>
    printed
      .replaceAll(home, '/home/agent')
      // The CLI names folders of its own after the path.
      .replaceAll(home.replaceAll(/[^A-Za-z0-9]/g, '-'), '-home-agent')
      .replaceAll(`127.0.0.1:${port}`, '127.0.0.1:7000');
  const record = {
    exitCode: result.exitCode ?? null,
    signal: result.signal ?? null,
    cutOff: result.timedOut,
    stderr: anonymous(result.stderr),
    stdout: anonymous(result.stdout).split('\n').map(shorten),
  };
  const folder = join('test', 'transcripts', version);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${name}.json`), `${JSON.stringify(record, null, 2)}\n`);
  const end = record.cutOff ? 'cut off' : `exit ${record.exitCode ?? record.signal ?? 'unknown'}`;
  console.log(`${version} ${name}: ${end}, ${record.stdout.length} lines`);
}

async function sendOnce(
  running: { stdout: Readable; kill: (name: NodeJS.Signals) => boolean },
  { name, after }: NonNullable<Situation['signal']>,
): Promise<void> {
  let printed = '';
  await new Promise<void>((resolve) => {
    running.stdout.on('data', (chunk: Buffer) => {
      printed += chunk.toString();
      if (printed.includes(after)) resolve();
    });
  });
  await wait(TOOL_START_MS);
  running.kill(name);
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
const todo = CLAUDE_VERSIONS.flatMap((version) =>
  Object.entries(SITUATIONS)
    .filter(([name]) => wanted.length === 0 || wanted.includes(name))
    .map(([name, situation]) => ({ version, name, situation })),
);
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    for (let next = todo.shift(); next !== undefined; next = todo.shift()) {
      await capture(next.version, next.name, next.situation);
    }
  }),
);
