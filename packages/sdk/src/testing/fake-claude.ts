#!/usr/bin/env node
import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fakedVersion, type Session } from './fake/events.js';
import { writeAll } from './fake/output.js';
import { run } from './fake/run.js';
import { parseScript } from './fake/script.js';
import { type FakeStep } from './fake/steps.js';

// A stand-in for the `claude` command that does what its prompt says. See `fakeScript` for the prompts it understands.

const flags = process.argv.slice(2);

// As `--name value` or `--name=value`.
function flag(...names: string[]): string | undefined {
  const at = flags.findIndex((given) => names.includes(given.split('=', 1)[0] ?? given));
  const given = flags[at];
  if (given === undefined) return undefined;
  return given.includes('=') ? given.slice(given.indexOf('=') + 1) : flags[at + 1];
}

function fail(message: string, code: number): never {
  writeAll('stderr', Buffer.from(`fake-claude: ${message}\n`));
  process.exit(code);
}

function stepsOf(prompt: string): FakeStep[] {
  try {
    return parseScript(prompt) ?? [{ do: 'init' }, { do: 'assistant', text: prompt.trim() }, { do: 'result' }];
  } catch (error) {
    fail((error as Error).message, 2);
  }
}

// With `--input-format stream-json` each line of stdin that is a user's message is a prompt; the rest is not for us. As with the
// real CLI of the version it stands for, one with the UUID of an earlier one is passed over.
function promptOf(line: string, seen: Set<string>): string | undefined {
  let event: { type?: string; uuid?: string; message?: { content?: string | { text?: string }[] } };
  try {
    event = JSON.parse(line) as typeof event;
  } catch {
    fail('a line of stdin is not JSON', 1);
  }
  if (event.type !== 'user' || (event.uuid !== undefined && seen.has(event.uuid))) return undefined;
  if (event.uuid !== undefined) seen.add(event.uuid);
  const content = event.message?.content ?? '';
  return typeof content === 'string' ? content : content.map((block) => block.text ?? '').join('');
}

async function main(): Promise<void> {
  const session: Session = {
    id: flag('--session-id', '--resume', '-r') ?? randomUUID(),
    model: flag('--model') ?? 'claude-fake',
    cwd: process.cwd(),
    startedAtMs: performance.now(),
    isInteractive: flag('--input-format') === 'stream-json',
    lastText: '',
    hasFailed: false,
  };
  if (session.isInteractive) {
    const seen = new Set<string>();
    for await (const line of createInterface({ input: process.stdin })) {
      const prompt = line === '' ? undefined : promptOf(line, seen);
      if (prompt !== undefined) await run(stepsOf(prompt), session);
    }
  } else {
    const prompt = await text(process.stdin);
    if (prompt.trim() === '') fail('Input must be provided through stdin when using --print', 1);
    await run(stepsOf(prompt), session);
  }
  process.exit(session.hasFailed ? 1 : 0);
}

if (flags.includes('--version') || flags.includes('-v')) {
  writeAll('stdout', Buffer.from(`${fakedVersion} (Claude Code) fake\n`));
} else {
  main().catch((error: unknown) => fail(error instanceof Error ? error.message : String(error), 70));
}
